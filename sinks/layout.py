"""Declarations -> stored tables: creates what is missing, adds new columns, and remembers in the lake what it did.

The memory is a view, `lake_layout`: one row with the layout's version and a digest of all declarations. It costs no
file, and lets a start that changes nothing write nothing.
"""
# ruff: noqa: S608 - the names are quoted, and DDL takes no parameters

import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import takewhile
from pathlib import Path

import duckdb

from sinks import durable
from sinks.errors import LakeError, LakeTooNew, LakeUnavailable, LocationError
from sinks.location import Location
from sinks.schema import Table, comment, default_sql, listed, literal, quoted, sql_type

VIEW = "lake_layout"
OPTIONS: Mapping[str, str] = {
    "data_inlining_row_limit": "0",  # inlining breaks every long-lived reader at its first flush
    "parquet_compression": "zstd",
    "target_file_size": "128MB",
    "parquet_row_group_size": "16384",  # what one look-up reads; scans cost the same from here on
    "expire_older_than": "7 days",
    "delete_older_than": "2 days",  # less would delete files under a reader: a SQLite catalog counts whole days
}


@dataclass(frozen=True, slots=True)
class Layout:
    """What a lake is to look like. `views` and `macros`: SQL by name, each after those that it needs.

    `upgrades`: by the version that brings it, the SQL that moves what an earlier one stored.
    """

    tables: Sequence[Table]
    views: Mapping[str, str] = field(default_factory=dict)
    macros: Mapping[str, str] = field(default_factory=dict)
    version: int = 1
    upgrades: Mapping[int, str] = field(default_factory=dict)

    @property
    def digest(self) -> str:
        """Equal digests mean that a stored lake needs nothing."""
        declared = [[t.definition for t in self.tables], *(list(p.items()) for p in (self.views, self.macros, OPTIONS))]
        return hashlib.sha256(repr(declared).encode()).hexdigest()[:16]


def prepare_folders(location: Location) -> None:
    """The folders that DuckLake does not make by itself."""
    folders = [Path(location.catalog).parent] if location.kind == "sqlite" else []
    folders += [] if location.is_on_s3 else [Path(location.data_path)]
    for folder in folders:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise LakeUnavailable(f"cannot make the folder {folder}: {error.strerror}; choose another place") from error
        if not os.access(folder, os.W_OK):
            raise LakeUnavailable(f"cannot write to {folder}: make it writable for this user, or choose another place")


def stored_layout(con: duckdb.DuckDBPyConnection) -> tuple[int, str] | None:
    """The version and digest that the lake was last laid out with, or None for a new lake."""
    known = con.execute(
        "SELECT 1 FROM duckdb_views() WHERE database_name = 'lake' AND view_name = ?", [VIEW]
    ).fetchone()
    row = con.execute(f"SELECT version, digest FROM lake.main.{VIEW}").fetchone() if known else None
    return (int(row[0]), str(row[1])) if row else None


def check_laid_out(con: duckdb.DuckDBPyConnection, version: int, location: Location, *, to_write: bool) -> None:
    """LakeUnavailable if there are no tables yet, or those of an earlier version; LakeTooNew for a writer of others."""
    stored = check_version(con, version, location) if to_write else stored_layout(con)
    if stored is None:
        raise LakeUnavailable(f"there is a catalog at {location}, but no tables in it yet")
    if stored[0] < version:
        raise LakeUnavailable(
            f"{location} has layout {stored[0]}, this release reads {version}: run once what writes to it, such as an "
            "ingest, which brings it up to date"
        )


def check_version(con: duckdb.DuckDBPyConnection, version: int, location: Location) -> tuple[int, str] | None:
    """The stored layout, unless it is newer than `version`."""
    stored = stored_layout(con)
    if stored and stored[0] > version:
        raise LakeTooNew(f"{location} has layout {stored[0]}, this release knows {version}: upgrade it to write there")
    return stored


def lay_out(con: duckdb.DuckDBPyConnection, location: Location, wanted: Layout) -> None:
    """Make the lake match the declarations, and write nothing if it does already. The caller rolls back."""
    _remember_place(con, location)
    known = check_version(con, wanted.version, location)
    if known == (wanted.version, wanted.digest):
        return
    if known is None:
        check_unused(con, location)
    stored = {
        (str(k), str(v)) for k, v in con.execute("SELECT option_name, value FROM ducklake_options('lake')").fetchall()
    }
    for name, value in OPTIONS.items():
        if (name, value) not in stored:
            con.execute(f"CALL lake.set_option({literal(name)}, {literal(value)})")
    since = durable.now()
    con.execute("BEGIN")
    for table in wanted.tables:
        _lay_out_table(con, table)
    for version, sql in sorted(wanted.upgrades.items()):
        if known and known[0] < version:
            con.execute(sql)
    _lay_out_macros(con, wanted, of_tables=False)
    for name, body in wanted.views.items():
        con.execute(f"CREATE OR REPLACE VIEW lake.main.{quoted(name)} AS {body}")
        about = [
            line.removeprefix("--").strip() for line in takewhile(lambda it: it.startswith("--"), body.splitlines())
        ]
        con.execute(f"COMMENT ON VIEW lake.main.{quoted(name)} IS {literal(chr(10).join(about))}")
    _lay_out_macros(con, wanted, of_tables=True)
    con.execute(
        f"CREATE OR REPLACE VIEW lake.main.{VIEW} AS "
        f"SELECT {wanted.version} AS version, {literal(wanted.digest)} AS digest"
    )
    durable.flush_new_files(location, wanted.tables, since)
    con.execute("COMMIT")
    con.execute("BEGIN")
    _begin_statistics(con)
    con.execute("COMMIT")


def _begin_statistics(con: duckdb.DuckDBPyConnection) -> None:
    """Say of tables that never held a row that they are empty, as DuckLake would after the first one.

    Without it, DuckLake looks for their statistics column by column, in every query that names them: 10 to 30 ms, where
    a table with rows takes 2. A view that joins a table for what was never used would be slow for nothing.
    """
    new = (
        "SELECT table_id FROM lake_catalog.ducklake_table WHERE end_snapshot IS NULL"
        " AND table_id NOT IN (SELECT table_id FROM lake_catalog.ducklake_table_stats)"
    )
    con.execute(
        "INSERT INTO lake_catalog.ducklake_table_column_stats (table_id, column_id, contains_null)"
        # That there may be NULLs is true of any table, and it is looked for again where it is not said.
        " SELECT table_id, column_id, 1 FROM lake_catalog.ducklake_column"
        f" WHERE end_snapshot IS NULL AND table_id IN ({new})"
    )
    con.execute(f"INSERT INTO lake_catalog.ducklake_table_stats SELECT table_id, 0, 0, 0 FROM ({new})")


def _remember_place(con: duckdb.DuckDBPyConnection, location: Location) -> None:
    """A moved lake's catalog learns its new data path, for the other tools that attach it."""
    place = location.data_path + "/"
    known = con.execute("SELECT value FROM lake_catalog.ducklake_metadata WHERE key = 'data_path'").fetchone()
    if known != (place,):
        con.execute("UPDATE lake_catalog.ducklake_metadata SET value = ? WHERE key = 'data_path'", [place])


def check_unused(con: duckdb.DuckDBPyConnection, location: Location) -> None:
    """LocationError if a new lake would share its data path with another: each would remove the other's orphans.

    Or, what looks the same, if the catalog of these files is lost: a new one would hide them.
    """
    found = con.execute("SELECT file FROM glob(?) LIMIT 1", [f"{location.data_path}/main/**/ducklake-*.parquet"])
    if file := found.fetchone():
        raise LocationError(
            f"{location.data_path} holds the files of another lake ({file[0]}), or of one whose catalog should be at "
            f"{location.catalog}: put that back, or choose another lake and data path"
        )


def _lay_out_table(con: duckdb.DuckDBPyConnection, table: Table) -> None:
    name = f"lake.main.{quoted(table.name)}"
    stored = _stored_columns(con, table)
    if not stored:
        columns = ", ".join(
            f"{quoted(c.name)} {sql_type(c.type)}{default_sql(c)}{'' if c.nullable else ' NOT NULL'}"
            for c in table.schema
        )
        con.execute(f"CREATE TABLE {name} ({columns})")
    for column in table.schema:
        declared = sql_type(column.type)
        if stored and column.name not in stored:
            con.execute(f"ALTER TABLE {name} ADD COLUMN {quoted(column.name)} {declared}{default_sql(column)}")
        elif stored and stored[column.name] != declared:
            raise LakeError(f"{table.name}.{column.name} is stored as {stored[column.name]}, declared as {declared}")
        con.execute(f"COMMENT ON COLUMN {name}.{quoted(column.name)} IS {literal(comment(column))}")
    if table.partition_by:
        con.execute(f"ALTER TABLE {name} SET PARTITIONED BY ({', '.join(table.partition_by)})")
    if table.sort_by:
        con.execute(f"ALTER TABLE {name} SET SORTED BY ({listed(table.sort_by)})")


def _lay_out_macros(con: duckdb.DuckDBPyConnection, wanted: Layout, *, of_tables: bool) -> None:
    """Those that give tables, which read views; or those that give values, which views call."""
    for name, body in wanted.macros.items():
        if (") AS TABLE" in body) is of_tables:
            con.execute(f"CREATE OR REPLACE MACRO lake.main.{quoted(name)} {body}")


def _stored_columns(con: duckdb.DuckDBPyConnection, table: Table) -> dict[str, str]:
    found = con.execute(
        "SELECT column_name, data_type FROM duckdb_columns() WHERE database_name = 'lake' AND table_name = ?",
        [table.name],
    ).fetchall()
    return {str(name): str(type_) for name, type_ in found}
