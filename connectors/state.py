"""The folder that processes with the same credentials share, when it cannot be used: its errors, as ours."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from connectors.errors import StateUnavailable


@contextmanager
def usable(path: Path) -> Iterator[None]:
    """What fails in this block, on account of this file or folder, leaves it as StateUnavailable."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        raise StateUnavailable(f"cannot use {path}: {_said(error, path)}") from error
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else str(error)
        raise StateUnavailable(f"cannot use {error.filename or path}: {reason}; {_MEND}") from error


def _said(error: sqlite3.DatabaseError, path: Path) -> str:
    if "not a database" in str(error) or "malformed" in str(error):
        return f"{error}; remove {path}*, which holds nothing but what was sent in the last minutes, and run again"
    return f"{error}; {_MEND}"


_MEND = "RINGCX_STATE_PATH must be a folder that this user can write to, with room in it"
