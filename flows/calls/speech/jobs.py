"""The table `jobs`: which segment is to be heard by which engine, who is at it, and what came of it.

A job is *claimed* as transcripts are: `next_attempt_at` moved ahead, and `claimed_by`; given back when its run ends or
is found dead. Its end and what was heard are one commit, and only the first end counts: so nothing is lost or doubled
by whatever is killed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

import msgspec
import pyarrow as pa

from flows.calls.speech.hearing import Candidate
from flows.calls.tables import JOBS
from flows.columns import SEGMENT_KEY
from flows.outcomes import Key
from flows.ports import Store
from flows.tables import UTTERANCES
from sinks.changes import Append, Change, Upsert

WAITING, SUBMITTED, DONE, EMPTY, FAILED, EXPIRED = "waiting", "submitted", "done", "empty", "failed", "expired"
ENDED = (DONE, EMPTY, FAILED, EXPIRED)
ATTEMPTS = 3  # at what may be our trouble or the engine's
RETRY = timedelta(minutes=10)  # doubled each time


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """How a job ended. The rows of `utterances` lack key and source; `day`: when the segment ended."""

    key: Key
    source: str
    at: datetime
    run_id: str
    state: str = DONE
    error: str | None = None
    confidence: float | None = None
    audio_ms: int | None = None
    utterances: Sequence[Mapping[str, object]] = ()
    day: datetime | None = None

    @property
    def segment_day(self) -> date:
        """The one day that all of it is stored under; where nobody knows the end, that of the first utterance."""
        spoken = [row["spoken_at"] for row in self.utterances]
        first = min((at for at in spoken if isinstance(at, datetime)), default=self.at)
        return (self.day or first).date()


def claim(
    store: Store, wanted: Sequence[Candidate], source: str, run_id: str, now: datetime, *, language: str
) -> list[Candidate]:
    """Those of them that are this run's now; another run may have been quicker, or done with them."""
    if not wanted:
        return []
    rows = [
        {
            **_keyed(one.key, source),
            "state": WAITING,
            "recording_ids": one.recording_ids or None,
            "audio_ms": one.audio_ms,
            "language": language,
            "claimed_by": run_id,
            "next_attempt_at": now + lease(one.audio_ms),
            "attempts": 0,
        }
        for one in wanted
    ]
    update = {name: f"s.{name}" for name in rows[0] if name not in (*JOBS.key, "attempts")}
    busy = f"t.state IN {(*ENDED, SUBMITTED)} OR t.next_attempt_at > TIMESTAMPTZ '{now.isoformat()}'"
    store.commit([Upsert(JOBS, _table(rows), update=update, keep=busy)], f"transcribe {run_id}: claim {len(rows)}")
    mine = {tuple(row.values()) for row in store.query(MINE_SQL, [run_id, source]).to_pylist()}
    return [one for one in wanted if one.key in mine]


def lease(audio_ms: int) -> timedelta:
    """How long a claim holds: longer than hearing it can take."""
    return timedelta(minutes=15) + timedelta(milliseconds=4 * audio_ms)


def finish(store: Store, endings: Sequence[Ending], also: Sequence[Change] = ()) -> bool:
    """Commit what jobs came to, with all that was heard. False where every one of them had ended before.

    `also`: what is committed with it, such as rows under `jobs`.
    """
    if not endings:
        return False
    jobs = [_ended(one) for one in endings]
    update = {name: f"s.{name}" for name in jobs[0] if name not in JOBS.key} | {"attempts": "t.attempts + 1"}
    update["confidence"] = "coalesce(s.confidence, t.confidence)"
    update["audio_ms"] = "coalesce(s.audio_ms, t.audio_ms)"
    said = [row for one in endings for row in _utterances(one)]
    changes: list[Change] = [
        Upsert(JOBS, _table(jobs), update=update, insert=False, keep=f"t.state IN {ENDED}"),
        Append(UTTERANCES, pa.Table.from_pylist(said, UTTERANCES.schema), under=JOBS, replace=True),
        *also,
    ]
    written = store.commit(changes, f"transcribe {endings[0].run_id}: {len(endings)} jobs")
    return bool(written["jobs"].updated)


def put_off(store: Store, key: Key, source: str, now: datetime, run_id: str, error: str) -> str:
    """Note that an attempt came to nothing: the job is due again later, or has failed for good. Its state."""
    sql = "SELECT attempts FROM jobs WHERE (sub_account_id, dialog_id, segment_id, source) = (?, ?, ?, ?)"
    rows = store.query(sql, [*key, source]).to_pylist()
    attempts = int(rows[0]["attempts"] or 0) + 1 if rows else 1
    is_over = attempts >= ATTEMPTS
    row = {
        **_keyed(key, source),
        "state": FAILED if is_over else WAITING,
        "attempts": attempts,
        "error": error,
        "next_attempt_at": None if is_over else now + RETRY * 2 ** (attempts - 1),
        "finished_at": now if is_over else None,
        "claimed_by": None,
        "run_id": run_id,
    }
    keep = f"t.state IN {ENDED}"
    store.commit([Upsert(JOBS, _table([row]), insert=False, keep=keep)], f"transcribe {run_id}: in vain")
    return str(row["state"])


def given_back(store: Store, run_ids: Sequence[str]) -> list[Change]:
    """The changes that make due what these runs hold; none where they hold nothing."""
    held = store.query(HELD_SQL, [list(run_ids)])
    if not held.num_rows:
        return []
    update = {"next_attempt_at": "TIMESTAMPTZ '1970-01-01 00:00:00+00'", "claimed_by": "NULL"}
    return [Upsert(JOBS, held, update=update, insert=False)]


def _ended(one: Ending) -> dict[str, object]:
    return {
        **_keyed(one.key, one.source),
        "state": one.state,
        "finished_at": one.at,
        "next_attempt_at": None,
        "claimed_by": None,
        "segment_day": one.segment_day,
        "utterance_count": len(one.utterances),
        "confidence": one.confidence,
        "audio_ms": one.audio_ms,
        "error": one.error,
        "run_id": one.run_id,
    }


def _utterances(one: Ending) -> list[dict[str, object]]:
    rows = []
    for row in one.utterances:
        message = str(row["message"])
        extra = msgspec.json.encode(row["extra"]).decode() if row.get("extra") else None
        rows.append(
            {
                **_keyed(one.key, one.source),
                **row,
                "words": len(message.split()),
                "extra": extra,
                "segment_day": one.segment_day,
            }
        )
    return rows


def _keyed(key: Key, source: str) -> dict[str, object]:
    return {**dict(zip(SEGMENT_KEY, key, strict=True)), "source": source}


def _table(rows: Sequence[Mapping[str, object]]) -> pa.Table:
    schema = pa.schema([JOBS.schema.field(name) for name in rows[0]])
    return pa.Table.from_pylist([dict(row) for row in rows], schema)


MINE_SQL = """
    SELECT sub_account_id, dialog_id, segment_id FROM jobs WHERE claimed_by = ? AND source = ? AND state = 'waiting'
"""
HELD_SQL = """
    SELECT sub_account_id, dialog_id, segment_id, source FROM jobs
    WHERE state = 'waiting' AND list_contains(?, claimed_by)
"""
