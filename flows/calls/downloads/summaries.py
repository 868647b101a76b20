"""Summaries fetched: RingCX's own and the agent's, for each segment, into `summaries`. Knows no Prefect."""

from collections.abc import Sequence
from datetime import timedelta

import pyarrow as pa

from connectors.ringcx.summaries import AGENT, AUTO, Summaries
from flows.calls.downloads.choice import CONDITION, Choice
from flows.calls.downloads.fetching import Errand, Progress
from flows.calls.downloads.fetching import fetch as fetch_all
from flows.calls.downloads.fetching import wanted as wanted_of
from flows.calls.downloads.haul import EMPTY, STORED, Arrival, Fetched, Item, Outcome
from flows.calls.tables import SUMMARIES
from flows.columns import SEGMENT_KEY
from flows.runtime import Accounts, Runtime
from sinks.changes import Change, Upsert

KIND = "summaries"

# Of an IVR nobody makes a summary; an agent leaves one only of what they said themselves.
FROM = f"""
    FROM segments AS s CROSS JOIN (VALUES ('{AUTO}'), ('{AGENT}')) AS k(kind)
    LEFT JOIN summaries AS r USING (sub_account_id, dialog_id, segment_id, kind)
    WHERE {CONDITION} AND s.segment_type IS DISTINCT FROM 'IVR'
        AND (kind = '{AUTO}' OR coalesce(s.segment_type, 'AGENT') = 'AGENT')
        AND coalesce(r.state, 'pending') NOT IN ('stored', 'expired')
        AND (r.state IS DISTINCT FROM '{EMPTY}' OR r.next_attempt_at IS NOT NULL)
"""
DUE_SQL = f"""
    SELECT sub_account_id, dialog_id, segment_id, kind, coalesce(r.attempts, 0) AS attempts,
        s.segment_start_time AS segment_start, s.segment_end_time AS segment_end, NULL AS longest_ms
    {FROM} AND coalesce(r.next_attempt_at, s.segment_end_time + to_seconds($ready_s)) <= $now
    ORDER BY s.segment_end_time DESC, kind LIMIT $limit
"""
LEFT_SQL = f"SELECT count(*) AS n {FROM} AND $ready_s >= 0"


async def fetch(
    runtime: Runtime,
    choice: Choice = Choice(),  # noqa: B008 - frozen
    *,
    max_minutes: float | None = None,
    on_progress: Progress = lambda haul: None,
) -> Fetched:
    """Fetch what is due of the chosen segments' summaries, newest first.

    Starts nothing new after `max_minutes`; the next run goes on from there.
    """
    return await fetch_all(runtime, _errand(runtime, choice), max_minutes=max_minutes, on_progress=on_progress)


async def wanted(runtime: Runtime, choice: Choice) -> tuple[int, timedelta]:
    """How many summaries are due, and how long they take at the present limits."""
    return await wanted_of(runtime, _errand(runtime, choice))


def _errand(runtime: Runtime, choice: Choice) -> Errand:
    source = Summaries(runtime.caller)

    async def attempt(accounts: Accounts, item: Item, run_id: str) -> Arrival:
        del accounts, run_id
        sub_account_id, _, segment_id = item.key
        text = await source.fetch(sub_account_id, segment_id, item.kind)
        if not text.strip():
            return Arrival(state=EMPTY)
        return Arrival(columns={"summary": text}, size_bytes=len(text.encode()))

    return Errand(
        kind=KIND,
        limits=runtime.settings.ringcx_summary_limits,
        due_sql=DUE_SQL,
        left_sql=LEFT_SQL,
        choice=choice,
        ready_s=float(runtime.settings.ringcx_offset_seconds),
        attempt=attempt,
        changes=_changes,
    )


def _changes(done: Sequence[Outcome], run_id: str) -> list[Change]:
    rows = {}
    for outcome in done:
        item = outcome.item
        rows[*item.key, item.kind] = {
            **dict(zip(SEGMENT_KEY, item.key, strict=True)),
            "kind": item.kind,
            "state": outcome.state,
            "segment_end_time": item.segment_end,
            "attempts": outcome.attempts,
            "next_attempt_at": outcome.next_attempt_at,
            "fetched_at": outcome.at,
            "error": outcome.error,
            "run_id": run_id,
            **outcome.arrival.columns,
        }
    stored = pa.Table.from_pylist(list(rows.values()), SUMMARIES.schema)
    return [Upsert(SUMMARIES, stored, keep=f"t.state = '{STORED}'")]
