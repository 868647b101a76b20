"""How long a commit takes beside 0, 1 M, ... rows, against a plain .duckdb file doing the same in the same run.

    python tests/bench/commit_latency.py [--rows 0 1000000 ...] [--commits 20] [--folder DIR]

One commit is 500 segments (half new, half seen before) with 4 utterances each. "new" holds new keys, which `near`
cannot find, so they are looked for everywhere; "again" changes the rows of the last windows, all found by `near`;
"blind" is "again" without `near`; "moved" changes the time of rows stored months ago. Read the figures as ratios.
"""

import argparse
import datetime as dt
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import duckdb
import pyarrow as pa

from sinks import Append, Lake, Location, Table, Upsert, field

UTC = pa.timestamp("ms", tz="UTC")
SEGMENTS = Table(
    "segments",
    pa.schema(
        [
            field("dialog_id", pa.string(), "conversation", nullable=False),
            field("segment_id", pa.string(), "part of it", nullable=False),
            field("segment_end_time", UTC, "when it ended"),
            field("state", pa.string(), "where its transcript is"),
            field("attempts", pa.int32(), "how often it was asked for"),
            field("metadata", pa.json_(), "as last seen"),
        ]
    ),
    key=("dialog_id", "segment_id"),
    partition_by=("year(segment_end_time)", "month(segment_end_time)"),
    sort_by=("segment_end_time",),
)
UTTERANCES = Table(
    "utterances",
    pa.schema(
        [
            field("dialog_id", pa.string(), "conversation", nullable=False),
            field("segment_id", pa.string(), "part of it", nullable=False),
            field("seq", pa.int32(), "order"),
            field("segment_day", pa.date32(), "day the segment ended"),
            field("text", pa.string(), "what was said"),
        ]
    ),
    partition_by=("segment_day",),
    sort_by=("dialog_id", "segment_id", "seq"),
)
START, DAYS = "TIMESTAMPTZ '2025-01-01 00:00:00+00'", 540
SEGMENT_SQL = (
    "SELECT md5((i // 3)::VARCHAR) AS dialog_id, (i % 3)::VARCHAR AS segment_id, "
    f"date_trunc('millisecond', {START} + to_microseconds(i * ({DAYS} * 86400000000 // {{scale}})))"
    " AS segment_end_time, "
    "'{state}' AS state, 1::INTEGER AS attempts, "
    "json_object('agent', i % 400, 'queue', i % 20, 'note', md5((i * 7)::VARCHAR)) AS metadata "
    "FROM range({start}, {stop}) AS r(i)"
)
UTTERANCE_SQL = (
    "SELECT dialog_id, segment_id, n::INTEGER AS seq, segment_end_time::DATE AS segment_day, "
    "'some words that were said, number ' || n || ' ' || md5(dialog_id || n) AS text FROM s, range(4) AS u(n)"
)
BATCH = 500
Rows = tuple[pa.Table, pa.Table]


def batch(con: duckdb.DuckDBPyConnection, start: int, scale: int, state: str, size: int = BATCH) -> Rows:
    """Segments number `start` and following, and their utterances."""
    sql = SEGMENT_SQL.format(start=start, stop=start + size, scale=scale, state=state)
    con.execute(f"CREATE OR REPLACE TEMP TABLE s AS {sql}")
    return con.execute("FROM s").to_arrow_table(), con.execute(UTTERANCE_SQL).to_arrow_table()


def plain_commit(con: duckdb.DuckDBPyConnection, rows: Rows) -> None:
    """What a commit does, in a .duckdb file with a primary key."""
    segments, utterances = rows
    con.execute("BEGIN")
    con.register("s", segments)
    con.register("u", utterances)
    con.execute(
        "INSERT INTO segments FROM s ON CONFLICT (dialog_id, segment_id) DO UPDATE SET "
        "segment_end_time = excluded.segment_end_time, state = excluded.state, "
        "attempts = excluded.attempts, metadata = excluded.metadata"
    )
    con.execute("INSERT INTO utterances FROM u")
    con.execute("COMMIT")


def timed(commits: int, one: Callable[[int], object]) -> tuple[float, float]:
    """p50 and p95 of the milliseconds that `one` takes."""
    took = []
    for number in range(commits):
        before = time.perf_counter()
        one(number)
        took.append((time.perf_counter() - before) * 1000)
    return statistics.median(took), statistics.quantiles(took, n=20)[-1] if commits > 1 else took[0]


def measure(folder: Path, stored: int, commits: int) -> list[tuple[str, float, float]]:
    """(what, p50, p95) beside `stored` segments and four times as many utterances."""
    scale = max(stored, 1_000_000)
    maker = duckdb.connect()
    maker.execute("SET TimeZone = 'UTC'")
    lake = Lake(Location.parse(str(folder / "lake")), [SEGMENTS, UTTERANCES])
    lake.create()
    plain = duckdb.connect(str(folder / "plain.duckdb"))
    plain.execute(f"CREATE TABLE segments AS {SEGMENT_SQL.format(start=0, stop=0, scale=scale, state='')}")
    plain.execute("ALTER TABLE segments ADD PRIMARY KEY (dialog_id, segment_id)")
    for start in range(0, stored, 250_000):
        rows = batch(maker, start, scale, "stored", size=min(250_000, stored - start))
        lake.commit([Upsert(SEGMENTS, rows[0]), Append(UTTERANCES, rows[1], under=SEGMENTS)])
        if start == 0:
            plain.register("u", rows[1])
            plain.execute("CREATE TABLE utterances AS FROM u LIMIT 0")
        plain_commit(plain, rows)
    if not stored:
        plain.register("u", batch(maker, 0, scale, "")[1])
        plain.execute("CREATE TABLE utterances AS FROM u LIMIT 0")
    with lake.exclusive() as con:
        con.execute("CALL ducklake_merge_adjacent_files('lake')")
    step = BATCH // 2
    new = [batch(maker, stored + n * step, scale, "pending") for n in range(commits)]
    again = [batch(maker, stored + n * step, scale, "stored") for n in range(commits)]
    blind = [batch(maker, stored + n * step, scale, "blind") for n in range(commits)]

    def commit(rows: Rows, near: str | None) -> None:
        lake.commit([Upsert(SEGMENTS, rows[0], near=near), Append(UTTERANCES, rows[1], under=SEGMENTS)])

    def move(number: int) -> None:
        rows = batch(maker, number * BATCH, scale, "moved")[0]
        late = rows.set_column(2, "segment_end_time", new[0][0].column("segment_end_time"))
        lake.commit([Upsert(SEGMENTS, late, near="segment_end_time")])

    results = [
        ("lake, new", *timed(commits, lambda n: commit(new[n], "segment_end_time"))),
        ("lake, again", *timed(commits, lambda n: commit(again[n], "segment_end_time"))),
        ("lake, blind", *timed(commits, lambda n: commit(blind[n], None))),
        (
            "lake, nothing changed",
            *timed(commits, lambda n: lake.commit([Upsert(SEGMENTS, blind[n][0], near="segment_end_time")])),
        ),
        ("lake, moved", *timed(commits if stored else 1, move)),
        ("plain, new", *timed(commits, lambda n: plain_commit(plain, new[n]))),
        ("plain, again", *timed(commits, lambda n: plain_commit(plain, again[n]))),
    ]
    lake.close()
    plain.close()
    return results


def main() -> None:
    """Print one table a size."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="+", default=[0, 1_000_000], help="segments stored beforehand")
    parser.add_argument("--commits", type=int, default=20)
    parser.add_argument("--folder", type=Path, default=None, help="where to measure (default: a temporary folder)")
    options = parser.parse_args()
    for stored in options.rows:
        with tempfile.TemporaryDirectory(dir=options.folder) as folder:
            began = dt.datetime.now(tz=dt.UTC)
            results = measure(Path(folder), stored, options.commits)
        base = {name: p50 for name, p50, _ in results}
        print(
            f"\n{stored:,} segments, {4 * stored:,} utterances stored; {options.commits} commits each; {began:%Y-%m-%d}"
        )
        print(f"{'commit':<24}{'p50 ms':>8}{'p95 ms':>8}{'x plain':>9}")
        for name, p50, p95 in results:
            kind = "plain, new" if name.endswith("new") else "plain, again"
            print(f"{name:<24}{p50:>8.0f}{p95:>8.0f}{p50 / base[kind]:>9.1f}")


if __name__ == "__main__":
    main()
