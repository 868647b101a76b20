"""The pages on a loopback socket, until Ctrl-C."""

import socket
from collections.abc import Callable

import uvicorn

from flows.browse.app import create_app
from sinks.lake import Lake

LOOPBACK = "127.0.0.1"


def serve_forever(lake: Lake, port: int, ready: Callable[[str], None]) -> None:
    """Serve until interrupted; `ready(url)` once requests are accepted. Raises OSError when the port is taken."""
    lake.query("SELECT 1")  # a wrong path must not look like an empty lake
    config = uvicorn.Config(
        create_app(lake),
        ws="none",
        lifespan="off",
        log_config=None,
        log_level="critical",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=1,
    )
    with listen(port) as listening:
        ready(f"http://{LOOPBACK}:{listening.getsockname()[1]}/")
        try:
            uvicorn.Server(config).run([listening])
        except KeyboardInterrupt:
            return


def listen(port: int) -> socket.socket:
    """A socket of this machine alone; port 0 is any free one."""
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((LOOPBACK, port))
        listening.listen(128)
    except OSError:
        listening.close()
        raise
    return listening
