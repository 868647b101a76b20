"""An intake that remembers what it is told, and receivers that tell it, on real sockets."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from connectors.receivers.bounds import Bounds
from connectors.receivers.door import Door
from connectors.receivers.events import CallStarted, Cause, Chunk, Event, Origin
from connectors.receivers.grpc_server import KeyPair, grpc_receiver
from connectors.receivers.ports import Sink
from connectors.receivers.wss_server import wss_receiver
from connectors.sandbox.callers import Line
from flows.calls.receiving.certificate import make

TOKEN = "the-secret"


@dataclass
class Ear:
    """Every call's events, in their order; `refusals`: whoever was not let in."""

    calls: list[list[Event]] = field(default_factory=list)
    refusals: list[tuple[Origin, Cause]] = field(default_factory=list)
    is_full: bool = False
    has_room: asyncio.Event = field(default_factory=asyncio.Event)

    async def room(self) -> None:
        await self.has_room.wait()

    async def accepts(self, token: str) -> bool:
        return token == TOKEN

    def begin(self, call: CallStarted) -> Sink:
        events: list[Event] = [call]
        self.calls.append(events)
        return events.append

    def refused(self, origin: Origin, cause: Cause) -> None:
        self.refusals.append((origin, cause))

    def audio(self, call: int, segment_id: str, channel: int = 0) -> bytes:
        """What was heard of a channel, in the order in which it came."""
        chunks = [event for event in self.calls[call] if isinstance(event, Chunk)]
        return b"".join(one.audio for one in chunks if (one.segment_id, one.channel) == (segment_id, channel))


@dataclass(frozen=True)
class Post:
    """Where the receivers are, and what they hear."""

    ear: Ear
    door: Door
    urls: dict[str, str]
    ca: Path

    def line(self, transport: str, token: str = TOKEN) -> Line:
        """How a caller reaches them, as fast as it can."""
        return Line(url=self.urls[transport], token=token, ca=self.ca, pace=None, patience_s=5)


@asynccontextmanager
async def post(folder: Path, bounds: Bounds | None = None) -> AsyncIterator[Post]:
    """Both receivers, over TLS, on free ports of loopback."""
    ca, key = folder / "receiver.crt", folder / "receiver.key"
    if not ca.exists():
        make(ca, key, (), datetime.now(UTC), 1)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(ca, key)
    ear = Ear()
    door = Door(ear, bounds or Bounds())
    keys = KeyPair(ca.read_bytes(), key.read_bytes())
    async with grpc_receiver(door, "127.0.0.1", 0, keys) as port, wss_receiver(door, "127.0.0.1", 0, tls) as wss:
        wss_port = next(iter(wss.sockets)).getsockname()[1]
        urls = {"wss": f"wss://127.0.0.1:{wss_port}/calls", "grpc": f"grpcs://127.0.0.1:{port}"}
        yield Post(ear, door, urls, ca)
