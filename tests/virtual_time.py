"""An event loop whose time jumps to the next timer, so that a test of hours takes seconds and never sleeps.

Time stands still while a thread works (a commit) and moves only when everything waits. No sockets: their answers come
in real time. The platform under such a loop is the sandbox, in process, with the same clock.
"""

import asyncio
import selectors
from collections.abc import Callable, Coroutine, Mapping
from pathlib import Path
from typing import Any, TypeVar

import httpx
from starlette.applications import Starlette

from connectors.sandbox import Sandbox, SandboxConfig, create_app
from flows.settings import Settings, load_settings

T = TypeVar("T")

NOON = 1_788_264_000.0  # 2026-09-01 12:00:00 UTC


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """Starts at 0: near the epoch seconds of today, asyncio's clock resolution would be lost in rounding."""

    def __init__(self) -> None:
        self.now = 0.0
        self.threads = 0
        super().__init__(_JumpingSelector(self))

    def time(self) -> float:
        return self.now

    def run_in_executor(self, executor: Any, func: Callable[..., Any], *args: Any) -> asyncio.Future[Any]:  # type: ignore[override]
        self.threads += 1
        future = super().run_in_executor(executor, func, *args)
        future.add_done_callback(self._thread_done)
        return future

    def _thread_done(self, _: asyncio.Future[Any]) -> None:
        self.threads -= 1


class _JumpingSelector(selectors.DefaultSelector):
    def __init__(self, loop: VirtualTimeLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready: list[tuple[selectors.SelectorKey, int]] = super().select(0)
        if ready or timeout == 0:
            return ready
        if timeout is None or self._loop.threads:
            return super().select(None)
        self._loop.now += timeout
        return []


def run_virtually(work: Callable[["World"], Coroutine[Any, Any, T]], config: SandboxConfig, folder: Path) -> T:
    """What `work` returns, done in a world of its own: a sandbox of this configuration, at virtual time."""
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        loop = runner.get_loop()
        return runner.run(work(World(config, folder, lambda: NOON + loop.time())))


class World:
    """A sandbox in process and settings that point at it."""

    def __init__(self, config: SandboxConfig, folder: Path, clock: Callable[[], float]) -> None:
        self.clock, self._config, self._folder = clock, config, folder
        self.app: Starlette = create_app(config, clock)
        self.sandbox: Sandbox = self.app.state.sandbox

    @property
    def transport(self) -> httpx.AsyncBaseTransport:
        """The way to it."""
        return InProcess(self.app)

    def settings(self, **overrides: object) -> Settings:
        """Settings with the sandbox's credentials and limits, a lake and shared state of this world's own."""
        config = self._config
        given: Mapping[str, object] = {
            "_env_file": None,
            "ringcentral_base_url": "http://sandbox",
            "ringcx_base_url": "http://sandbox",
            "ringcentral_client_id": config.client_id,
            "ringcentral_client_secret": config.client_secret,
            "ringcentral_jwt": config.jwt,
            "ringcx_lake": str(self._folder / "lake"),
            "ringcx_state_path": str(self._folder / "state"),
        }
        return load_settings(**{**given, **overrides})


class InProcess(httpx.AsyncBaseTransport):
    """httpx's ASGI transport, on which a connection that the sandbox breaks is an httpx error, as on a socket."""

    def __init__(self, app: Starlette) -> None:
        self._inner = httpx.ASGITransport(app)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        try:
            return await self._inner.handle_async_request(request)
        except ConnectionResetError as error:
            raise httpx.ReadError(str(error), request=request) from error
