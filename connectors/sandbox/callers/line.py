"""Where a caller dials, and what came of it."""

import asyncio
import ssl
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import groupby
from pathlib import Path

from connectors.sandbox.callers.deliveries import Delivery, deliveries
from connectors.sandbox.callers.script import CallScript, Transport

Stopped = Callable[[], bool]


def never() -> bool:
    """No stop was asked for."""
    return False


@dataclass(frozen=True, kw_only=True)
class Line:
    """Where to dial, and how.

    `url` is `wss://` (plain: `ws://`), or `grpcs://` or `https://` for gRPC (plain: `grpc://` or `http://`). The token
    goes along as `Authorization: Bearer` on a WebSocket and, bare, as `authorization` metadata on gRPC: how the
    platform writes it is not documented. `ca` is a file of certificates to trust. `pace` 1 is real time, None as fast
    as the receiver takes it. `patience_s` is how long a caller that has nothing to say waits for the receiver.
    """

    url: str = field(repr=False)  # may carry a secret in its query
    token: str = field(default="", repr=False)
    ca: str | Path | None = None
    pace: float | None = 1.0
    patience_s: float = 30


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a receiver answered, and how much it was sent.

    `status` is the HTTP status of the handshake (`101`, `403` ...), the name of the gRPC status (`OK`,
    `UNAUTHENTICATED` ...), or `unreachable`. `accepted` means that the receiver took the call. `sent` counts chunks by
    track, doubled ones twice. `played_ms` is the moment of the last chunk. `stopped` says that it was ended from
    outside, `error` what broke it off, without any address.
    """

    accepted: bool
    status: str
    attempts: int = 1
    close_code: int | None = None
    sent: Mapping[str, int] = field(default_factory=dict)
    played_ms: int = 0
    stopped: bool = False
    error: str = ""


class Progress:
    """How far a call has been played."""

    def __init__(self) -> None:
        self.sent: dict[str, int] = {}
        self.played_ms = 0
        self.stopped = False
        self.is_over = False  # all of the script was played


Send = Callable[[list[Delivery]], Awaitable[None]]


async def play(
    progress: Progress, script: CallScript, transport: Transport, how: tuple[Line, Stopped], send: Send
) -> None:
    """Hand the messages of each moment to `send` when it has come; what `send` raises ends the call.

    `progress` is the caller's own, who wants it also when the call breaks.
    """
    line, stopped = how
    loop = asyncio.get_running_loop()
    began = loop.time()
    for at_ms, moment in groupby(deliveries(script, transport), key=lambda delivery: delivery.at_ms):
        wait_s = 0.0 if line.pace is None else began + at_ms / 1000 / line.pace - loop.time()
        await asyncio.sleep(max(0.0, wait_s))
        if stopped():
            progress.stopped = True
            return
        await send(list(moment))
        progress.played_ms = at_ms
    progress.is_over = True


@lru_cache(maxsize=32)
def trusting(ca: str | Path | None) -> ssl.SSLContext:
    """A context that trusts this file of certificates, or the system's."""
    return ssl.create_default_context(cafile=None if ca is None else str(ca))


async def wait_until(happened: Stopped, patience_s: float) -> bool:
    """Whether it happened in time; looked at twenty times a second."""
    loop = asyncio.get_running_loop()
    until = loop.time() + patience_s
    while not happened():
        if loop.time() >= until:
            return False
        await asyncio.sleep(0.05)
    return True
