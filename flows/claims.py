"""Claims given back: what a run claimed and did not ask for is due again, at once.

A claim is a segment's `next_attempt_at` moved ahead, and `claimed_by`: `<run id>/<number of the claim>`.
"""

from collections.abc import Sequence

from flows import tables
from flows.calls.speech import jobs
from flows.ports import Store
from sinks.changes import Change, Upsert

HELD_SQL = """
    SELECT sub_account_id, dialog_id, segment_id, segment_end_time FROM segments
    WHERE list_contains(?, split_part(claimed_by, '/', 1))
"""


def given_back(store: Store, run_ids: Sequence[str]) -> list[Change]:
    """The changes that make due what these runs hold, transcripts and speech to text; none where they hold nothing."""
    heard = jobs.given_back(store, run_ids)
    held = store.query(HELD_SQL, [list(run_ids)])
    if not held.num_rows:
        return heard
    # The end of the segment is past by any clock, also by one that is set back because it was ahead.
    update = {"next_attempt_at": "t.segment_end_time", "claimed_by": "NULL"}
    return [*heard, Upsert(tables.SEGMENTS, held, update=update, insert=False, near="segment_end_time")]
