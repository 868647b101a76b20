"""DuckDB in memory, with the extensions a lake needs, attached to it as `lake`.

Memory and threads are DuckDB's own defaults, which heed cgroup limits.
"""

import importlib.util
import os
import tempfile
from pathlib import Path
from urllib.parse import urlsplit

import duckdb

from sinks.errors import LakeUnavailable, LocationError
from sinks.location import Location
from sinks.schema import literal

_CONFIG: dict[str, str | bool | int | float | list[str]] = {
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
    "python_enable_replacements": False,  # a table name must never find a Python variable
    "temp_directory": str(Path(tempfile.gettempdir()) / f"duckdb-{os.getuid() if hasattr(os, 'getuid') else 0}"),
}


def connect(location: Location) -> duckdb.DuckDBPyConnection:
    """A connection that can attach this location, with UTC as its time zone."""
    con = duckdb.connect(":memory:", config=_CONFIG)
    try:
        con.execute("SET GLOBAL TimeZone = 'UTC'")
        con.execute("SET enable_progress_bar = false")
        load(con, "sqlite_scanner" if location.kind == "sqlite" else "postgres_scanner")
        if location.kind == "sqlite":
            # Otherwise scans open connections of their own, outside the transaction: a reader that began before a
            # compaction then sees neither the old files (gone from the catalog) nor the new ones, and says nothing.
            con.execute("SET GLOBAL sqlite_disable_multithreaded_scans = true")
        load(con, "ducklake")
        if location.is_on_s3:
            load(con, "httpfs")
            con.execute(_s3_secret())
        if location.password:
            con.execute(f"CREATE SECRET catalog (TYPE postgres, PASSWORD {literal(location.password)})")
        # A commit never slips past one that it did not see: it fails, and is done anew (`LakeBusy`). This is what
        # keeps a key single should the lock be lost half-way, since DuckLake would let two new rows of one key in.
        con.execute("SET ducklake_max_retry_count = 0")
    except BaseException:
        con.close()
        raise
    return con


def attach(con: duckdb.DuckDBPyConnection, location: Location, *, read_only: bool, create: bool = False) -> None:
    """Attach the lake and make it the default database."""
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
    con.execute(f"ATTACH {literal(catalog)} AS lake ({', '.join(options)})")
    con.execute("USE lake")
    _check_files(con, location)


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


def load(con: duckdb.DuckDBPyConnection, extension: str) -> None:
    """Load an extension from its installed wheel, or from DuckDB's own folder, fetching it there if need be."""
    spec = importlib.util.find_spec(f"duckdb_extension_{extension}")
    for folder in (spec.submodule_search_locations or []) if spec else []:
        file = Path(folder) / "extensions" / f"v{duckdb.__version__}" / f"{extension}.duckdb_extension"
        if file.exists():
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


def _s3_secret() -> str:
    env = os.environ
    if not (env.get("AWS_ACCESS_KEY_ID") and env.get("AWS_SECRET_ACCESS_KEY")):
        raise LocationError("the data path is on S3: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY")
    options = {"KEY_ID": env["AWS_ACCESS_KEY_ID"], "SECRET": env["AWS_SECRET_ACCESS_KEY"]}
    options["REGION"] = env.get("AWS_REGION") or env.get("AWS_DEFAULT_REGION") or "us-east-1"
    if token := env.get("AWS_SESSION_TOKEN"):
        options["SESSION_TOKEN"] = token
    secure = ""
    if endpoint := env.get("AWS_ENDPOINT_URL_S3") or env.get("AWS_ENDPOINT_URL"):
        parts = urlsplit(endpoint if "://" in endpoint else f"https://{endpoint}")
        options |= {"ENDPOINT": parts.netloc, "URL_STYLE": "path"}
        secure = f", USE_SSL {str(parts.scheme == 'https').lower()}"
    settings = ", ".join(f"{name} {literal(value)}" for name, value in options.items())
    return f"CREATE SECRET data (TYPE s3, {settings}{secure})"
