"""What `verify` checks of calls: recordings and summaries in a state of their own, every file where its row says."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

# name, SQL that counts what is looked at, SQL that gives what is wrong; both over [start, end).
KEY = "sub_account_id, dialog_id, segment_id"
RECORDINGS = "FROM recordings WHERE coalesce(ended_at, started_at) >= ? AND coalesce(ended_at, started_at) < ?"
DOWNLOADS = f"{RECORDINGS} AND origin = 'ringcx'"
SUMMARIES = "FROM summaries WHERE segment_end_time >= ? AND segment_end_time < ?"
WAITING = "state IN ('pending', 'missing')"

CALL_CHECKS = (
    (
        "every recording is in a state of its own",
        f"SELECT count(*) AS n {RECORDINGS}",
        f"""SELECT recording_id, {KEY}, origin, state {RECORDINGS} AND NOT list_contains(if(origin = 'ringcx',
            ['pending', 'stored', 'missing', 'expired'], ['open', 'complete', 'cut']), state) ORDER BY ALL""",
    ),
    (
        "every stored recording has its file, length and digest on record",
        f"SELECT count(*) AS n {DOWNLOADS} AND state = 'stored'",
        f"""SELECT recording_id, {KEY} {DOWNLOADS} AND state = 'stored'
            AND (path IS NULL OR size_bytes IS NULL OR sha256 IS NULL OR duration_ms IS NULL) ORDER BY ALL""",
    ),
    (
        "every recording that did not come has a time at which it is asked for again",
        f"SELECT count(*) AS n {DOWNLOADS} AND {WAITING}",
        f"SELECT recording_id, {KEY} {DOWNLOADS} AND {WAITING} AND next_attempt_at IS NULL ORDER BY ALL",
    ),
    (
        "every summary is in a state of its own",
        f"SELECT count(*) AS n {SUMMARIES}",
        f"""SELECT {KEY}, kind, state {SUMMARIES} AND (state NOT IN ('pending', 'stored', 'empty', 'missing', 'expired')
            OR (state = 'stored') <> (summary IS NOT NULL) OR ({WAITING} AND next_attempt_at IS NULL)) ORDER BY ALL""",
    ),
)

FILES_SQL = f"""
    SELECT recording_id, {KEY}, path, size_bytes {RECORDINGS}
    AND state IN ('stored', 'complete', 'cut') AND path IS NOT NULL AND size_bytes IS NOT NULL ORDER BY ALL
"""


def astray(rows: Sequence[Mapping[str, object]], top: Path) -> Iterator[dict[str, object]]:
    """The recordings whose file is not there, or not as long as it was; `on_disk_bytes` is None for the former."""
    for row in rows:
        try:
            on_disk = (top / str(row["path"])).stat().st_size
        except OSError:
            on_disk = None
        if on_disk != row["size_bytes"]:
            yield {**row, "on_disk_bytes": on_disk}
