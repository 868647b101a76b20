"""What RingCentral's AI answered, stored: a job's end with what was heard, or made of it, in one commit.

Only the first answer of a job counts. What cannot be understood goes to `quarantine`, and never keeps the rest out.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, time, timedelta

import pyarrow as pa

from connectors.ringcentral.records import FAIL, SUCCESS, Answer, Results
from connectors.ringcentral.results import raw_of
from connectors.ringcx.records import Problem
from flows.calls.speech import jobs
from flows.calls.speech.jobs import Ending
from flows.calls.speech.platform_jobs import Asked, asked, keyed
from flows.calls.tables import ANALYSIS, INSIGHTS, JOBS
from flows.outcomes import Key
from flows.ports import Store
from flows.tables import QUARANTINE, quarantine_rows, quarantine_table
from sinks.changes import Append, Upsert

SIDES = {"0": "agent", "1": "contact"}  # of two channels that are heard apart


def settle(store: Store, job: Asked, answer: Answer, now: datetime, run_id: str) -> None:
    """Store what a job came to; nothing while it goes on, or if it has ended or is to be begun anew."""
    if job.state != jobs.SUBMITTED and (job.state != jobs.WAITING or job.job_id is not None):
        return
    run_id = job.claimed_by or run_id  # the run that asked is who brought it
    if answer.status == FAIL and answer.is_about_audio:
        jobs.put_off(store, job.key, job.source, now, run_id, answer.error)
    elif answer.status == FAIL:
        _finish(store, job, now, run_id, jobs.FAILED, answer.error)
    elif answer.status == SUCCESS:
        _store(store, job, answer, now, run_id)


def give_up(store: Store, job: Asked, now: datetime, run_id: str, state: str, said: str, body: str = "") -> None:
    """End a job that no answer can come of; `body`: what came instead, which is kept."""
    bad = [Problem(position=0, raw=raw_of(body.encode()), reason=said)] if body else []
    run_id = job.claimed_by or run_id
    _finish(store, job, now, run_id, state, said, quarantine_rows("job", job.key, bad, now, run_id))


def overdue(store: Store, now: datetime, run_id: str) -> None:
    """End what has expired; make due again, or give up, what nobody knows of and no answer came for."""
    for job in asked(store, "state = 'submitted' AND (expires_at < ? OR next_attempt_at < ?)", [now, now]):
        if job.expires_at and job.expires_at < now:
            said = "no answer came before RingCentral forgot it"
            _finish(store, job, now, run_id, jobs.EXPIRED, said)
        elif job.job_id is None:
            said = job.error or "a run ended before it read whether RingCentral had begun it"
            jobs.put_off(store, job.key, job.source, now, run_id, f"{said}; no answer came")


def refuse(store: Store, key: Key, place: str, raw: str, reason: str, now: datetime, run_id: str) -> None:
    """Keep a body that is about no job, with its reason, in `quarantine`."""
    rows = quarantine_rows("job", key, [Problem(position=0, raw=raw, reason=reason)], now, run_id)
    store.commit([Upsert(QUARANTINE, quarantine_table(rows), update={})], f"{place}: quarantine")


def _store(store: Store, job: Asked, answer: Answer, now: datetime, run_id: str) -> None:
    """The job's end, what it brought, and what of it could not be understood, in one commit."""
    is_analysis, results = job.source == ANALYSIS, answer.results
    wanted = results.insights if is_analysis else results.utterances
    said, raw = answer.error, answer.raw
    if not said and wanted is None:
        said, raw = "its results are those of another kind of job", answer.job_id
    if said:
        bad = quarantine_rows("job", job.key, [Problem(position=0, raw=raw, reason=said)], now, run_id)
        _finish(store, job, now, run_id, jobs.FAILED, said, bad)
        return
    bad = quarantine_rows("insight" if is_analysis else "utterance", job.key, results.flaws, now, run_id)
    state = jobs.DONE if wanted else jobs.EMPTY
    note = f"{len(bad)} items could not be understood" if bad else None
    _finish(store, job, now, run_id, state, note, bad, results)


def _finish(
    store: Store,
    job: Asked,
    now: datetime,
    run_id: str,
    state: str,
    said: str | None,
    bad: Sequence[dict[str, object]] = (),
    results: Results = Results(),  # noqa: B008 - frozen
) -> None:
    is_analysis = job.source == ANALYSIS
    ending = Ending(
        key=job.key,
        source=job.source,
        at=now,
        run_id=run_id,
        state=state,
        error=said,
        confidence=results.confidence,
        utterances=[] if is_analysis else _utterances(job, results, now),
        day=datetime.combine(job.segment_day, time(), UTC) if job.segment_day else None,
    )
    insights = pa.Table.from_pylist(_insights(job, results) if is_analysis else [], INSIGHTS.schema)
    also = (
        Append(INSIGHTS, insights, under=JOBS, replace=True),
        Upsert(QUARANTINE, quarantine_table(bad), update={}),
    )
    jobs.finish(store, [ending], also)


def _utterances(job: Asked, results: Results, now: datetime) -> list[dict[str, object]]:
    """Who is who is known of two channels only: nobody says which of the speakers that were told apart is the agent."""
    zero = job.audio_started_at or job.submitted_at or now
    sides = SIDES if job.channels == 2 else {}
    return [
        {
            "seq": seq,
            "spoken_at": zero + timedelta(milliseconds=one.start_ms),
            "participant_id": one.speaker_id,
            "participant_type": sides.get(one.speaker_id or ""),
            "message": one.text,
            "extra": {"start_ms": one.start_ms, "end_ms": one.end_ms, "confidence": one.confidence},
        }
        for seq, one in enumerate(results.utterances or ())
    ]


def _insights(job: Asked, results: Results) -> list[dict[str, object]]:
    return [
        {
            **keyed(job.key, job.source),
            "position": position,
            "scope": one.scope,
            "name": one.name,
            "speaker_id": one.speaker_id,
            "starts_at_ms": one.start_ms,
            "ends_at_ms": one.end_ms,
            "value": one.value,
        }
        for position, one in enumerate(results.insights or ())
    ]
