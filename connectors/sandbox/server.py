"""The sandbox on a loopback socket: in a thread beside a test, or in the foreground for the command line.

Nothing is printed or logged here; a caller that wants to say where the sandbox is does it in `ready`.
"""

import socket
import threading
import time
from collections.abc import Callable
from types import TracebackType

import uvicorn
from starlette.applications import Starlette

from connectors.sandbox.app import create_app
from connectors.sandbox.clock import Clock
from connectors.sandbox.config import SandboxConfig
from connectors.sandbox.state import Sandbox

LOOPBACK = "127.0.0.1"


class SandboxServer:
    """A sandbox in a thread: a context manager that is reachable at `base_url` from its beginning to its end.

    `port` 0 is any free one. Stopping takes about 0.2 s and drops connections that are still open.
    """

    def __init__(
        self,
        config: SandboxConfig | None = None,
        *,
        host: str = LOOPBACK,
        port: int = 0,
        clock: Clock = time.time,
    ) -> None:
        app = create_app(config or SandboxConfig(), clock)
        self.sandbox: Sandbox = app.state.sandbox
        self._socket = _listen(host, port)
        self.base_url = _url(self._socket)
        self._server = uvicorn.Server(_settings(app))
        self._thread = threading.Thread(target=self._server.run, args=([self._socket],), daemon=True)

    def __enter__(self) -> "SandboxServer":
        self._thread.start()  # requests queue in the listening socket until uvicorn takes them
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.should_exit = True
        self._server.force_exit = True
        self._thread.join()
        self._socket.close()


def serve_forever(
    config: SandboxConfig | None = None,
    *,
    host: str = LOOPBACK,
    port: int = 0,
    ready: Callable[[str], None] = lambda _: None,
    clock: Clock = time.time,
) -> None:
    """Serve in the foreground until Ctrl-C, which returns; `ready(base_url)` is called once requests are accepted.

    Raises OSError when the port is taken.
    """
    app = create_app(config or SandboxConfig(), clock)
    with _listen(host, port) as listening:
        ready(_url(listening))
        try:
            uvicorn.Server(_settings(app)).run([listening])
        except KeyboardInterrupt:
            return


def _listen(host: str, port: int) -> socket.socket:
    # The protocol is named: asyncio sets TCP_NODELAY only on sockets that say TCP, and answers take 40 ms without it.
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, port))
        listening.listen(2048)
    except OSError:
        listening.close()
        raise
    return listening


def _url(listening: socket.socket) -> str:
    host, port = listening.getsockname()[:2]
    return f"http://{host}:{port}"


def _settings(app: Starlette) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http="h11",
        ws="none",
        lifespan="off",
        loop="asyncio",
        log_config=None,
        log_level="critical",
        access_log=False,
        server_header=False,
        date_header=False,  # the gate sends its own, by the sandbox's clock
        timeout_graceful_shutdown=1,
    )
