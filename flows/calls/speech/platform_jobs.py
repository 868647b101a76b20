"""Jobs of RingCentral's AI in the table `jobs`: intended, begun, in doubt, answered.

    submitted, no job id    intended: its request goes out, or went out and nobody knows whether it arrived
    submitted, job id       begun: an answer comes to its path, or it is asked how it is
    waiting                 surely not begun, or its audio was not there yet: due again at next_attempt_at

A job is on record, with the digest of its path, before the platform hears of it: so an answer finds its job even if it
is quicker than the receipt, and a killed run loses none. Only the first answer of a job is stored.
"""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

import pyarrow as pa

from flows.calls.speech import jobs
from flows.calls.speech.jobs import Ending
from flows.calls.tables import ANALYSIS, JOBS, RINGCENTRAL_AI
from flows.columns import SEGMENT_KEY
from flows.outcomes import Key
from flows.ports import Store
from sinks.changes import Upsert

AI = (RINGCENTRAL_AI, ANALYSIS)
EXPIRES = timedelta(days=7)  # documented
IN_DOUBT = timedelta(minutes=10)  # how long an answer is waited for of what may have begun, before it is begun anew
NOT_BEGUN = timedelta(minutes=5)
PATH = re.compile(r"/ringcx/[A-Za-z0-9_-]{43}$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Intent:
    """A job that is to be begun. `secret` is the end of its webhook's address; only its digest is stored."""

    key: Key
    source: str
    started_at: datetime
    segment_day: date
    audio_ms: int | None = None
    content_uri: str = field(default="", repr=False)
    channels: int | None = None
    secret: str = field(repr=False)

    @property
    def path(self) -> str:
        """Where its answer is expected."""
        return f"/ringcx/{self.secret}"


@dataclass(frozen=True, slots=True)
class Asked:
    """A job on record."""

    key: Key
    source: str
    state: str
    job_id: str | None
    attempts: int
    submitted_at: datetime | None
    next_attempt_at: datetime | None
    expires_at: datetime | None
    audio_started_at: datetime | None
    segment_day: date | None
    channels: int | None
    claimed_by: str | None
    utterance_count: int | None
    error: str | None

    @property
    def name(self) -> str:
        """How it is named to people."""
        return f"segment {self.key[2]} of dialog {self.key[1]}"


def digest_of(path: str) -> str:
    """What is stored of a path; empty for one that is none of a job's."""
    found = PATH.search(path)
    return hashlib.sha256(found.group().encode()).hexdigest() if found else ""


def intend(store: Store, intents: Sequence[Intent], run_id: str, now: datetime, language: str) -> list[Intent]:
    """Put jobs on record: those of them that are this run's now. Others have ended, or somebody is at them."""
    if not intents:
        return []
    rows = [
        {
            **keyed(one.key, one.source),
            "state": jobs.SUBMITTED,
            "job_id": None,
            "webhook_digest": digest_of(one.path),
            "attempts": 0,
            "submitted_at": now,
            "next_attempt_at": now + IN_DOUBT,
            "expires_at": now + EXPIRES,
            "audio_started_at": one.started_at,
            "segment_day": one.segment_day,
            "channels": one.channels,
            "audio_ms": one.audio_ms,
            "language": language,
            "error": None,
            "claimed_by": run_id,
        }
        for one in intents
    ]
    update = {name: f"s.{name}" for name in rows[0] if name not in (*JOBS.key, "attempts")}
    free = (
        "t.state = 'waiting' AND (t.claimed_by = s.claimed_by OR coalesce(t.next_attempt_at <= s.submitted_at, true))"
    )
    _commit(
        store, rows, update, keep=f"NOT coalesce({free}, false)", insert=True, message=f"transcribe {run_id}: intends"
    )
    digests = {digest_of(one.path): one for one in intents}
    mine = store.query("SELECT webhook_digest FROM jobs WHERE list_contains(?, webhook_digest)", [list(digests)])
    return [digests[row["webhook_digest"]] for row in mine.to_pylist()]


def begun(store: Store, receipts: Sequence[tuple[Intent, str]], run_id: str) -> None:
    """Store the ids of jobs that the platform took; also of one that has been answered already."""
    rows = [
        {
            **keyed(one.key, one.source),
            "webhook_digest": digest_of(one.path),
            "job_id": job_id,
            "next_attempt_at": None,
        }
        for one, job_id in receipts
    ]
    update = {"job_id": "s.job_id", "next_attempt_at": "s.next_attempt_at"}
    keep = "t.webhook_digest IS DISTINCT FROM s.webhook_digest"
    _commit(store, rows, update, keep=keep, message=f"transcribe {run_id}: {len(rows)} jobs begun")


def in_doubt(store: Store, one: Intent, run_id: str, said: str) -> None:
    """Note that a job may have begun: its path stays open, and it is not begun anew before `next_attempt_at`."""
    row = {**keyed(one.key, one.source), "webhook_digest": digest_of(one.path), "error": said}
    keep = f"t.state IN {jobs.ENDED} OR t.webhook_digest IS DISTINCT FROM s.webhook_digest"
    _commit(store, [row], {"error": "s.error"}, keep=keep, message=f"transcribe {run_id}: a job in doubt")


def not_begun(store: Store, intents: Sequence[Intent], run_id: str, now: datetime, said: str) -> None:
    """Note that jobs have surely not begun: they are due again soon, and it costs them no attempt."""
    rows = [
        {
            **keyed(one.key, one.source),
            "state": jobs.WAITING,
            "webhook_digest": None,
            "next_attempt_at": now + NOT_BEGUN,
            "claimed_by": None,
            "error": said,
        }
        for one in intents
    ]
    update = {name: f"s.{name}" for name in rows[0] if name not in JOBS.key} if rows else {}
    keep = f"t.state IN {jobs.ENDED} OR t.job_id IS NOT NULL"
    _commit(store, rows, update, keep=keep, message=f"transcribe {run_id}: {len(rows)} jobs not begun")


def asked(store: Store, condition: str, parameters: Sequence[object]) -> list[Asked]:
    """The jobs of the AI API for which an SQL condition of the program's own holds."""
    rows = store.query(
        f"""SELECT sub_account_id, dialog_id, segment_id, source, state, job_id, coalesce(attempts, 0) AS attempts,
            submitted_at, next_attempt_at, expires_at, audio_started_at, segment_day, channels, claimed_by,
            utterance_count, error
        FROM jobs WHERE source IN {AI} AND ({condition})""",  # noqa: S608 - the program's own
        parameters,
    ).to_pylist()
    return [Asked(tuple(row.pop(name) for name in SEGMENT_KEY), **row) for row in rows]


def refused(store: Store, one: Intent, run_id: str, now: datetime, said: str) -> None:
    """End a job that the platform will not begin."""
    jobs.finish(store, [Ending(key=one.key, source=one.source, at=now, run_id=run_id, state=jobs.FAILED, error=said)])


def stereo(store: Store, keys: Sequence[Key]) -> set[Key]:
    """Those segments whose recording is known to have a channel for each side."""
    sql = """SELECT DISTINCT sub_account_id, dialog_id, segment_id FROM recordings
        WHERE origin = 'ringcx' AND state = 'stored' AND channels = 2 AND list_contains(?::VARCHAR[], dialog_id)"""
    rows = store.query(sql, [sorted({key[1] for key in keys})]).to_pylist()
    return {tuple(row.values()) for row in rows} & set(keys)


def keyed(key: Key, source: str) -> dict[str, object]:
    """The columns that name a job."""
    return {**dict(zip(SEGMENT_KEY, key, strict=True)), "source": source}


def _commit(
    store: Store,
    rows: Sequence[dict[str, object]],
    update: dict[str, str],
    *,
    keep: str,
    message: str,
    insert: bool = False,
) -> None:
    if rows:
        schema = pa.schema([JOBS.schema.field(name) for name in rows[0]])
        table = pa.Table.from_pylist(list(rows), schema)
        store.commit([Upsert(JOBS, table, update=update, insert=insert, keep=keep)], message)
