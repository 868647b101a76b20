"""Fetching once more what has been fetched: history that is known to have been wrong, or was changed by RingCX.

asked    every segment of a span that has its answer is marked (`refetch_asked_at`), in one commit, before any request
done     another transcript came and took the place of the stored one; or none came, and what is stored stays
goes on  while a mark of the span is left, the same command goes on from there and marks nothing anew

The mark is also where polling goes on: windows of the span polled since then need not be polled again.
"""

from datetime import datetime

from flows import tables
from flows.ports import Store
from flows.windows import Window
from sinks.changes import Upsert

KEY = "sub_account_id, dialog_id, segment_id, segment_end_time"
ANSWERED = f"transcript_state NOT IN ('{tables.ABSENT}', '{tables.PENDING}')"
INSIDE = "FROM segments WHERE sub_account_id = ? AND segment_end_time >= ? AND segment_end_time < ?"


def ask(store: Store, sub_account_id: str, span: Window, now: datetime) -> None:
    """Mark what `span` holds, unless an earlier refetch of it has not come to its end."""
    if asked_at(store, sub_account_id, span):
        return
    rows = store.query(f"SELECT {KEY} {INSIDE} AND {ANSWERED}", [sub_account_id, span.start, span.end])
    instant = f"TIMESTAMPTZ '{now.isoformat()}'"
    mark = {"refetch_asked_at": instant, "next_attempt_at": instant}
    store.commit(
        [Upsert(tables.SEGMENTS, rows, update=mark, insert=False, near="segment_end_time")],
        f"refetch {sub_account_id} {span}",
    )


def asked_at(store: Store, sub_account_id: str, span: Window) -> datetime | None:
    """When the refetch of `span` that is still under way was asked for; None: there is none."""
    sql = f"SELECT min(refetch_asked_at) AS asked_at {INSIDE}"
    asked: datetime | None = store.query(sql, [sub_account_id, span.start, span.end]).to_pylist()[0]["asked_at"]
    return asked


def wanted(store: Store, sub_account_id: str, span: Window) -> int:
    """How many transcripts a refetch of `span` asks for: those left of the one under way, or all."""
    left = "refetch_asked_at IS NOT NULL" if asked_at(store, sub_account_id, span) else ANSWERED
    sql = f"SELECT count(*) AS n {INSIDE} AND {left}"
    return int(store.query(sql, [sub_account_id, span.start, span.end]).to_pylist()[0]["n"])


def polled_since(store: Store, sub_account_id: str, since: datetime) -> list[Window]:
    """The windows that were polled at `since` or later."""
    sql = "SELECT window_start, window_end FROM windows WHERE sub_account_id = ? AND polled_at >= ?"
    return [Window(*row.values()) for row in store.query(sql, [sub_account_id, since]).to_pylist()]
