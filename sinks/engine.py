"""DuckDB in memory, with the extensions a lake needs, attached to it as `lake`.

Memory and threads are DuckDB's own defaults, which heed cgroup limits.
"""

import importlib.util
import os
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

import duckdb

from sinks.errors import LakeUnavailable, LocationError
from sinks.location import Location
from sinks.s3 import s3_access
from sinks.schema import literal

_CONFIG: dict[str, str | bool | int | float | list[str]] = {
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
    "python_enable_replacements": False,  # a table name must never find a Python variable
    "temp_directory": str(Path(tempfile.gettempdir()) / f"duckdb-{os.getuid() if hasattr(os, 'getuid') else 0}"),
}


def connect(location: Location) -> duckdb.DuckDBPyConnection:
    """A connection that can attach this location, with UTC as its time zone."""
    # DuckDB checks an extension's signature each time, 0.18 s of CPU time for ours, 95 % of what it takes to connect. A
    # wheel's file came as DuckDB itself did, by pip and the lock's hashes; what was fetched in another way is checked.
    are_wheels = all(extension_file(name) for name in _extensions(location))
    con = duckdb.connect(":memory:", config=_CONFIG | {"allow_unsigned_extensions": are_wheels})
    try:
        con.execute("SET GLOBAL TimeZone = 'UTC'")
        con.execute("SET enable_progress_bar = false")
        for extension in _extensions(location):
            load(con, extension)
        for statement in _preparations(location):
            con.execute(statement)
        # A commit never slips past one that it did not see: it fails, and is done anew (`LakeBusy`). This is what
        # keeps a key single should the lock be lost half-way, since DuckLake would let two new rows of one key in.
        con.execute("SET ducklake_max_retry_count = 0")
    except BaseException:
        con.close()
        raise
    return con


def script(location: Location) -> str:
    """The SQL by which a DuckDB program of this version, alone and offline, attaches the lake to read it.

    It holds the secrets that this takes.
    """
    loads = [f"LOAD {literal(str(extension_file(name) or name))}" for name in _extensions(location)]
    statements = [*loads, "SET GLOBAL TimeZone = 'UTC'", *_preparations(location)]
    return "".join(f"{statement};\n" for statement in [*statements, _attachment(location, read_only=True), "USE lake"])


def _extensions(location: Location) -> list[str]:
    catalog = "sqlite_scanner" if location.kind == "sqlite" else "postgres_scanner"
    return [catalog, "ducklake", *(["httpfs"] if location.is_on_s3 else [])]


def _preparations(location: Location) -> Iterator[str]:
    """What is said before the lake is attached."""
    if location.kind == "sqlite":
        # Otherwise scans open connections of their own, outside the transaction: a reader that began before a
        # compaction then sees neither the old files (gone from the catalog) nor the new ones, and says nothing.
        yield "SET GLOBAL sqlite_disable_multithreaded_scans = true"
    yield "SET GLOBAL parquet_metadata_cache = true"  # a lake's files never change
    if location.is_on_s3:
        yield _s3_secret()
    if location.password:
        yield f"CREATE SECRET catalog (TYPE postgres, PASSWORD {literal(location.password)})"


def is_made(con: duckdb.DuckDBPyConnection, location: Location) -> bool:
    """Whether a DuckLake is there, so that attaching makes none; LocationError where a database of another kind is.

    DuckDB looks, never Python's SQLite: that one, closing the file, would drop the locks of all of DuckDB's connections
    in this process (they are the process's), and the catalog may be damaged under them.
    """
    if location.kind == "postgresql":
        return True  # beside whatever else lives there: `layout.lay_out` looks once it is attached
    path = Path(location.catalog)
    if not path.exists() or not path.stat().st_size:
        return False
    try:
        found = con.execute("SELECT name FROM sqlite_scan(?, 'sqlite_master') WHERE type = 'table'", [str(path)])
        names = {str(name) for (name,) in found.fetchall()}
    except duckdb.Error:
        return True  # whatever is wrong with it, DuckDB says as well
    if names and "ducklake_metadata" not in names:
        raise LocationError(
            f"{path} is a SQLite database of something else (with {', '.join(sorted(names)[:3])}), not a lake's "
            "catalog: choose another lake, or put its catalog back"
        )
    return bool(names)


def attach(con: duckdb.DuckDBPyConnection, location: Location, *, read_only: bool, create: bool = False) -> None:
    """Attach the lake and make it the default database."""
    con.execute(_attachment(location, read_only=read_only, create=create))
    con.execute("USE lake")
    _check_files(con, location)


def _attachment(location: Location, *, read_only: bool, create: bool = False) -> str:
    # The catalog holds an absolute data path; overriding it lets a lake be moved. `_check_files` catches a wrong one.
    options = [
        "METADATA_CATALOG 'lake_catalog'",
        f"DATA_PATH {literal(location.data_path + '/')}",
        "OVERRIDE_DATA_PATH true",
    ]
    if location.kind == "sqlite":
        options.append("META_BUSY_TIMEOUT 10000")
    elif location.password:
        options.append("META_SECRET 'catalog'")
    if read_only:
        options.append("READ_ONLY")
    else:
        options += ["DATA_INLINING_ROW_LIMIT 0", f"CREATE_IF_NOT_EXISTS {str(create).lower()}"]
        if location.kind == "sqlite":
            options.append("META_JOURNAL_MODE 'WAL'")
    if location.kind == "sqlite":
        catalog = f"ducklake:sqlite:{location.catalog}"
    else:
        catalog = f"ducklake:postgres:{location.catalog}"
    return f"ATTACH {literal(catalog)} AS lake ({', '.join(options)})"


def _check_files(con: duckdb.DuckDBPyConnection, location: Location) -> None:
    """LocationError if the lake's files are not where we were told: a new file there would split the lake in two."""
    stored = con.execute("SELECT value FROM lake_catalog.ducklake_metadata WHERE key = 'data_path'").fetchone()
    if stored is None or stored[0].rstrip("/") == location.data_path:
        return
    for (table,) in con.execute("SELECT table_name FROM duckdb_tables() WHERE database_name = 'lake'").fetchall():
        file = con.execute("SELECT data_file FROM ducklake_list_files('lake', ?) LIMIT 1", [table]).fetchone()
        if file and not con.execute("SELECT 1 FROM glob(?)", [file[0]]).fetchone():
            raise LocationError(
                f"the files of {location} are not there (there is no {file[0]}): the lake was made with data path "
                f"{stored[0]}; set that, or move its files"
            )


def damaged_files(con: duckdb.DuckDBPyConnection, tables: Iterable[str]) -> Iterator[str]:
    """The files of these tables, deletes included, that are missing or not of the length that the catalog holds."""
    for table in tables:
        files = "SELECT data_file, data_file_size_bytes, delete_file, delete_file_size_bytes"
        for row in con.execute(f"{files} FROM ducklake_list_files('lake', ?)", [table]).fetchall():
            for file, size in (row[:2], row[2:]):
                if file and not (Path(file).is_file() and Path(file).stat().st_size == size):
                    yield str(file)


def load(con: duckdb.DuckDBPyConnection, extension: str) -> None:
    """Load an extension from its installed wheel, or from DuckDB's own folder, fetching it there if need be."""
    if file := extension_file(extension):
        con.execute(f"LOAD {literal(str(file))}")
        return
    try:
        con.execute(f"LOAD {extension}")
    except duckdb.Error:
        try:
            con.execute(f"INSTALL {extension}")
            con.execute(f"LOAD {extension}")
        except duckdb.Error as error:
            raise LakeUnavailable(
                f"DuckDB's extension {extension} is neither installed nor to be had: "
                f"install the package duckdb-extension-{extension.replace('_', '-')}=={duckdb.__version__}"
            ) from error


def extension_file(extension: str) -> Path | None:
    """Where an extension's wheel has put it, or None."""
    spec = importlib.util.find_spec(f"duckdb_extension_{extension}")
    for folder in (spec.submodule_search_locations or []) if spec else []:
        file = Path(folder) / "extensions" / f"v{duckdb.__version__}" / f"{extension}.duckdb_extension"
        if file.exists():
            return file
    return None


def _s3_secret() -> str:
    access = s3_access()
    options = {"KEY_ID": access.key_id, "SECRET": access.secret, "REGION": access.region}
    if access.token:
        options["SESSION_TOKEN"] = access.token
    secure = ""
    if access.endpoint:
        options |= {"ENDPOINT": access.endpoint, "URL_STYLE": "path"}
        secure = f", USE_SSL {str(access.scheme == 'https').lower()}"
    settings = ", ".join(f"{name} {literal(value)}" for name, value in options.items())
    return f"CREATE SECRET data (TYPE s3, {settings}{secure})"
