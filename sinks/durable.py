"""New Parquet files -> the disk itself. DuckDB does not flush them, while the SQLite log is flushed: without this a
power cut could leave a committed row in an empty file.
"""

import os
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from uuid import UUID

from sinks.errors import LakeUnavailable
from sinks.location import Location
from sinks.schema import Table

_FILE_SYSTEM_SLACK_S = 60.0  # how far a file server's clock may be behind ours
_CLOCK_SLACK_S = 1.0  # how far our own clock may be set back during a commit


def now() -> float:
    """The moment to give `flush_new_files` as `since`."""
    return time.time()


def flush_new_files(location: Location, tables: Iterable[Table], since: float) -> None:
    """fsync the files written for these tables since `since` (seconds of the epoch), and their folders."""
    if location.is_on_s3:
        return  # an upload is durable when it is acknowledged
    try:
        _flush(Path(location.data_path), tables, since)
    except OSError as error:
        raise LakeUnavailable(
            f"cannot flush {error.filename or location.data_path} to the disk: {error.strerror}"
        ) from error


def _flush(top: Path, tables: Iterable[Table], since: float) -> None:
    fresh: set[Path] = set()
    for table in tables:
        for folder in _folders(top / "main" / table.name, len(table.partition_by), since - _FILE_SYSTEM_SLACK_S):
            files = [Path(entry.path) for entry in os.scandir(folder) if _is_new(entry.name, since - _CLOCK_SLACK_S)]
            if files:
                fresh.update(files, [folder, *folder.parents])
    for path in fresh:
        if path.is_relative_to(top):
            flush(path)


def _folders(folder: Path, depth: int, since: float) -> Iterator[Path]:
    """The folders that can hold a new file: all but the old leaves, so that the cost is one stat per partition."""
    if not folder.exists():
        return
    if depth > 0 or folder.stat().st_mtime >= since:
        yield folder
    if depth > 0:
        for entry in os.scandir(folder):
            if entry.is_dir():
                yield from _folders(Path(entry.path), depth - 1, since)


def _is_new(name: str, since: float) -> bool:
    """Whether a file's name, `ducklake-<UUID version 7>[-delete].parquet`, carries a time since then."""
    try:
        made_ms = UUID(name[9:45]).int >> 80
    except ValueError:
        return name.endswith(".parquet")  # not a name we know: better flushed once too often
    return made_ms >= since * 1000


def flush(path: Path) -> None:
    """fsync one file or folder."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
