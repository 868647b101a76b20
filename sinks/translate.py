"""DuckDB's errors -> ours, by class: what DuckDB calls operational is the lake's state, the rest somebody's SQL."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import quote

import duckdb

from sinks.errors import LakeBusy, LakeError, LakeTooNew, LakeUnavailable
from sinks.location import Location

_BUSY = ("database is locked", "maximum retry count", "transaction conflict")
_VERSIONS = re.compile(r"catalog version is ([\d.]+).*, but the extension requires version ([\d.]+)")
_BACKUP = "put it back from a backup, or set another lake and load the history anew"
_DAMAGED = r"(?s)(?=.*\.parquet).*(no such file|not found|invalid input error)"
# What an error's text shows -> what to do: the first that fits, of texts of DuckDB, SQLite and PostgreSQL.
_ADVICE = (
    (
        r"no space left|database or disk is full|could not extend file",
        "make room there, then run again: what was stored is complete",
    ),
    (
        r"read-only file system|readonly database|permission denied|unable to open database file",
        "it must be a place that this user can read and write; then run again",
    ),
    (r"file is not a database|database disk image is malformed", f"the catalog is damaged: {_BACKUP}"),
    (_DAMAGED, f"the file is missing or damaged: {_BACKUP}"),
)
_SQL = (
    duckdb.ProgrammingError,
    duckdb.DataError,
    duckdb.IntegrityError,
    duckdb.NotSupportedError,
    duckdb.DependencyException,
    duckdb.PermissionException,
)


@contextmanager
def translated(location: Location, *, sql: type[LakeError]) -> Iterator[None]:
    """No error of DuckDB leaves this block. `sql` is what an error in a statement becomes, with DuckDB's own words."""
    try:
        yield
    except duckdb.Error as error:
        # Without the original where its own text would show a secret in a traceback.
        raise _ours(error, location, sql) from (error if _clean(error, location) == str(error).strip() else None)
    except RuntimeError as error:
        if str(error) == "Query interrupted":  # what DuckDB makes of Ctrl-C during a statement
            raise KeyboardInterrupt from error
        raise


def _ours(error: duckdb.Error, location: Location, sql: type[LakeError]) -> LakeError:
    text = _clean(error, location)
    if not isinstance(error, _SQL):
        # A commit that fails for want of room says of itself that it ran out of retries, too.
        if not _advice(text) and any(sign in text.lower() for sign in _BUSY):
            return LakeBusy(f"another writer of {location} came between: try again ({text})")
        # SQLite's and PostgreSQL's own errors arrive as the bare base class.
        if type(error) is duckdb.Error or isinstance(error, duckdb.OperationalError):
            return _unavailable(text, location)
        return LakeError(text)
    # A file that is none any more is an "invalid input" to DuckDB, as wrong SQL is.
    is_damaged = isinstance(error, duckdb.InvalidInputException) and f"{location.data_path}/main/" in text
    return _unavailable(text, location) if is_damaged or sql is LakeUnavailable else sql(text)


def _unavailable(text: str, location: Location) -> LakeError:
    if "creating a new DuckLake is explicitly disabled" in text:
        return LakeUnavailable(f"there is no lake at {location} yet: load into it first, or set the right place")
    if (found := _VERSIONS.search(text)) and _number(found[1]) > _number(found[2]):
        return LakeTooNew(
            f"the catalog of {location} is of DuckLake {found[1]}, this release knows {found[2]}: upgrade ringcx-etl"
        )
    advice = _advice(text) or "see that it is there, may be read and written, and has room"
    return LakeUnavailable(f"cannot use the lake {location}: {' '.join(text.split())}; {advice}")


def _advice(text: str) -> str | None:
    return next((advice for sign, advice in _ADVICE if re.search(sign, text.lower())), None)


def _number(version: str) -> list[int]:
    return [int(part) for part in version.split(".") if part]


def _clean(error: duckdb.Error, location: Location) -> str:
    text = str(error).strip()
    for secret in {location.password, quote(location.password), quote(location.password, safe="")} - {""}:
        text = text.replace(secret, "***")
    return text
