"""Live calls as rows of `recordings` and `stream_events`. Pure."""

import hashlib
from collections.abc import Iterable
from datetime import datetime, timedelta

import msgspec
import pyarrow as pa

from connectors.receivers.events import CallStarted, SegmentStarted
from connectors.receivers.reorder import Counts
from flows.calls.tables import RECORDINGS, STREAM_EVENTS
from sinks.audio import Sound

OPEN, COMPLETE, CUT = "open", "complete", "cut"


class Recording(msgspec.Struct, frozen=True, kw_only=True):
    """One segment's audio: a row of `recordings`, see there. `path` is relative, of digests and a day only."""

    recording_id: str
    sub_account_id: str
    dialog_id: str
    segment_id: str
    origin: str
    session_id: str
    state: str
    path: str
    encoding: str
    rate_hz: int
    channels: int
    started_at: datetime
    run_id: str
    participant_type: str | None = None
    participant_id: str | None = None
    participant_name: str | None = None
    ani: str | None = None
    dnis: str | None = None
    ended_at: datetime | None = None
    duration_ms: int | None = None
    size_bytes: int | None = None
    sha256: str | None = None
    chunks: int | None = None
    chunks_missing: int | None = None
    chunks_reordered: int | None = None
    chunks_doubled: int | None = None
    chunks_late: int | None = None
    error: str | None = None


class StreamEvent(msgspec.Struct, frozen=True, kw_only=True):
    """A row of `stream_events`, see there; `data` is JSON text."""

    number: int
    run_id: str
    happened_at: datetime
    event: str
    origin: str
    session_id: str | None = None
    sub_account_id: str | None = None
    dialog_id: str | None = None
    segment_id: str = ""
    data: str | None = None


def begun(call: CallStarted, segment: SegmentStarted, run_id: str, number: int, now: datetime) -> Recording:
    """The recording of a segment that has just started; `number` tells it from all others of its run."""
    who = (call.sub_account_id, call.dialog_id, segment.segment_id, call.origin, call.session_id, run_id, str(number))
    name = hashlib.sha256("\0".join(who).encode()).hexdigest()[:32]
    return Recording(
        recording_id=name,
        sub_account_id=call.sub_account_id,
        dialog_id=call.dialog_id,
        segment_id=segment.segment_id,
        origin=call.origin,
        session_id=call.session_id,
        state=OPEN,
        path=f"live/{now:%Y-%m-%d}/{name}.wav",
        encoding=segment.encoding,
        rate_hz=segment.rate_hz,
        channels=segment.channels,
        started_at=now,
        run_id=run_id,
        participant_type=segment.participant_type,
        participant_id=segment.participant_id,
        participant_name=segment.participant_name,
        ani=call.ani,
        dnis=call.dnis,
    )


def ended(recording: Recording, state: str, ended_at: datetime, error: str | None) -> Recording:
    """The recording of a segment of which nothing more comes."""
    return msgspec.structs.replace(recording, state=state, ended_at=ended_at, error=error)


def counted(recording: Recording, counts: Counts) -> Recording:
    """The recording with what came of its chunks."""
    return msgspec.structs.replace(
        recording,
        chunks=counts.chunks,
        chunks_missing=counts.missing,
        chunks_reordered=counts.reordered,
        chunks_doubled=counts.doubled,
        chunks_late=counts.late,
    )


def stored(recording: Recording, sound: Sound, sha256: str) -> Recording:
    """The recording with what its file holds. One that was cut by a crash ended when its audio did."""
    return msgspec.structs.replace(
        recording,
        duration_ms=sound.duration_ms,
        size_bytes=sound.size_bytes,
        sha256=sha256,
        ended_at=recording.ended_at or recording.started_at + timedelta(milliseconds=sound.duration_ms),
    )


def recording_rows(recordings: Iterable[Recording]) -> pa.Table:
    """One row per recording."""
    names = Recording.__struct_fields__
    schema = pa.schema([RECORDINGS.schema.field(name) for name in names])
    return pa.Table.from_pylist([msgspec.structs.asdict(one) for one in recordings], schema)


def event_rows(events: Iterable[StreamEvent]) -> pa.Table:
    """One row per event."""
    return pa.Table.from_pylist([msgspec.structs.asdict(one) for one in events], STREAM_EVENTS.schema)
