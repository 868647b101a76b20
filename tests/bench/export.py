"""What an export costs: a folder of Parquet and a DuckDB file, beside DuckDB's plain COPY of the same in the same run.

    .venv/bin/python -m tests.bench.export FOLDER [UTTERANCES]

FOLDER is a lake of `tests.bench.generated`, made if it is not there; all else goes to a temporary folder. CPU time is
that of all threads, and says more than the clock on a busy machine.
"""

import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa

from flows import tables
from sinks import Lake, Upsert
from sinks.export import export
from sinks.feed import changes
from sinks.publish import publish
from tests.bench.generated import open_generated


def measured(name: str, work: Callable[[], object], place: Path | None = None) -> None:
    """Do it, and say how long it took and how large it is."""
    began, cpu = time.perf_counter(), time.process_time()
    work()
    seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
    files = [place] if place and place.is_file() else list(place.rglob("*.*")) if place else []
    size = sum(file.stat().st_size for file in files if file.is_file()) / 1e6
    print(f"{name:50} {seconds:7.1f} s {cpu:7.1f} s CPU {f'{size:8.1f} MB' if place else ''}")


def copy(lake: Lake, place: Path) -> None:
    """The two large tables as one file each, with DuckDB's own COPY."""
    place.mkdir()
    with lake.read_into_files() as con:
        for name in ("segments", "utterances"):
            con.execute(f"COPY {name} TO '{place}/{name}.parquet' (COMPRESSION zstd)")


def partitioned(lake: Lake, place: Path) -> None:
    """The same by day, with DuckDB's own PARTITION_BY: as many files as its threads make."""
    with lake.read_into_files() as con:
        for name, day in (("segments", "CAST(segment_end_time AS DATE)"), ("utterances", "segment_day")):
            rows = f"(SELECT *, {day} AS day FROM {name})"
            con.execute(f"COPY {rows} TO '{place}/{name}' (FORMAT parquet, COMPRESSION zstd, PARTITION_BY (day))")


def touch(lake: Lake) -> None:
    """An hour's change: one segment's transcript is asked for again."""
    key = "SELECT sub_account_id, dialog_id, segment_id, segment_end_time, transcript_state FROM segments LIMIT 1"
    row = lake.query(key).to_pylist()[0] | {"transcript_attempts": time.time_ns() % 1_000_000}
    schema = pa.schema([tables.SEGMENTS.schema.field(name) for name in row])
    update = {"transcript_attempts": "s.transcript_attempts"}
    lake.commit([Upsert(tables.SEGMENTS, pa.Table.from_pylist([row], schema), update=update)])


def main() -> None:
    """All of it, once."""
    source, utterances = Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 1_000_000
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if (source / "catalog.sqlite").exists():
            shutil.copytree(source, folder / "lake")  # it is changed below
        with open_generated(folder / "lake", utterances) as lake:
            measured("plain COPY, a file a table", lambda: copy(lake, folder / "copy"), folder / "copy")
            (folder / "days").mkdir()
            measured("plain COPY, by day", lambda: partitioned(lake, folder / "days"), folder / "days")
            out, file = folder / "out", folder / "out.duckdb"
            measured("export to a folder, first", lambda: export(lake, str(out)), out)
            measured("export to a folder, nothing new", lambda: export(lake, str(out)))
            before = lake.query("FROM lake.current_snapshot()").column(0)[0].as_py()
            touch(lake)
            measured("export to a folder, a day changed", lambda: export(lake, str(out)))
            measured("changes since then", lambda: changes(lake, "segments", before))
            measured("export to a DuckDB file", lambda: publish(lake, file), file)
            measured("... once more", lambda: publish(lake, file), file)


if __name__ == "__main__":
    main()
