"""What has changed in a table since a snapshot: every row that came, went or became another, once.

A *snapshot* is a commit's number. The changes between two of them are net: a row that came and went between them is not
among them, nor one that was only moved. Applied to the table as it was at the first, they give it as at the second.

DuckLake's own `table_changes` is not that: a compaction shows as updates that change nothing, a row that changes after
one as deleted by the compaction, and some twice. Its insertions and deletions are right as sums, so they are summed.
"""
# ruff: noqa: S608 - the names are quoted, the numbers are numbers

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import duckdb
import pyarrow as pa

from sinks.errors import QueryError, SnapshotGone
from sinks.lake import Lake
from sinks.schema import Table, listed, literal, quoted


@dataclass(frozen=True, slots=True)
class Changes:
    """Rows with `change_type` and `snapshot_id`, deletes first: what leads from `since` to `until`, to go on from.

    An insert or update holds the row as it is now, and the first snapshot that had it so; a delete the row as it was,
    and no snapshot. A table without a key has no updates.
    """

    rows: pa.Table
    since: int
    until: int


def changes(lake: Lake, table: str, since: int | datetime) -> Changes:
    """The changes after snapshot `since`, or after the last one at that time. SnapshotGone if it is kept no more."""
    if table not in lake.tables:
        raise QueryError(f"there is no table {table}: choose one of {', '.join(lake.tables)}")
    with lake.read() as con:
        first, until = resolve(con, since), current(con)[0]
        rows = con.execute(_changes_sql(con, lake.tables[table], first, until)).to_arrow_table()
        return Changes(rows, first, until)


def current(con: duckdb.DuckDBPyConnection) -> tuple[int, datetime]:
    """The snapshot that this connection sees, and when it was made."""
    row = con.execute("SELECT snapshot_id, snapshot_time FROM lake.snapshots() ORDER BY ALL DESC LIMIT 1").fetchone()
    if row is None:
        raise SnapshotGone("the lake has no snapshot at all")
    return int(row[0]), row[1]


def resolve(con: duckdb.DuckDBPyConnection, since: int | datetime) -> int:
    """The snapshot that is meant, which is still kept."""
    kept = {
        int(number): time
        for number, time in con.execute("SELECT snapshot_id, snapshot_time FROM lake.snapshots()").fetchall()
    }
    oldest, newest = min(kept), max(kept)
    if isinstance(since, datetime):
        earlier = [number for number, time in kept.items() if time <= since]
        if not earlier and oldest > 0:
            raise SnapshotGone(
                f"what was at {since.isoformat()} has expired (the oldest snapshot, {oldest}, is of "
                f"{kept[oldest].isoformat()}): load the whole table again"
            )
        return max(earlier, default=oldest)
    if since > newest:
        raise SnapshotGone(f"there is no snapshot {since} yet, the newest is {newest}: is it one of another lake?")
    if since not in kept:
        raise SnapshotGone(
            f"snapshot {since} has expired (the oldest is {oldest}, of {kept[oldest].isoformat()}): "
            "load the whole table again"
        )
    return since


def columns_of(con: duckdb.DuckDBPyConnection, table: str) -> list[tuple[str, str]]:
    """The names and SQL types of a stored table's columns, in order."""
    found = con.execute(
        "SELECT column_name, data_type FROM duckdb_columns() WHERE database_name = 'lake' AND table_name = ? "
        "ORDER BY column_index",
        [table],
    ).fetchall()
    return [(str(name), str(kind)) for name, kind in found]


def moves_sql(table: str, columns: Sequence[str], since: int, until: int) -> str:
    """Each row that was written (`step` 1, with its snapshot) or removed (-1) after `since`, up to `until`."""
    span = f"'lake', 'main', {literal(table)}, {since + 1}, {until}"
    names = listed(columns)
    if since == until:
        return f"SELECT {names}, 0 AS snapshot_id, 0 AS step FROM {quoted(table)} WHERE false"
    return (
        f"SELECT {names}, snapshot_id, 1 AS step FROM ducklake_table_insertions({span}) UNION ALL "
        f"SELECT {names}, NULL, -1 FROM ducklake_table_deletions({span})"
    )


def _changes_sql(con: duckdb.DuckDBPyConnection, table: Table, since: int, until: int) -> str:
    columns = [name for name, _ in columns_of(con, table.name)]
    names = listed(columns)
    replaces = f"count(*) OVER (PARTITION BY {listed(table.key)}) > 1" if table.key else "false"
    order = listed(table.key or table.sort_by or columns)
    return f"""
        SELECT change_type, snapshot_id, {names}
        FROM (
            SELECT *, CASE WHEN n < 0 THEN 'delete' WHEN {replaces} THEN 'update' ELSE 'insert' END AS change_type,
                {replaces} AND n < 0 AS gave_way
            FROM (
                SELECT {names}, CAST(sum(step) AS BIGINT) AS n, if(n > 0, min(snapshot_id), NULL) AS snapshot_id
                FROM ({moves_sql(table.name, columns, since, until)})
                GROUP BY {names}
                HAVING sum(step) <> 0
            )
        ), unnest(range(abs(n)))
        WHERE NOT gave_way
        ORDER BY change_type <> 'delete', snapshot_id, {order}
    """
