"""Days that pass in a moment: a lake on this machine whose catalog and files say that they are older than they are."""

import os
import sqlite3
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path

from sinks import Location

TIMES = (("ducklake_snapshot", "snapshot_time"), ("ducklake_files_scheduled_for_deletion", "schedule_start"))


def age(location: Location, days: float, *, files: bool = True) -> None:
    """Move every time in the catalog, and the files' own unless told otherwise, so many days back. Nobody may write."""
    back = timedelta(days=days)
    with closing(sqlite3.connect(location.catalog, timeout=10)) as catalog, catalog:
        for table, column in TIMES:
            rows = catalog.execute(f"SELECT {column}, rowid FROM {table}").fetchall()
            moved = [(_text(datetime.fromisoformat(moment) - back), rowid) for moment, rowid in rows]
            catalog.executemany(f"UPDATE {table} SET {column} = ? WHERE rowid = ?", moved)
    for path in Path(location.data_path).rglob("*.parquet") if files else ():
        seconds = path.stat().st_mtime - back.total_seconds()
        os.utime(path, (seconds, seconds))


def _text(moment: datetime) -> str:
    return moment.isoformat(sep=" ").removesuffix(":00")  # as DuckDB writes it: the zone is +00
