"""How long somebody's SQL may take."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import duckdb

from sinks.errors import QueryError

_AGAIN_S = 0.2


@contextmanager
def limited(con: duckdb.DuckDBPyConnection, seconds: float) -> Iterator[None]:
    """Statements on this connection end as QueryError when the block takes longer than so many seconds.

    DuckDB looks for an interruption between two chunks of rows, so one that makes a text of gigabytes ends late.
    """
    done, is_late = threading.Event(), threading.Event()

    def watch() -> None:
        if not done.wait(seconds):
            is_late.set()
            con.interrupt()
            while not done.wait(_AGAIN_S):  # an interruption between two statements is forgotten by the second
                con.interrupt()

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    except (duckdb.Error, RuntimeError):  # an interruption that falls between two chunks arrives under other names
        if is_late.is_set():
            raise QueryError(f"stopped after {seconds:g} s: ask for fewer days, rows or columns") from None
        raise
    finally:
        done.set()
        watcher.join()
