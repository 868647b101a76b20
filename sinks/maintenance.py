"""Nightly care of a lake: few large files instead of many small ones, and no more of the past than is wanted.

    rewrite   files that lost rows, of a large table at least 1 % of theirs -> files of the rows that are left
    merge     the small files of a partition -> one, up to the target size
    expire    snapshots older than the retention -> no time travel to them any more
    clean     files that no snapshot needs any more -> removed, two days after that
    orphans   files that no catalog ever named, left by killed writers -> removed when a day old

Each step holds the write lock for itself, and compaction for a few files at a time, so that writers wait little. Killed
at any moment, it leaves a whole lake, and the next run goes on. No reader misses a file within two days of beginning.
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path, PurePosixPath

import duckdb

from sinks import durable
from sinks.errors import LakeError
from sinks.lake import Lake
from sinks.schema import Table, literal

KEEP_AT_LEAST = timedelta(days=2)
# Merging takes no file with deletes, so what is not rewritten stays for good. In 30 days with 5 % of the segments
# updated late: 59 files at 10 % (as in DuckLake's notes), 11 at 1 %, 1 at 0, which rewrites a month for the sake of one
# row. That is nothing where a month is small: `windows` has 96 rows a day, of which one or two are read again.
REWRITE_FROM = 0.01
SMALL_BYTES = 32_000_000  # a table with less is rewritten for any row
TARGET_BYTES = 128_000_000  # `layout.OPTIONS`, as DuckLake stores it
FILES_AT_ONCE = 8  # merged files a hold of the lock: bounds a writer's wait, and memory
CLEAN_AFTER, ORPHANED_AFTER = timedelta(days=2), timedelta(days=1)

_WOULD_LEAVE = Path(__file__).with_suffix(".sql")
_OURS = re.compile(r"^ducklake-[0-9a-f-]{36}(-delete)?\.parquet$")
_NAMED = """
    SELECT path FROM lake_catalog.ducklake_data_file UNION ALL
    SELECT path FROM lake_catalog.ducklake_delete_file UNION ALL
    SELECT path FROM lake_catalog.ducklake_files_scheduled_for_deletion
"""


@dataclass(frozen=True, slots=True)
class Size:
    """What a table's present state takes: data and delete files, and their bytes."""

    files: int = 0
    bytes: int = 0

    def __add__(self, other: "Size") -> "Size":
        """Both together."""
        return Size(self.files + other.files, self.bytes + other.bytes)


@dataclass(frozen=True, slots=True)
class Maintained:
    """What was done, or would be: then `after` is a guess. `strangers`: files among ours that no DuckLake wrote."""

    dry_run: bool
    before: Mapping[str, Size]
    after: Mapping[str, Size]
    snapshots_expired: int
    files_removed: int
    orphans_removed: int
    strangers: tuple[str, ...] = ()


def maintain(lake: Lake, *, keep: timedelta = timedelta(days=7), dry_run: bool = False) -> Maintained:
    """Do all steps; `keep` is how far back time travel reaches, counted in whole UTC days by the catalog's clock.

    A dry run changes nothing. Raises LakeError; the steps before it are done.
    """
    if keep < KEEP_AT_LEAST:
        raise ValueError(f"keep snapshots for {KEEP_AT_LEAST.days} days or more: a reader may still use them")
    if dry_run:
        before, after = _would_compact(lake)
    else:
        sizes = {name: _compact(lake, table) for name, table in lake.tables.items()}
        before, after = ({name: pair[place] for name, pair in sizes.items()} for place in (0, 1))
    expired = _expire(lake, keep, dry_run)
    removed = _clean(lake, dry_run)
    orphans, strangers = _remove_orphans(lake, dry_run)
    return Maintained(dry_run, before, after, expired, removed, orphans, strangers)


def _compact(lake: Lake, table: Table) -> tuple[Size, Size]:
    """Rewrite, then merge, what rewriting has just freed of deletes included. The table's size before and after."""
    name = literal(table.name)
    with _transaction(lake, table) as con:
        before = _sizes(con)[table.name]
        threshold = 0 if before.bytes < SMALL_BYTES else REWRITE_FROM
        con.execute(f"CALL ducklake_rewrite_data_files('lake', {name}, delete_threshold => {threshold})")
    merge = f"CALL ducklake_merge_adjacent_files('lake', {name}"
    while _merged(lake, table, f"{merge}, max_compacted_files => {FILES_AT_ONCE})"):
        pass
    # Files that have nothing to merge with count as well: only a call without a limit is sure to have seen all.
    _merged(lake, table, f"{merge})")
    with lake.exclusive() as con:
        return before, _sizes(con)[table.name]


def _merged(lake: Lake, table: Table, call: str) -> int:
    """How many files fewer there are after this call."""
    with _transaction(lake, table) as con:
        return sum(int(taken) - int(made) for _, _, taken, made in con.execute(call).fetchall())


@contextmanager
def _transaction(lake: Lake, table: Table) -> Iterator[duckdb.DuckDBPyConnection]:
    """One hold of the lock, one transaction, whose new files are on the disk before it is committed."""
    with lake.exclusive() as con:
        since = durable.now()
        con.execute("BEGIN")
        yield con
        durable.flush_new_files(lake.location, [table], since)
        con.execute("COMMIT")  # should the lock be lost, it fails if anybody came between


def _would_compact(lake: Lake) -> tuple[dict[str, Size], dict[str, Size]]:
    with lake.read() as con:
        before = _sizes(con)
        settings = {"threshold": REWRITE_FROM, "small": SMALL_BYTES, "target": TARGET_BYTES}
        left = con.execute(_WOULD_LEAVE.read_text(), settings).fetchall()
    after = {str(name): Size(int(files), int(size)) for name, files, size in left}
    return tuple({name: sizes[name] for name in lake.tables} for sizes in (before, after))  # type: ignore[return-value]


def _sizes(con: duckdb.DuckDBPyConnection) -> dict[str, Size]:
    found = con.execute(
        "SELECT table_name, file_count + delete_file_count, file_size_bytes + delete_file_size_bytes "
        "FROM ducklake_table_info('lake')"
    ).fetchall()
    return {str(name): Size(int(files), int(size)) for name, files, size in found}


def _expire(lake: Lake, keep: timedelta, dry_run: bool) -> int:
    with lake.exclusive() as con:
        return len(_call(con, "ducklake_expire_snapshots", _cutoff(con, keep), dry_run))


def _clean(lake: Lake, dry_run: bool) -> int:
    with lake.exclusive() as con:
        return len(_call(con, "ducklake_cleanup_old_files", _cutoff(con, CLEAN_AFTER), dry_run))


def _remove_orphans(lake: Lake, dry_run: bool) -> tuple[int, tuple[str, ...]]:
    """How many were removed, and the files that are none of DuckLake's: while there are any, nothing is removed.

    DuckLake takes every Parquet file under the data path that its catalog does not name for an orphan. So one look
    before: it has been known to mistake its own (ducklake issue 815), and people put theirs anywhere.
    """
    with lake.exclusive() as con:
        cutoff = _cutoff(con, ORPHANED_AFTER)
        orphans = _call(con, "ducklake_delete_orphaned_files", cutoff, dry_run=True)
        names = {PurePosixPath(path).name: path for path in orphans}
        used = names.keys() & {PurePosixPath(path).name for (path,) in con.execute(_NAMED).fetchall()} if names else ()
        if used:
            raise LakeError(f"DuckLake takes files that it needs for orphans; none was removed: {sorted(used)[:3]}")
        strangers = tuple(sorted(path for name, path in names.items() if not _OURS.match(name)))
        if orphans and not strangers and not dry_run:
            _call(con, "ducklake_delete_orphaned_files", cutoff, dry_run=False)
        return 0 if strangers else len(orphans), strangers


def _cutoff(con: duckdb.DuckDBPyConnection, age: timedelta) -> str:
    """The moment so long ago, as SQL."""
    row = con.execute("SELECT (now() - ?)::VARCHAR", [age]).fetchone()
    return f"TIMESTAMPTZ {literal(str(row[0]) if row else '')}"


def _call(con: duckdb.DuckDBPyConnection, function: str, older_than: str, dry_run: bool) -> list[str]:
    """The first column of what it lists, done or to do."""
    sql = f"CALL {function}('lake', older_than => {older_than}, dry_run => {str(dry_run).lower()})"
    return [str(row[0]) for row in con.execute(sql).fetchall()]
