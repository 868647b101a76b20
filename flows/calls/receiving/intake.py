"""Events of live calls -> audio on the disk and rows to commit, for every call of a receiver at once.

The event loop only takes chunks in; every quarter of a second what has come is handed to the disk's thread, one write a
file. Whatever the disk refuses waits in memory and is tried again; when too much waits, callers do.
"""

import asyncio
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import msgspec

from connectors.receivers.events import (
    CallEnded,
    CallStarted,
    Cause,
    Chunk,
    Event,
    Info,
    Origin,
    SegmentStarted,
    SegmentStopped,
    Trouble,
)
from connectors.receivers.ports import Sink
from connectors.receivers.reorder import Counts
from connectors.receivers.track import SAMPLE_BYTES, Track
from flows.calls.receiving.disk import Disk
from flows.calls.receiving.rows import COMPLETE, CUT, Recording, StreamEvent, begun, counted, ended
from sinks.audio import AudioError

WRITE_EVERY_S = 0.25
SYNC_EVERY_S = 10.0
WAITING_BYTES = 64 * 2**20  # of audio in memory, before callers have to wait

Accepts = Callable[[str], Coroutine[Any, Any, bool]]


@dataclass
class Tally:
    """What a receiver has heard so far; `audio_s`: seconds of audio on the disk."""

    calls: int = 0
    segments: int = 0
    live_calls: int = 0
    live_segments: int = 0
    complete: int = 0
    cut: int = 0
    refused: int = 0
    audio_s: float = 0.0
    counts: Counts = field(default_factory=Counts)
    trouble: str = ""  # the disk's, for as long as it lasts


@dataclass(eq=False)
class Segment:
    """One segment while it is heard."""

    recording: Recording
    track: Track
    a_second: int  # bytes
    is_heard: bool = False
    is_ended: bool = False
    is_open: bool = False  # on the disk
    unwritten: bytes = b""  # what the disk refused
    written: int = 0


@dataclass(eq=False)
class Job:
    """What the disk's thread is to do for one segment at one time, and what became of it."""

    segment: Segment
    recording: Recording
    audio: bytes
    is_last: bool
    is_opened: bool = False
    is_written: bool = False
    done: Recording | None = None


@dataclass(eq=False)
class Call:
    """One call while it is heard."""

    started: CallStarted
    segments: dict[str, Segment] = field(default_factory=dict)
    stray: int = 0  # chunks of segments that are over, or cannot be stored


class Intake:
    """Takes the calls of all receivers of one run: `connectors.receivers.ports.Intake`."""

    def __init__(self, disk: Disk, run_id: str, accepts: Accepts, window: int, clock: Callable[[], float]) -> None:
        self.tally = Tally()
        self.rows: dict[str, Recording] = {}  # to be committed: the latest of each
        self.events: list[StreamEvent] = []  # to be committed, and safe on the disk
        self.accepts = accepts
        self._disk = disk
        self._run_id = run_id
        self._window = window
        self._clock = clock
        self._segments: list[Segment] = []
        self._number = 0
        self._begun = 0
        self._fresh: list[StreamEvent] = []
        self._refused: dict[tuple[Origin, Cause], int] = {}
        self._waiting = 0
        self._has_room = asyncio.Event()
        self._has_room.set()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="disk")

    @property
    def is_full(self) -> bool:
        """Whether more waits for the disk than should be in memory."""
        return self._waiting > WAITING_BYTES

    async def room(self) -> None:
        """Return once the disk has taken what waited."""
        self._has_room.clear()
        await self._has_room.wait()

    def begin(self, started: CallStarted) -> Sink:
        """Take a call."""
        call = Call(started)
        self.tally.calls += 1
        self.tally.live_calls += 1
        self._note(call, "connected", "", started.details)

        def take(event: Event) -> None:
            if type(event) is Chunk:
                self._hear(call, event)
            else:
                self._happened(call, event)

        return take

    def refused(self, origin: Origin, cause: Cause) -> None:
        """Count a caller who was not let in; they are told of once a commit, however many come."""
        self.tally.refused += 1
        self._refused[origin, cause] = self._refused.get((origin, cause), 0) + 1

    async def flush(self) -> None:
        """Hand to the disk what has come since the last time. Never raises for the disk: see `tally.trouble`.

        One at a time: the caller sees to that.
        """
        jobs = [job for segment in self._segments if (job := self._job(segment))]
        self._note_refused()
        fresh, self._fresh = self._fresh, []
        waiting, self._waiting = self._waiting, 0
        loop = asyncio.get_running_loop()
        error = await loop.run_in_executor(self._thread, self._write, jobs, fresh, loop.time())
        self.tally.trouble = f"the disk: {error}" if error else ""
        self.events += fresh
        if error:
            self._waiting += waiting
        if not self.is_full:
            self._has_room.set()
        for job in jobs:
            self._settle(job)

    async def on_disk(self, work: Callable[[], None]) -> None:
        """Have the disk's thread do this, in its turn."""
        await asyncio.get_running_loop().run_in_executor(self._thread, work)

    def so_far(self) -> Tally:
        """The tally with what the live segments have brought."""
        live = self._segments
        counts = sum((segment.track.counts for segment in live), self.tally.counts)
        audio_s = self.tally.audio_s + sum(segment.written / segment.a_second for segment in live)
        return replace(self.tally, counts=counts, audio_s=audio_s)

    def close(self) -> None:
        """Let go of the thread."""
        self._thread.shutdown()

    def _hear(self, call: Call, chunk: Chunk) -> None:
        segment = call.segments.get(chunk.segment_id)
        if segment is None or segment.is_ended:
            call.stray += 1
            return
        if not segment.is_heard:
            segment.is_heard = True
            segment.recording = msgspec.structs.replace(segment.recording, started_at=self._now())
        segment.track.add(chunk)
        self._waiting += len(chunk.audio)

    def _happened(self, call: Call, event: Event) -> None:
        match event:
            case SegmentStarted():
                self._start(call, event)
            case SegmentStopped():
                self._note(call, "stop", event.segment_id, event.details)
                self._end(call.segments.get(event.segment_id), COMPLETE, None)
            case Info():
                self._note(call, event.event[:50] or "info", event.segment_id, _told(event.data))
            case Trouble():
                self._note(call, event.kind, event.segment_id, {"why": event.detail})
            case CallEnded():
                for segment in call.segments.values():
                    self._end(segment, CUT if event.cause else COMPLETE, event.cause)
                about = {"why": event.cause} if event.cause else {}
                stray = {"chunks_of_no_segment": call.stray} if call.stray else {}
                self._note(call, "cut" if event.cause else "ended", "", {**about, **stray})
                self.tally.live_calls -= 1

    def _start(self, call: Call, event: SegmentStarted) -> None:
        if event.segment_id in call.segments:
            return
        recording = begun(call.started, event, self._run_id, self._begun, self._now())
        self._begun += 1
        a_second = event.rate_hz * event.channels * SAMPLE_BYTES[event.encoding]
        segment = Segment(recording, Track(event.encoding, event.rate_hz, event.channels, self._window), a_second)
        call.segments[event.segment_id] = segment
        self._segments.append(segment)
        self.tally.segments += 1
        self.tally.live_segments += 1
        self._note(call, "start", event.segment_id, {"recording_id": recording.recording_id, **event.details})

    def _end(self, segment: Segment | None, state: str, cause: str | None) -> None:
        if segment is None or segment.is_ended:
            return
        segment.is_ended = True
        segment.recording = ended(segment.recording, state, self._now(), cause)

    def _job(self, segment: Segment) -> Job | None:
        """What the disk is to do for it now, if anything."""
        audio = segment.unwritten + (segment.track.finish() if segment.is_ended else segment.track.take())
        if not audio and segment.is_open and not segment.is_ended:
            return None
        if segment.is_ended:
            segment.recording = counted(segment.recording, segment.track.counts)
        return Job(segment, segment.recording, audio, segment.is_ended, is_opened=segment.is_open)

    def _write(self, jobs: list[Job], events: list[StreamEvent], now: float) -> OSError | None:
        """On the disk's thread. The first error; what it hit is left as it was."""
        trouble: OSError | None = None
        for job in jobs:
            try:
                self._write_one(job)
            except OSError as error:
                trouble = trouble or error
        try:
            if events:
                self._disk.remember(events)
            self._disk.sync(now, SYNC_EVERY_S)
        except OSError as error:
            trouble = trouble or error
        return trouble

    def _write_one(self, job: Job) -> None:
        if not job.is_opened:
            self._disk.open(job.recording)
            job.is_opened = True
        try:
            if job.audio:
                self._disk.append(job.recording.recording_id, job.audio)
        except AudioError as error:
            job.recording = msgspec.structs.replace(job.recording, state=CUT, error=str(error))
        job.is_written = True
        if job.is_last:
            job.done = self._disk.close(job.recording)

    def _settle(self, job: Job) -> None:
        segment = job.segment
        if job.is_opened and not segment.is_open:
            segment.is_open = True
            self.rows[job.recording.recording_id] = job.recording
        segment.unwritten = b"" if job.is_written else job.audio
        segment.written += len(job.audio) if job.is_written else 0
        if job.done:
            self._finished(segment, job.done)

    def _finished(self, segment: Segment, done: Recording) -> None:
        self._segments.remove(segment)
        self.rows[done.recording_id] = done
        tally = self.tally
        tally.live_segments -= 1
        tally.audio_s += (done.duration_ms or 0) / 1000
        tally.counts += segment.track.counts
        if done.state == COMPLETE:
            tally.complete += 1
        else:
            tally.cut += 1

    def _note(self, call: Call, event: str, segment_id: str, data: dict[str, object]) -> None:
        started = call.started
        self._remember(
            event=event,
            origin=started.origin,
            session_id=started.session_id,
            sub_account_id=started.sub_account_id,
            dialog_id=started.dialog_id,
            segment_id=segment_id,
            data=msgspec.json.encode(data).decode() if data else None,
        )

    def _note_refused(self) -> None:
        for (origin, cause), times in self._refused.items():
            data = msgspec.json.encode({"why": cause.value, "times": times}).decode()
            self._remember(event="refused", origin=origin, data=data)
        self._refused.clear()

    def _remember(self, **columns: Any) -> None:
        event = StreamEvent(number=self._number, run_id=self._run_id, happened_at=self._now(), **columns)
        self._number += 1
        self._fresh.append(event)

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._clock(), UTC)


def _told(data: str | None) -> dict[str, object]:
    """What came with an Info: JSON as it is, else as a text."""
    if not data:
        return {}
    try:
        return {"data": msgspec.json.decode(data)}
    except msgspec.DecodeError:
        return {"data": data}
