"""Does a lake that is maintained every night stay as quick as on its first day?

    python -m tests.bench.ninety_days [--days 90] [--every 10] [--peer-days 5]

Each day has 96 passes of 20 segments and 200 utterances: a commit when a window is polled, one when its transcripts are
stored, and one transcript that comes a day late. Nights are real: the catalog and the files are made a day older, then
maintained. With --every 10 only each tenth day, and the last, is committed pass by pass and timed; the rows of the
others come in four commits of the same two kinds, so that the lake grows as it would. The peer is the same lake that
nobody maintains. The ratios are of CPU time, which other programs on the machine disturb less.
"""

import argparse
import random
import statistics
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa

from flows import tables
from sinks import Append, Lake, Location, Upsert
from sinks.maintenance import maintain
from tests.sinks.aging import age

FIRST, STEP = datetime(2026, 6, 1, tzinfo=UTC), timedelta(minutes=15)
PASSES, SEGMENTS, LINES = 96, 20, 10
RANDOM = random.Random(1)
WORDS = ["".join(RANDOM.choices("etaoinshrdlu", k=RANDOM.randint(2, 8))) for _ in range(3000)]


@dataclass
class Night:
    """What one simulated day came to."""

    day: int
    commits_ms: list[float] = field(default_factory=list)
    commits_cpu_ms: list[float] = field(default_factory=list)
    maintenance_s: float = 0.0
    files: int = 0
    live_bytes: int = 0
    disk_bytes: int = 0
    query_cpu_ms: float = 0.0


def key(end: datetime, number: int) -> dict[str, object]:
    """The key of a segment that ended in a pass's window, and where to look for it."""
    ids = {"sub_account_id": "1", "dialog_id": f"{end:%Y%m%d%H%M}-{number // 2}", "segment_id": str(number)}
    return ids | {"segment_end_time": end - timedelta(seconds=number)}


def polled(lake: Lake, ends: list[datetime]) -> None:
    """What a poll commits: segments, the windows of the last hour, and the run."""
    fixed = {"channel_type": "VOICE", "channel_class": "VOICE", "has_transcript": True, "segment_events": "[]"}
    state = {"transcript_state": "pending", "transcript_attempts": 0, "first_seen_at": ends[-1]}
    segments = [
        {**key(end, n), **fixed, **state, "agent_notes": " ".join(RANDOM.choices(WORDS, k=n % 7))}
        for end in ends
        for n in range(SEGMENTS)
    ]
    starts = sorted({end - n * STEP for end in ends for n in range(1, 5)})
    counts = {"polled_at": ends[-1], "first_polled_at": ends[-1], "polls": 1, "segments": SEGMENTS, "purpose": "ingest"}
    windows = [{"sub_account_id": "1", "window_start": at, "window_end": at + STEP, **counts} for at in starts]
    run = {"run_id": str(ends[-1]), "kind": "ingest", "state": "running", "started_at": ends[-1]}
    lake.commit(
        [
            Upsert(
                tables.SEGMENTS, pa.Table.from_pylist(segments, tables.SEGMENTS.schema), tables.UPDATE_FROM_METADATA
            ),
            Upsert(tables.WINDOWS, pa.Table.from_pylist(windows, tables.WINDOWS.schema), tables.UPDATE_WINDOW),
            Upsert(tables.RUNS, pa.Table.from_pylist([run], tables.RUNS.schema)),
        ]
    )


def fetched(lake: Lake, ends: list[datetime]) -> None:
    """What a flush commits: outcomes, utterances, one outcome of the day before, and the run."""
    stored = {"transcript_state": "stored", "transcript_attempts": 1, "utterance_count": LINES}
    late = [key(end - timedelta(days=1), 0) for end in ends if end - timedelta(days=1) > FIRST]
    on_time = [key(end, number) for end in ends for number in range(SEGMENTS)]
    outcomes = [{**one, **stored, "transcript_at": ends[-1]} for one in [*on_time, *late]]
    lines = [
        {name: value for name, value in one.items() if name != "segment_end_time"}
        | {"seq": seq, "spoken_at": ends[-1], "message": " ".join(RANDOM.choices(WORDS, k=12))}
        | {"segment_day": ends[0].date(), "participant_id": str(number % 40), "participant_type": "agent"}
        for number, one in enumerate(on_time)
        for seq in range(LINES)
    ]
    run = {"run_id": str(ends[-1]), "kind": "ingest", "state": "done", "started_at": ends[-1]}
    update = tables.UPDATE_FROM_TRANSCRIPT
    lake.commit(
        [
            Upsert(tables.SEGMENTS, tables.outcome_rows(outcomes), update, insert=False, near="segment_end_time"),
            Append(tables.UTTERANCES, pa.Table.from_pylist(lines, tables.UTTERANCES.schema), under=tables.SEGMENTS),
            Upsert(tables.RUNS, pa.Table.from_pylist([run], tables.RUNS.schema)),
        ]
    )


def live(lake: Lake, days: int, every: int, *, maintained: bool) -> Iterator[Night]:
    """The days of a lake, one after the other."""
    for day in range(days):
        night = Night(day)
        ends = [FIRST + timedelta(days=day) + number * STEP for number in range(1, PASSES + 1)]
        whole = day % every == 0 or day == days - 1
        batches = [[end] for end in ends] if whole else [ends[:48], ends[48:]]
        for batch in batches:
            for commit in (polled, fetched):
                before, cpu_before = time.perf_counter(), time.process_time()
                commit(lake, batch)
                if whole:
                    night.commits_ms.append(1000 * (time.perf_counter() - before))
                    night.commits_cpu_ms.append(1000 * (time.process_time() - cpu_before))
        if maintained:
            age(lake.location, 1)
            before = time.perf_counter()
            maintain(lake)
            night.maintenance_s = time.perf_counter() - before
        measure(lake, night)
        yield night


def measure(lake: Lake, night: Night) -> None:
    """Fill in what the lake takes now, and how long a look at a day takes."""
    with lake.read() as con:
        sizes = con.execute(
            "SELECT sum(file_count + delete_file_count), sum(file_size_bytes + delete_file_size_bytes) "
            "FROM ducklake_table_info('lake')"
        ).fetchone()
    night.files, night.live_bytes = (int(n) for n in sizes or ())
    night.disk_bytes = sum(path.stat().st_size for path in Path(lake.location.data_path).rglob("*.parquet"))
    before = time.process_time()
    lake.query(
        "SELECT segment_id, count(*) FROM utterances JOIN segments USING (sub_account_id, dialog_id, segment_id)"
        " WHERE segment_day = DATE '2026-06-01' GROUP BY ALL"
    )
    night.query_cpu_ms = 1000 * (time.process_time() - before)


def show(title: str, nights: list[Night]) -> tuple[float, float]:
    """One line for a stretch of days; the p50 of its commits' and of its queries' CPU time."""
    commits = [ms for night in nights for ms in night.commits_ms]
    cpu = statistics.median([ms for night in nights for ms in night.commits_cpu_ms] or [0.0])
    p50, p95 = (statistics.median(commits), statistics.quantiles(commits, n=20)[-1]) if commits else (0.0, 0.0)
    timed = f"{p50:>8.0f}{p95:>8.0f}{cpu:>8.0f}" if commits else f"{'-':>8}" * 3
    last, query = nights[-1], statistics.median(night.query_cpu_ms for night in nights)
    maintenance = max(night.maintenance_s for night in nights)
    print(
        f"{title:<16}{timed}{query:>10.0f}{last.files:>8,}{last.live_bytes / 1e6:>9.1f}"
        f"{last.disk_bytes / 1e6:>9.1f}{maintenance:>13.2f}",
        flush=True,
    )
    return cpu, query


def stretches(nights: Iterator[Night], length: int, suffix: str = "") -> list[tuple[float, float]]:
    """A line for each so many days; the medians of commits and queries of those in which commits were measured."""
    found, part = [], list[Night]()
    for night in nights:
        part.append(night)
        if len(part) == length:
            found.append(show(f"{part[0].day + 1} to {night.day + 1}{suffix}", part))
            part = []
    return [(commit, query) for commit, query in found if commit]


def main() -> None:
    """Print a line for each tenth of the way, then the peer's days, then the ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--days", type=int, default=90)
    parser.add_argument("--every", type=int, default=1, help="commit each such day pass by pass")
    parser.add_argument("--peer-days", type=int, default=5, choices=range(1, 6), help="days without maintenance")
    options = parser.parse_args()
    print(
        f"{PASSES} passes a day of {SEGMENTS} segments and {SEGMENTS * LINES} utterances; {datetime.now(UTC):%Y-%m-%d}"
    )
    print("days              p50 ms  p95 ms  cpu ms query cpu   files  live MB  disk MB  night, max s")
    with tempfile.TemporaryDirectory() as folder:
        lakes = [Lake(Location.parse(f"{folder}/{name}"), tables.TABLES) for name in ("maintained", "never")]
        for lake in lakes:
            lake.create()
        days = live(lakes[0], options.days, options.every, maintained=True)
        kept = stretches(days, max(1, options.days // 10))
        never = stretches(live(lakes[1], options.peer_days, 1, maintained=False), 1, ", never")
        for lake in lakes:
            lake.close()
    (first, first_query), (last, last_query), (peer, peer_query) = kept[0], kept[-1], never[-1]
    print(
        f"maintained, last stretch against first: commit x {last / first:.2f}, query x {last_query / first_query:.2f}"
    )
    print(f"never, last day against maintained: commit x {peer / last:.2f}, query x {peer_query / last_query:.2f}")


if __name__ == "__main__":
    main()
