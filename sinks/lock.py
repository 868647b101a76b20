"""One writer at a time, over every process: a file lock beside a SQLite catalog, an advisory lock in PostgreSQL."""

import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psycopg
from filelock import FileLock, Timeout

from sinks.errors import LakeBusy, LakeUnavailable
from sinks.location import Location

CheckHeld = Callable[[], None]  # raises LakeBusy if the lock was lost
_ADVISORY = 0x72636C61  # any number, the same for every release; PostgreSQL keeps these locks per database


@contextmanager
def write_lock(location: Location, timeout_s: float) -> Iterator[CheckHeld]:
    """The right to write, or LakeBusy with the holder's name after `timeout_s` seconds."""
    with _file_lock(location, timeout_s) if location.kind == "sqlite" else _advisory_lock(location, timeout_s) as check:
        yield check


@contextmanager
def _file_lock(location: Location, timeout_s: float) -> Iterator[CheckHeld]:
    path = Path(location.catalog + ".lock")
    holder = Path(location.catalog + ".holder")  # a file of its own: taking a file lock empties the locked file
    lock = FileLock(path, timeout=timeout_s, poll_interval=0.01)
    try:
        lock.acquire()
    except Timeout as error:
        with suppress(OSError):
            raise LakeBusy(_busy(location, holder.read_text("utf-8") or "another process", timeout_s)) from error
        raise LakeBusy(_busy(location, "another process", timeout_s)) from error
    except OSError as error:
        raise LakeUnavailable(
            f"cannot lock {path}: {error.strerror or error}; check its folder and permissions"
        ) from error
    try:
        with suppress(OSError):  # it only serves to name us to others
            holder.write_text(_name(), "utf-8")
        yield _held
    finally:
        with suppress(OSError):
            holder.write_text("", "utf-8")
        lock.release()


@contextmanager
def _advisory_lock(location: Location, timeout_s: float) -> Iterator[CheckHeld]:
    try:
        con = psycopg.connect(
            location.catalog, password=location.password or None, autocommit=True, application_name=_name()[:63]
        )
    except psycopg.Error as error:
        raise LakeUnavailable(f"cannot reach the catalog {location.catalog}: {_first_line(error)}") from None
    try:
        try:
            con.execute(f"SET lock_timeout = {max(1, int(timeout_s * 1000))}")
            con.execute("SELECT pg_advisory_lock(%s)", [_ADVISORY])
        except psycopg.errors.LockNotAvailable as error:
            raise LakeBusy(_busy(location, _advisory_holder(con), timeout_s)) from error
        except psycopg.Error as error:
            raise LakeUnavailable(f"cannot lock the catalog {location.catalog}: {_first_line(error)}") from error

        def check() -> None:
            try:
                con.execute("SELECT 1")
            except psycopg.Error as error:
                raise LakeBusy(
                    "the connection that held the write lock was lost: nothing was committed, try again"
                ) from error

        yield check
    finally:
        con.close()  # and with it the lock


def _advisory_holder(con: "psycopg.Connection[tuple[object, ...]]") -> str:
    row = con.execute(
        "SELECT a.application_name, a.client_addr FROM pg_locks l JOIN pg_stat_activity a USING (pid) "
        "WHERE l.locktype = 'advisory' AND l.granted AND l.objid = %s AND l.database = "
        "(SELECT oid FROM pg_database WHERE datname = current_database())",
        [_ADVISORY],
    ).fetchone()
    return f"{row[0]} ({row[1] or 'local'})" if row else "another process"


def _name() -> str:
    return f"process {os.getpid()} on {socket.gethostname()}"


def _busy(location: Location, holder: str, timeout_s: float) -> str:
    return f"{location.catalog} was being written for {timeout_s:g} s by {holder}: try again, or see what it is doing"


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]


def _held() -> None:
    """A file lock is held until its process lets go."""
