"""The lake as one DuckDB file that needs no lake: all tables and views with their comments, of one snapshot.

It is built beside its place and then takes it in one step, so that whoever has the old one open goes on reading that.
Built whole each time: that is quicker than bringing an old one up to date could be worth.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import duckdb

from sinks import feed, layout
from sinks.durable import flush
from sinks.errors import ExportError
from sinks.export import lake_id
from sinks.lake import Lake
from sinks.schema import literal, quoted
from sinks.storage import UNFINISHED, alone

SUFFIX, ABOUT = ".duckdb", "exported"
_COMMENT = "Which snapshot of the lake this file is, one row per table. The next export replaces the file."
_MAGIC, _MAGIC_AT = b"DUCK", 8


@dataclass(frozen=True, slots=True)
class Published:
    """What the file holds."""

    snapshot_id: int
    snapshot_at: datetime
    rows: Mapping[str, int]
    bytes: int


def publish(lake: Lake, file: Path) -> Published:
    """Put the lake's present snapshot into `file`, in place of an earlier export.

    Its table `exported` has one row per table: rows, snapshot, lake. Raises ExportError for a file that is anything
    else, or if it cannot be written; what was there is then as it was.
    """
    file = file.absolute()
    unfinished = file.with_name(f".{file.name}{UNFINISHED}")
    if file.is_dir() or not file.parent.is_dir():
        raise ExportError(f"{file} is a folder" if file.is_dir() else f"there is no folder {file.parent}: make it")
    try:
        with (
            alone(file.with_name(f".{file.name}.lock"), file),
            lake.read_into_files() as con,
            _blamed_on(file),
        ):
            _check_replaceable(con, file)
            try:
                _remove(unfinished)
                published = _build(con, lake, unfinished)
                flush(unfinished)
                unfinished.replace(file)
            finally:
                _remove(unfinished)
            return published
    except OSError as error:
        raise ExportError(f"cannot write {file}: {error.strerror or error}") from error


@contextmanager
def _blamed_on(file: Path) -> Iterator[None]:
    """What DuckDB says of a file that is none of the lake's is not the lake's trouble."""
    try:
        yield
    except duckdb.Error as error:
        if file.name in str(error):
            raise ExportError(f"cannot use {file}: {' '.join(str(error).split())}") from error
        raise


def _check_replaceable(con: duckdb.DuckDBPyConnection, file: Path) -> None:
    """ExportError unless there is nothing, or an export of this lake to which nobody has added anything."""
    if not file.exists():
        return
    with file.open("rb") as start:
        if start.read(_MAGIC_AT + len(_MAGIC))[_MAGIC_AT:] != _MAGIC:
            raise ExportError(f"{file} is no DuckDB file: choose another name, or remove it")
    if file.with_name(file.name + ".wal").exists():
        raise ExportError(f"{file} is being changed by somebody (there is a .wal beside it): choose another name")
    con.execute(f"ATTACH {literal(str(file))} AS earlier (READ_ONLY)")
    names = "SELECT table_name, comment FROM duckdb_tables() WHERE database_name = 'earlier'"
    found = {str(name): comment for name, comment in con.execute(names).fetchall()}
    known = {}
    if found.get(ABOUT) == _COMMENT:
        known = dict(con.execute(f"SELECT table_name, lake FROM earlier.{ABOUT}").fetchall())  # noqa: S608 - ours
    con.execute("DETACH earlier")
    if not known:
        raise ExportError(f"{file} is a database of somebody's own: choose another name")
    if set(known.values()) != {lake_id(con)}:
        raise ExportError(f"{file} is the export of another lake: choose another name, or remove it")
    if added := found.keys() - known.keys() - {ABOUT}:
        raise ExportError(f"{file} holds tables that no export put there ({', '.join(sorted(added))}): move them away")


def _build(con: duckdb.DuckDBPyConnection, lake: Lake, file: Path) -> Published:
    con.execute(f"ATTACH {literal(str(file))} AS target")
    con.execute("BEGIN")
    snapshot_id, snapshot_at = feed.current(con)
    con.execute("COPY FROM DATABASE lake TO target")
    con.execute(f"DROP VIEW target.{layout.VIEW}")
    con.execute(
        f"CREATE TABLE target.{ABOUT} "
        "(table_name VARCHAR, rows BIGINT, snapshot_id BIGINT, snapshot_at TIMESTAMPTZ, lake VARCHAR)"
    )
    con.execute(f"COMMENT ON TABLE target.{ABOUT} IS {literal(_COMMENT)}")
    rows = {}
    for name in lake.tables:
        counted = con.execute(f"SELECT count(*) FROM target.{quoted(name)}").fetchone()  # noqa: S608 - quoted
        rows[name] = int(counted[0]) if counted else 0
        values = [name, rows[name], snapshot_id, snapshot_at, lake_id(con)]
        con.execute(f"INSERT INTO target.{ABOUT} VALUES (?, ?, ?, ?, ?)", values)  # noqa: S608 - ours
    con.execute("COMMIT")
    con.execute("DETACH target")
    return Published(snapshot_id, snapshot_at, rows, file.stat().st_size)


def _remove(file: Path) -> None:
    for path in (file, file.with_name(file.name + ".wal")):
        path.unlink(missing_ok=True)
