"""What a search costs, without an index and with DuckDB's own, in CPU seconds of the same run.

    .venv/bin/python -m tests.bench.search FOLDER [--utterances 10000000] [--peer FOLDER_OF_FTS]

FOLDER holds a lake of `tests.bench.generated`, made if it is not there. The peer is the extension `fts` on a `.duckdb`
file with the same messages (an index cannot be made of a DuckLake's table); it is left out where the extension neither
is installed (package duckdb-extension-fts, of DuckDB's version) nor lies unpacked in FOLDER_OF_FTS. The lake's figures
come twice: as SQL that counts conversations, as the peer does, and as `search`, which also reads what it shows. CPU
seconds are of all threads, so they do not depend on who else uses the machine; the least of three is taken.
"""

import argparse
import os
import resource
import time
from collections.abc import Callable
from pathlib import Path

import duckdb

from flows.browse import reading
from flows.search.searching import Filters, ranking_sql, search
from flows.search.terms import parse
from sinks.lake import Lake
from tests.bench.generated import open_generated

QUERIES = {"a rare word": "refund", "two words": "refund AND cancel", "a frequent word": "the"}
INDEX = """PRAGMA create_fts_index('said', 'id', 'message', stemmer = 'none', stopwords = 'none',
    ignore = '[^\\p{L}\\p{N}]+', strip_accents = 0, lower = 1)"""


def timed(one: Callable[[], object]) -> tuple[float, float, object]:
    """The least CPU and wall seconds of three, and what it gave."""
    took = []
    for _ in range(3):
        wall, cpu = time.perf_counter(), time.process_time()
        result = one()
        took.append((time.process_time() - cpu, time.perf_counter() - wall))
    return min(took)[0], min(wall for _, wall in took), result


def counted(lake: Lake, text: str) -> int:
    """How many conversations, and nothing else."""
    with lake.read() as con:
        rows = con.execute(ranking_sql(parse(text), Filters(), None, limit=1)).fetchall()
    return int(rows[0][0]) if rows else 0


def extension(folder: Path | None) -> Path | None:
    """The file of the extension, in the folder or in an installed package."""
    roots = [folder] if folder else [Path(file).parent.parent for file in duckdb.__path__]
    found = (file for root in roots for file in root.rglob("fts.duckdb_extension"))
    return next(found, None)


def peer(lake: Lake, file: Path, program: Path) -> duckdb.DuckDBPyConnection:
    """A database of the same messages with an index; prints what it cost."""
    file.unlink(missing_ok=True)
    con = duckdb.connect(str(file))
    con.execute(f"LOAD '{program}'")
    files = [path for path, _ in files_of(lake, "utterances")]
    began = time.process_time()
    con.execute(
        "CREATE TABLE said AS SELECT row_number() OVER () AS id, sub_account_id, dialog_id, message "
        "FROM read_parquet(?, hive_partitioning = false)",
        [files],
    )
    copied = time.process_time()
    con.execute(INDEX)
    con.execute("CHECKPOINT")
    cpu, size = time.process_time() - copied, file.stat().st_size
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print(
        f"index: {copied - began:.0f} s CPU to copy, {cpu:.0f} s to index, {size / 1e6:,.0f} MB; memory {peak:.1f} GB"
    )
    return con


def files_of(lake: Lake, table: str) -> list[tuple[str, int]]:
    """The files of a table's present state, with their bytes."""
    with lake.read() as con:
        return con.execute(
            "SELECT data_file, data_file_size_bytes FROM ducklake_list_files('lake', ?)", [table]
        ).fetchall()


def ask_peer(con: duckdb.DuckDBPyConnection, name: str) -> object:
    """How many conversations the index finds for all of the words."""
    words = [word for word in QUERIES[name].split() if word != "AND"]
    scores = ", ".join(f"fts_main_said.match_bm25(id, '{word}') AS s{n}" for n, word in enumerate(words))
    some = " OR ".join(f"s{n} IS NOT NULL" for n in range(len(words)))
    every = " AND ".join(f"count(s{n}) > 0" for n in range(len(words)))
    rows = f"SELECT sub_account_id, dialog_id, {scores} FROM said"
    sql = f"""SELECT count(*) FROM (
        SELECT 1 FROM ({rows}) WHERE {some} GROUP BY sub_account_id, dialog_id HAVING {every}
    )"""
    return con.execute(sql).fetchall()[0][0]


def main() -> None:
    """Print one line a query, and the pages of `browse`."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--utterances", type=int, default=10_000_000)
    parser.add_argument("--peer", type=Path)
    options = parser.parse_args()
    with open_generated(options.folder, options.utterances) as lake:
        files = [file for table in lake.tables for file in files_of(lake, table)]
        rows = lake.query("SELECT count(*) AS n FROM utterances").to_pylist()[0]["n"]
        print(f"{rows:,} utterances, {sum(size for _, size in files) / 1e6:,.0f} MB of Parquet; ", end="")
        print(f"{os.cpu_count()} cores, load {os.getloadavg()[1]:.1f}; {time.strftime('%Y-%m-%d')}")
        program = extension(options.peer)
        file = options.folder / "peer.duckdb"
        indexed = peer(lake, file, program) if program else None
        for name, text in QUERIES.items():
            cpu, wall, total = timed(lambda text=text: counted(lake, text))  # type: ignore[misc]
            whole, whole_wall, _ = timed(lambda text=text: search(lake, text))  # type: ignore[misc]
            print(f"{name}: {total:,} conversations; {cpu:.2f} s CPU, {wall:.2f} s", end="")
            print(f"; with what is shown {whole:.2f} s CPU, {whole_wall:.2f} s", end="")
            if indexed:
                theirs, their_wall, their_total = timed(lambda name=name: ask_peer(indexed, name))  # type: ignore[misc]
                print(
                    f"; the index {their_total:,}, {theirs:.2f} s CPU, {their_wall:.2f} s: x {cpu / theirs:.1f}", end=""
                )
            print()
        show_pages(lake)
        if indexed:
            indexed.close()
            file.unlink()


def show_pages(lake: Lake) -> None:
    """What the pages of `browse` read, without their HTML."""
    first = reading.listing(lake, Filters(), None, 50).found[-1].dialog
    key = (first["sub_account_id"], first["dialog_id"])
    pages: dict[str, Callable[[], object]] = {
        "newest conversations": lambda: reading.listing(lake, Filters(), None, 50),
        "of one agent": lambda: reading.listing(lake, Filters(agent="agent-7"), None, 50),
        "of a disposition that is rare": lambda: reading.listing(lake, Filters(disposition="none"), None, 50),
        "one conversation": lambda: reading.conversation(lake, key),
        "choices of the filters": lambda: reading.choices(lake),
    }
    for name, page in pages.items():
        cpu, wall, _ = timed(page)
        print(f"browse, {name}: {cpu:.2f} s CPU, {wall:.2f} s")


if __name__ == "__main__":
    main()
