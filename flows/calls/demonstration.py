"""The story of three calls on the sandbox: two heard live, over gRPC and over WSS, and one that was only recorded.

Media control starts the streams, the receiver writes what it hears, speech to text makes utterances of it, and they
stand in the tables beside RingCX's own transcripts. The recorded call goes to the AI API, which answers by webhook.
"""

import asyncio
import os
import shutil
import socket
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from rich.console import Console

from connectors.sandbox import SandboxConfig, SandboxServer, generate_account
from connectors.sandbox.callers import Heard
from connectors.sandbox.calls import LiveCall, Ongoing, two_voices
from connectors.sandbox.sound import Said, encode, sound_of, tone
from flows import loading, show
from flows.calls import streams
from flows.calls.receiving import certificate
from flows.calls.receiving.receiver import Listening, Received, Show, receive
from flows.calls.speech.transcribing import Wish, transcribe
from flows.calls.streams import StreamRequest
from flows.calls.tables import POCKETSPHINX, RINGCENTRAL_AI
from flows.runtime import Runtime, open_lake, open_runtime
from flows.sandboxes import point_at
from flows.settings import Settings, load_settings
from flows.windows import Window

SUB_ACCOUNT = "99999999"
PACE = 10.0  # times real time
LATER = timedelta(hours=1)  # by then metadata lists the calls, and their recordings can be had
TONES = (Said("agent", "this is a tone that stands for words"), Said("contact", "and so is this"))

KEPT_SQL = """
    SELECT origin, participant_type AS heard, state, channels, duration_ms / 1000 AS seconds, chunks,
        chunks_missing AS missing, path
    FROM recordings ORDER BY started_at, path
"""
BY_SOURCE_SQL = """
    SELECT source, count(DISTINCT (sub_account_id, dialog_id, segment_id)) AS segments, count(*) AS utterances,
        sum(words)::BIGINT AS words
    FROM spoken GROUP BY ALL ORDER BY segments DESC
"""
TALK_SQL = """
    SELECT source, round(offset_seconds, 1) AS second, speaker, message FROM turns
    WHERE dialog_id = ? ORDER BY turn LIMIT 12
"""


class Clock:
    """The time of day, which can be told to be later."""

    def __init__(self) -> None:
        self._ahead = timedelta()

    def __call__(self) -> float:
        """Epoch seconds."""
        return time.time() + self._ahead.total_seconds()

    def skip(self, span: timedelta) -> None:
        """Let so much time pass at once."""
        self._ahead += span


@dataclass(frozen=True, slots=True)
class Scene:
    """Where the story plays: a sandbox, settings that point at it, one clock for both, and a voice (mu-law)."""

    server: SandboxServer
    settings: Settings
    clock: Clock
    voice: bytes
    lines: tuple[Said, ...]

    def call(self, name: str) -> Ongoing:
        """A call that begins now: the agent says the first half, the contact the second."""
        half = len(self.voice) // 2
        agent, contact = self.voice[:half], bytes([0xFF]) * half + self.voice[half:]
        speakers = two_voices(f"segment-{name}", agent=agent, contact=contact)
        live = LiveCall(dialog_id=f"call-{name}", speakers=speakers, sub_account_id=SUB_ACCOUNT, lines=self.lines)
        return self.server.sandbox.calls.begin(live)


@dataclass(frozen=True, slots=True)
class Told:
    """What the story came to: what was sent of each stream, by transport and track, and what the receiver kept."""

    sent: Mapping[str, Mapping[str, Heard]]
    received: Received
    troubles: tuple[str, ...]


def run(folder: Path, audio: Path | None) -> int:
    """Tell it on the terminal, from the beginning: `folder` is emptied. 0 when all of it came true."""
    shutil.rmtree(folder, ignore_errors=True)  # the calls of an earlier time would have been polled already
    console = Console(soft_wrap=True, highlight=False)
    with scene_in(folder, audio) as scene:
        told = asyncio.run(tell(scene, console.print))
        with open_lake(scene.settings) as lake:
            console.print("\n[bold]What was heard[/bold]")
            show.rows(lake.query(KEPT_SQL), "table", None)
            console.print("[bold]Utterances by source[/bold]")
            show.rows(lake.query(BY_SOURCE_SQL), "table", None)
            for name in ("call-grpc", "call-recorded"):
                console.print(f"[bold]{name}[/bold]")
                show.rows(lake.query(TALK_SQL, [name]), "table", None)
    for trouble in told.troubles:
        console.print(f"did not come: {trouble}", style="yellow")
    return 1 if told.troubles or told.received.uncommitted else 0


async def tell(scene: Scene, say: Callable[[str], None]) -> Told:
    """Play it in a scene; what came of it."""
    sent: dict[str, Mapping[str, Heard]] = {}
    async with _receiving(scene) as (where, receiver):
        for transport, url in (("grpc", where.grpc), ("wss", where.wss)):
            sent[transport] = await _stream(scene, transport, url, say)
    received = receiver.result()
    live_until = datetime.fromtimestamp(int(scene.clock() * 1000) / 1000, UTC)  # RingCX's times are in ms
    scene.call("recorded").end()
    scene.clock.skip(LATER)
    async with open_runtime(scene.settings, scene.clock) as runtime:
        troubles = await _transcribe(runtime, Window(live_until, live_until + LATER), say)
    return Told(sent, received, tuple(troubles))


@contextmanager
def scene_in(folder: Path, audio: Path | None) -> Iterator[Scene]:
    """A sandbox and settings for everything else in `folder`; the voice of a WAV file, or tones."""
    folder.mkdir(parents=True, exist_ok=True)
    folder, clock = folder.resolve(), Clock()
    sound = sound_of(audio) if audio else None
    voice, lines = (encode(sound.pcm), sound.lines) if sound else (tone("voice", 4.0), TONES)
    crt, key = folder / "receiver.crt", folder / "receiver.key"
    if not crt.exists():
        certificate.make(crt, key, (), datetime.fromtimestamp(clock(), UTC), 365)
    account = generate_account(start=clock() - 7200, dialogs_per_hour=20)
    config = SandboxConfig(account=account, caller_ca=crt, caller_pace=PACE, ai_seconds=(0.2, 0.5))
    with SandboxServer(config, clock=clock) as server, _without_settings():
        settings = load_settings(
            _env_file=None,
            **{name.lower(): value for name, value in point_at(config, server.base_url).items()},
            ringcx_start=datetime.fromtimestamp(clock(), UTC) - timedelta(hours=1),
            ringcx_lake=str(folder / "lake"),
            ringcx_state_path=folder / "state",
            ringcx_audio_path=folder / "audio",
            ringcx_receive_certificate=crt,
            ringcx_receive_key=key,
            ringcx_receive_wss_port=0,
            ringcx_receive_grpc_port=0,
            ringcx_webhook_port=(port := _free_port()),
            ringcx_webhook_url=f"http://127.0.0.1:{port}",
        )
        yield Scene(server, settings, clock, voice, lines)


@contextmanager
def _without_settings() -> Iterator[None]:
    """The story's own settings alone: those of the environment are put aside."""
    kept = {name: os.environ.pop(name) for name in list(os.environ) if name.startswith(("RINGCX_", "RINGCENTRAL_"))}
    try:
        yield
    finally:
        os.environ.update(kept)


def _free_port() -> int:
    with closing(socket.socket()) as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@asynccontextmanager
async def _receiving(scene: Scene) -> AsyncIterator[tuple[Listening, asyncio.Task[Received]]]:
    """A receiver that listens, and has ended and committed everything when the block has."""
    listening: asyncio.Future[Listening] = asyncio.get_running_loop().create_future()
    until = asyncio.Event()
    receiver = asyncio.create_task(receive(scene.settings, Show(listening.set_result), clock=scene.clock, until=until))
    either: list[asyncio.Future[Any]] = [listening, receiver]
    await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
    if receiver.done():
        receiver.result()  # raises why
    try:
        yield listening.result(), receiver
    finally:
        until.set()
        await receiver


async def _stream(scene: Scene, transport: str, url: str, say: Callable[[str], None]) -> Mapping[str, Heard]:
    """A call that is streamed until all of it was said; what was sent."""
    call = scene.call(transport)
    request = StreamRequest(
        dialog_id=call.live.dialog_id,
        segment_id=call.live.speakers[0].segment_id,
        sub_account_id=SUB_ACCOUNT,
        url=url,
    )
    async with open_runtime(scene.settings, scene.clock) as runtime:
        started = await streams.start(runtime, request)
    caller = call.streams[0]
    outcome = await asyncio.to_thread(caller.wait, len(scene.voice) / 8000 + 60)
    sent = caller.truth()
    seconds = max((len(heard.filled) for heard in sent.values()), default=0) / 8000
    said = f"{seconds:.1f} s sent over {transport}, {outcome.status}"
    say(f"{call.live.dialog_id}: stream {started.stream_id}, {said}")
    return sent


async def _transcribe(runtime: Runtime, recorded: Window, say: Callable[[str], None]) -> list[str]:
    """Metadata and transcripts of the hour, then speech to text for what has none; what did not come.

    What was heard live is put into words here, what was only `recorded` by RingCentral's AI.
    """
    report = await loading.ingest(runtime)
    say(f"ingest: {report.tally.segments_loaded:,} segments, {report.tally.transcripts_stored:,} transcripts")
    troubles = list(report.tally.troubles)
    for wish in (Wish(engine=POCKETSPHINX), Wish(engine=RINGCENTRAL_AI, span=recorded)):
        heard = await transcribe(runtime, wish)
        said = f"{heard.hearing.utterances:,} utterances of {heard.hearing.done:,} segments"
        say(f"transcribe: {heard.engine} heard {said}")
        troubles += heard.hearing.troubles
    return troubles
