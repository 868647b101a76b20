"""A sandbox in process, reached by a plain synchronous httpx client, with a clock that the test moves."""

import asyncio
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest
from starlette.types import ASGIApp

from connectors.sandbox import ManualClock, Sandbox, SandboxConfig, create_app

NOON = 1_788_264_000.0  # 2026-09-01 12:00:00 UTC
STATIC = {"Authorization": "Bearer sandbox-token"}


class InProcess(httpx.BaseTransport):
    """Runs each request of a synchronous client through the ASGI application, on an event loop of its own."""

    def __init__(self, app: ASGIApp) -> None:
        self._inner = httpx.ASGITransport(app)
        self._runner = asyncio.Runner()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """The whole answer, already read."""
        return self._runner.run(self._exchange(request))

    async def _exchange(self, request: httpx.Request) -> httpx.Response:
        response = await self._inner.handle_async_request(request)
        assert isinstance(response.stream, httpx.AsyncByteStream)
        body = b"".join([part async for part in response.stream])
        return httpx.Response(response.status_code, headers=response.headers, content=body)

    def close(self) -> None:
        """Close the event loop."""
        self._runner.close()


@pytest.fixture
def clock() -> ManualClock:
    """A clock that stands at noon, UTC."""
    return ManualClock(NOON)


@pytest.fixture
def open_sandbox(clock: ManualClock) -> Iterator[Callable[[SandboxConfig], tuple[httpx.Client, Sandbox]]]:
    """Starts a sandbox from its settings; its client carries the static token."""
    with ExitStack() as clients:

        def start(config: SandboxConfig) -> tuple[httpx.Client, Sandbox]:
            app = create_app(config, clock)
            client = httpx.Client(transport=InProcess(app), base_url="http://sandbox", headers=STATIC)
            return clients.enter_context(client), app.state.sandbox

        yield start


@pytest.fixture
def shared() -> Path:
    """The folder with the specification and the corpus; tests that need it are skipped where it is absent."""
    folder = Path(os.environ.get("RINGCX_SHARED", Path(__file__).resolve().parents[4] / "shared"))
    if not folder.is_dir():
        pytest.skip(f"no {folder}: set RINGCX_SHARED")
    return folder
