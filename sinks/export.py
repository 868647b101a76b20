"""The tables as plain Parquet, for whatever reads that: all of one snapshot, and only what has changed written anew.

    manifest.json                            what is here: the snapshot, and each file's rows and bytes
    utterances/day=2026-08-01/data.parquet   a table with partitions: one file a day, UTC
    windows/data.parquet                     any other

Each file is replaced whole. Together they are of one snapshot when the manifest says `"complete": true`; while an
export writes, and after one that was killed, it says false, and names only the files that are of its snapshot.
"""
# ruff: noqa: S608 - the names are quoted, the days are dates

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import partial
from typing import BinaryIO

import duckdb
import msgspec
import pyarrow as pa
import pyarrow.parquet

from sinks import feed, manifest
from sinks.errors import ExportError, SnapshotGone
from sinks.lake import Lake
from sinks.manifest import Entry, File, Manifest
from sinks.schema import Table, listed, quoted
from sinks.storage import Storage, open_storage

FILE, NO_DAY = "data.parquet", "__HIVE_DEFAULT_PARTITION__"
ROWS_AT_ONCE = 250_000  # in memory: a few hundred MB at most, unless one day alone has more

Day = date | None
Rows = Mapping[Day, int]  # of a table by day; a table without partitions has one, None


@dataclass(frozen=True, slots=True)
class Exported:
    """What is there now, by table, and what of it was written or removed by this export. Bytes are of all files."""

    snapshot_id: int
    snapshot_at: datetime
    rows: Mapping[str, int]
    bytes: int
    written: int
    removed: int


@dataclass(frozen=True, slots=True)
class Plan:
    """One table's files: those that stay, the days to write, and what is there and should not be."""

    table: Table
    columns: list[tuple[str, str]]
    kept: Mapping[str, File]
    todo: Rows
    stale: Sequence[str]


def export(lake: Lake, target: str, tables: Sequence[str] = (), since: date | None = None) -> Exported:
    """Bring the export at `target`, a folder or s3://bucket/prefix, up to the lake's present snapshot, or make it.

    What an export has, it keeps: naming fewer tables or a later day than before changes nothing, naming more adds them.
    Without names, all tables of a new export. Raises ExportError; done again, it goes on.
    """
    unknown = set(tables) - lake.tables.keys()
    if unknown:
        raise ExportError(f"there are no tables {', '.join(sorted(unknown))}: choose of {', '.join(lake.tables)}")
    try:
        storage = open_storage(target)
        manifest.read(storage, target)  # before the lock, which would leave its file there
        with storage.locked(), lake.read() as con:
            before = manifest.read(storage, target)
            after, plans = _planned(con, lake, storage.sizes(), before, tables, since, target)
            _carry_out(con, storage, after, plans)
    except OSError as error:
        raise ExportError(f"cannot write to {target}: {error.strerror or error}; then run it again") from error
    files = [file for entry in after.tables.values() for file in entry.files.values()]
    return Exported(
        after.snapshot_id,
        after.snapshot_at,
        {name: sum(file.rows for file in entry.files.values()) for name, entry in after.tables.items()},
        sum(file.bytes for file in files),
        sum(len(plan.todo) for plan in plans),
        sum(len(plan.stale) for plan in plans),
    )


def lake_id(con: duckdb.DuckDBPyConnection) -> str:
    """What tells this lake from any other: its first table's own id."""
    row = con.execute("SELECT min(table_uuid)::VARCHAR FROM ducklake_table_info('lake')").fetchone()
    return str(row[0]) if row else ""


def _planned(
    con: duckdb.DuckDBPyConnection,
    lake: Lake,
    sizes: Mapping[str, int],
    before: Manifest | None,
    tables: Sequence[str],
    since: date | None,
    target: str,
) -> tuple[Manifest, list[Plan]]:
    """The manifest to begin with, of the files that stay, and what is to be done."""
    snapshot_id, snapshot_at = feed.current(con)
    identity = lake_id(con)
    if before and before.lake != identity:
        raise ExportError(f"{target} is the export of another lake: choose another place, or clear it")
    if before:
        since = before.since if since is None or before.since is None else min(since, before.since)
    names = {*tables, *before.tables} if before else set(tables or lake.tables)
    plans = [_plan(con, table, before, sizes, since) for name, table in lake.tables.items() if name in names]
    entries = {plan.table.name: Entry(plan.columns, dict(plan.kept)) for plan in plans}
    after = Manifest(
        lake=identity, complete=False, snapshot_id=snapshot_id, snapshot_at=snapshot_at, since=since, tables=entries
    )
    return after, plans


def _carry_out(con: duckdb.DuckDBPyConnection, storage: Storage, after: Manifest, plans: Sequence[Plan]) -> None:
    """Write and remove; the manifest's files grow as they are written."""
    if any(plan.todo or plan.stale for plan in plans):
        manifest.write(storage, after)
    for plan in plans:
        for path, rows in _files(con, plan):
            size = storage.write(path, partial(_write, rows))
            after.tables[plan.table.name].files[path] = File(rows.num_rows, size)
        for path in plan.stale:
            storage.remove(path)
    manifest.write(storage, msgspec.structs.replace(after, complete=True))


def _plan(
    con: duckdb.DuckDBPyConnection, table: Table, before: Manifest | None, sizes: Mapping[str, int], since: date | None
) -> Plan:
    columns, rows = feed.columns_of(con, table.name), _rows_by_day(con, table, since)
    paths = {day: _path(table, day) for day in rows}
    had = before.tables.get(table.name) if before else None
    kept: dict[str, File] = {}
    if before and had and had.columns == columns and (changed := _changed_days(con, table, before)) is not None:
        for day, path in paths.items():
            file = had.files.get(path)
            if file and day not in changed and file.rows == rows[day] and file.bytes == sizes.get(path):
                kept[path] = file
    todo = {day: count for day, count in rows.items() if paths[day] not in kept}
    stale = [path for path in sizes if _is_ours(table, path) and path not in paths.values()]
    return Plan(table, columns, kept, todo, stale)


def _rows_by_day(con: duckdb.DuckDBPyConnection, table: Table, since: date | None) -> dict[Day, int]:
    day = _day_sql(table)
    found = con.execute(f"SELECT {day} AS day, count(*) FROM {quoted(table.name)} GROUP BY day ORDER BY day").fetchall()
    counted = {day: int(count) for day, count in found if not (day and since and day < since)}
    return counted if table.partition_by else {None: sum(counted.values())}  # a file, even if it has no rows


def _changed_days(con: duckdb.DuckDBPyConnection, table: Table, before: Manifest) -> set[Day] | None:
    """The days of which a row changed since; None if nobody can tell. What was only moved has not changed."""
    try:
        since = feed.resolve(con, before.snapshot_id)
    except SnapshotGone:
        return None
    columns = [name for name, _ in feed.columns_of(con, table.name)]
    moves = feed.moves_sql(table.name, columns, since, feed.current(con)[0])
    found = con.execute(
        f"""
        SELECT day
        FROM (SELECT {_day_sql(table)} AS day, step, hash({listed(columns)})::HUGEINT AS digest FROM ({moves}))
        GROUP BY day HAVING sum(step) <> 0 OR sum(step * digest) <> 0
        """
    ).fetchall()
    return {day for (day,) in found}


def _day_sql(table: Table) -> str:
    """The day of a row, as SQL: of the first column that its table's partitions are made of."""
    if not table.partition_by:
        return "CAST(NULL AS DATE)"
    column = quoted(table.partition_columns[0])
    return column if _is_date(table) else f"CAST({column} AT TIME ZONE 'UTC' AS DATE)"


def _is_date(table: Table) -> bool:
    return bool(pa.types.is_date(table.schema.field(table.partition_columns[0]).type))


def _path(table: Table, day: Day) -> str:
    return f"{table.name}/{_key(table)}={day or NO_DAY}/{FILE}" if table.partition_by else f"{table.name}/{FILE}"


def _is_ours(table: Table, path: str) -> bool:
    return path.startswith(f"{table.name}/{_key(table)}=") and path.endswith(f"/{FILE}")


def _key(table: Table) -> str:
    """What the folders of a table's days are named; a column of the same name would be in the way of readers."""
    return "day" if "day" not in table.schema.names else "day_of_export"


def _files(con: duckdb.DuckDBPyConnection, plan: Plan) -> Iterator[tuple[str, pa.Table]]:
    """Every file to write, with its rows in the table's order."""
    table, day = plan.table, _day_sql(plan.table)
    # JSON as the text it is: not every reader knows Arrow's JSON type.
    columns = ", ".join(f"{quoted(n)}::VARCHAR AS {quoted(n)}" if k == "JSON" else quoted(n) for n, k in plan.columns)
    order = listed(table.sort_by or table.key)
    for days in _packed(plan.todo):
        found = con.execute(
            f"SELECT {columns} FROM {quoted(table.name)} WHERE {_of(table, days)} ORDER BY {day}, {order}"
        ).to_arrow_table()
        if found.num_rows != sum(plan.todo[it] for it in days):
            raise ExportError(f"{table.name} has {found.num_rows} rows of {days[0]} to {days[-1]}, more were counted")
        begin = 0
        for it in days:
            yield _path(table, it), found.slice(begin, plan.todo[it])
            begin += plan.todo[it]


def _of(table: Table, days: Sequence[Day]) -> str:
    """The rows of unbroken days, as SQL by which DuckLake leaves out files: of an OR it reads every one."""
    if not table.partition_by:
        return "true"
    first, last, column = days[0], days[-1], quoted(table.partition_columns[0])
    if first is None or last is None:
        return f"{column} IS NULL"
    midnight = "" if _is_date(table) else " 00:00:00+00"
    after = last + timedelta(days=1)
    return f"{column} >= '{first}{midnight}' AND {column} < '{after}{midnight}'"


def _packed(rows: Rows) -> Iterator[list[Day]]:
    """Unbroken days in order, as many at once as fit into memory; rows without a day are by themselves."""
    packed: list[Day] = []
    total = 0
    for day, count in rows.items():
        last = packed[-1] if packed else None
        follows = day and last and day - last == timedelta(days=1)
        if packed and (total + count > ROWS_AT_ONCE or not follows):
            yield packed
            packed, total = [], 0
        packed.append(day)
        total += count
    if packed:
        yield packed


def _write(rows: pa.Table, sink: BinaryIO) -> None:
    pyarrow.parquet.write_table(rows, sink, compression="zstd", compression_level=3)
