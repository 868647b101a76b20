"""RingCentral's AI API at virtual time: a sandbox with some recorded calls, whose jobs reach a webhook in process."""

import socket
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import httpx
from starlette.types import ASGIApp

from connectors.sandbox import FixedAccount, SandboxConfig, simple_segment
from flows.calls.speech.platform_speech import Wanted
from flows.calls.speech.webhook import Webhook
from flows.outcomes import Key
from flows.runtime import Runtime, open_runtime
from tests.virtual_time import NOON, World, run_virtually

T = TypeVar("T")

SUB = "99999999"
BEGAN = datetime(2026, 9, 1, 11, tzinfo=UTC)
VOICE: dict[str, Any] = {"channel_type": "VOICE", "channel_class": "VOICE", "has_recording": True}
ACCOUNT = FixedAccount([simple_segment("d", f"s{number}", NOON - 900, **VOICE) for number in range(6)])
LINES = ["Hello, how can I help you?", "Where is my order?"]
WEBHOOK_URL = "https://etl.example/hooks"


def key(number: int = 0) -> Key:
    """A recorded segment's."""
    return (SUB, "d", f"s{number}")


def wanted(count: int = 1) -> list[Wanted]:
    """So many recorded segments."""
    return [Wanted(key(number), BEGAN, BEGAN.date(), 20_000) for number in range(count)]


class Elsewhere:
    """What the sandbox asks of others: recordings, which it has itself, and our webhook."""

    def __init__(self) -> None:
        self.sandbox: ASGIApp | None = None
        self.webhook: ASGIApp | None = None
        self.fetched: list[str] = []
        self.posts: list[tuple[str, bytes, int]] = []

    async def get(self, url: str) -> tuple[int, bytes]:
        """The audio at an address."""
        self.fetched.append(url)
        answer = await _ask(self.sandbox, "GET", url)
        return answer.status_code, answer.content

    async def post(self, url: str, body: bytes) -> int:
        """The status of our webhook."""
        if self.webhook is None:
            raise ConnectionError
        status = (await _ask(self.webhook, "POST", url, body)).status_code
        self.posts.append((url, body, status))
        return status


async def _ask(app: ASGIApp | None, method: str, url: str, body: bytes = b"") -> httpx.Response:
    assert app is not None
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app)) as client:
        return await client.request(method, url, content=body)


@dataclass
class Play:
    """A world, a runtime, and everybody else."""

    world: World
    elsewhere: Elsewhere
    folder: Path
    settings: dict[str, object]

    def open(self) -> Any:
        """A runtime: a process of its own."""
        return open_runtime(self.world.settings(**self.settings), self.world.clock, self.world.transport)

    def receive(self, runtime: Runtime) -> None:
        """`ringcx-etl webhook` runs from now on."""
        self.elsewhere.webhook = Webhook(runtime.lake, runtime.now, "webhook")

    def script(self, *troubles: Any) -> None:
        """Let the next jobs have these."""
        self.world.sandbox.jobs.script(troubles)

    def asked(self, operation: str) -> list[float]:
        """When the platform was asked so."""
        return [record.at for record in self.world.sandbox.log if record.group == "ai" and record.method == operation]


@contextmanager
def taken_port() -> Iterator[int]:
    """A port that another process listens on."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        yield int(taken.getsockname()[1])


def play(
    scenario: Callable[[Play, Runtime], Coroutine[Any, Any, T]],
    folder: Path,
    *,
    by_webhook: bool = True,
    ai_seconds: tuple[float, float] = (1, 3),
    **changes: object,
) -> T:
    """What a scenario returns; `by_webhook`: with `ringcx-etl webhook` running as another process."""
    elsewhere = Elsewhere()

    async def work(world: World) -> T:
        elsewhere.sandbox = world.app
        with taken_port() as port:
            address = {"ringcx_webhook_url": WEBHOOK_URL, "ringcx_webhook_port": port} if by_webhook else {}
            stage = Play(world, elsewhere, folder, {**address, **changes})
            async with stage.open() as runtime:
                if by_webhook:
                    stage.receive(runtime)
                return await scenario(stage, runtime)

    config = SandboxConfig(
        account=ACCOUNT, outside=elsewhere, recording_s=(0, 0), ai_seconds=ai_seconds, static_token=None
    )
    return run_virtually(work, config, folder)
