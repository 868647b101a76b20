"""DuckDB's errors -> ours, by class: what DuckDB calls operational is the lake's state, the rest somebody's SQL."""

from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import quote

import duckdb

from sinks.errors import LakeBusy, LakeError, LakeUnavailable
from sinks.location import Location

_BUSY = ("database is locked", "maximum retry count", "transaction conflict")
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
        if any(sign in text.lower() for sign in _BUSY):
            return LakeBusy(f"another writer of {location} came between: try again ({text})")
        # SQLite's and PostgreSQL's own errors arrive as the bare base class.
        if type(error) is duckdb.Error or isinstance(error, duckdb.OperationalError):
            return _unavailable(text, location)
        return LakeError(text)
    return _unavailable(text, location) if sql is LakeUnavailable else sql(text)


def _unavailable(text: str, location: Location) -> LakeUnavailable:
    if "creating a new DuckLake is explicitly disabled" in text:
        return LakeUnavailable(f"there is no lake at {location} yet")
    return LakeUnavailable(
        f"cannot use the lake {location}: {text}; see that it is there, may be read and written, and has room"
    )


def _clean(error: duckdb.Error, location: Location) -> str:
    text = str(error).strip()
    for secret in {location.password, quote(location.password), quote(location.password, safe="")} - {""}:
        text = text.replace(secret, "***")
    return text
