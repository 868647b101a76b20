"""What killed receivers left behind, put in order: their files made whole, and `recordings` says what they hold.

Everything that is needed lies beside the audio (`disk`), also when a receiver was killed before the first row
of a recording was committed, or could not commit at all. Doing it twice changes nothing.
"""

import logging
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pyarrow as pa

from flows import tables
from flows.alive import LiveRuns
from flows.calls.receiving.disk import EVENTS, journal
from flows.calls.receiving.rows import (
    CUT,
    OPEN,
    Recording,
    StreamEvent,
    event_rows,
    recording_rows,
    stored,
)
from flows.calls.tables import RECORDINGS, STREAM_EVENTS
from flows.on_record import KILLED, RUNNING
from sinks.audio import AudioError, digest, repair
from sinks.changes import Append, Change, Upsert
from sinks.lake import Lake

log = logging.getLogger(__name__)
KILLED_RECEIVER = "the receiver was killed"


@dataclass(frozen=True, slots=True)
class Recovered:
    """What was put in order: killed receivers, their recordings that were cut, those that were only not committed."""

    runs: int = 0
    cut: int = 0
    complete: int = 0
    events: int = 0


def recover(lake: Lake, audio: Path) -> Recovered:
    """Put in order what killed receivers left in this folder. Raises LakeError, StateUnavailable, OSError."""
    with LiveRuns(journal(audio)).dead() as dead:
        over = sorted({*dead, *_ended(journal(audio))})
        folders = [journal(audio) / run_id for run_id in over]
        left = [_mended(audio, note) for folder in folders for note in sorted(folder.glob("*.json"))]
        recordings = [recording for recording in left if recording]
        recordings += _orphans(lake, audio, over, {one.recording_id for one in recordings})
        events = _new_events(lake, [event for folder in folders for event in _events(folder / EVENTS)])
        changes: list[Change] = []
        if over:
            rows = pa.Table.from_pylist(
                [{"run_id": one, "kind": "", "state": KILLED} for one in over], tables.RUNS.schema
            )
            keep = f"t.state <> '{RUNNING}'"
            changes.append(Upsert(tables.RUNS, rows, update={"state": "s.state"}, insert=False, keep=keep))
        if recordings:
            changes.append(Upsert(RECORDINGS, recording_rows(recordings)))
        if events:
            changes.append(Append(STREAM_EVENTS, event_rows(events)))
        if changes:
            lake.commit(changes, f"after killed receivers: {len(recordings)} recordings")
        for folder in folders:
            _tidy(folder)
    cut = sum(one.state == CUT for one in recordings)
    return Recovered(len(over), cut, len(recordings) - cut, len(events))


def _ended(notes: Path) -> list[str]:
    """Runs that ended by themselves and left notes: the lake would not take them. A living run has its lock first."""
    folders = (path for path in notes.glob("*") if path.is_dir())
    return [folder.name for folder in folders if not folder.with_name(f"{folder.name}.lock").exists()]


def _mended(audio: Path, note: Path) -> Recording | None:
    """The recording that a note is about, as it is on the disk; None for a note that a power cut tore."""
    try:
        return _as_on_disk(audio, msgspec.json.decode(note.read_bytes(), type=Recording))
    except msgspec.DecodeError as error:
        log.warning("note unreadable, left out path=%s error=%s", note, error)
        return None


def _as_on_disk(audio: Path, recording: Recording) -> Recording:
    if recording.state == OPEN:
        recording = msgspec.structs.replace(recording, state=CUT, error=KILLED_RECEIVER)
    path = audio / recording.path
    try:
        return stored(recording, repair(path), digest(path))
    except (FileNotFoundError, AudioError) as error:
        what = "its file is missing" if isinstance(error, FileNotFoundError) else str(error)
        return msgspec.structs.replace(recording, state=CUT, duration_ms=0, error=f"{recording.error}; {what}")


def _orphans(lake: Lake, audio: Path, dead: list[str], known: set[str]) -> list[Recording]:
    """Recordings that are still open in the table, though their run is over and left no note of them."""
    columns = ", ".join(Recording.__struct_fields__)
    sql = f"SELECT {columns} FROM recordings WHERE state = 'open' AND (list_contains(?, run_id)"  # noqa: S608 - ours
    sql += " OR run_id IN (SELECT run_id FROM runs WHERE state <> 'running'))"
    found = msgspec.convert(lake.query(sql, [dead]).to_pylist(), list[Recording])
    return [_as_on_disk(audio, one) for one in found if one.recording_id not in known]


def _events(path: Path) -> list[StreamEvent]:
    """The events of a journal; its last line may be torn."""
    try:
        lines = path.read_bytes().splitlines()
    except FileNotFoundError:
        return []
    events = []
    for line in lines:
        try:
            events.append(msgspec.json.decode(line, type=StreamEvent))
        except msgspec.DecodeError as error:
            log.warning("event unreadable, left out path=%s error=%s", path, error)
    return events


def _new_events(lake: Lake, events: list[StreamEvent]) -> list[StreamEvent]:
    """Those that were not committed before the receiver was killed."""
    sql = "SELECT run_id, max(number) AS last FROM stream_events WHERE list_contains(?, run_id) GROUP BY run_id"
    rows = lake.query(sql, [sorted({event.run_id for event in events})]).to_pylist()
    last = {row["run_id"]: row["last"] for row in rows}
    return [event for event in events if event.number > last.get(event.run_id, -1)]


def _tidy(folder: Path) -> None:
    """Take the folder of a run away, now that all of it is committed."""
    for note in folder.glob("*"):
        note.unlink()
    if folder.exists():
        folder.rmdir()
