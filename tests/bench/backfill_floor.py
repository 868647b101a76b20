"""How close does a backfill come to what the limits allow, and does the schedule beside it notice?

    .venv/bin/python -m tests.bench.backfill_floor [--transcripts 9600]

Real processes and sockets; a limit of 120 transcripts in 6 s, a tenth of the documented minute. A `ringcx-etl ingest`
is started for each window of a minute, five minutes after the window's end: first alone, then for as long as one
`ringcx-etl backfill` of about so many transcripts runs.

The peer is the *floor*: the least time in which a sliding window lets n requests through, (ceil(n / 120) - 1) * 6 s,
where n counts every transcript request from the backfill's first to its last, the ingests' too. A window's *delay* is
the time from when it may first be asked for until the last of the transcripts that its first poll saw is committed,
read from the lake's snapshots.
"""

import argparse
import math
import os
import statistics
import subprocess
import tempfile
import time
from bisect import bisect_left
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import httpx

from flows.runtime import open_lake
from flows.settings import load_settings
from tests.processes import SandboxProcess, cli, run_cli, sandbox_process

LIMIT, PERIOD_S = 120, 6
WINDOW_S, OFFSET_S = 60, 300
INGEST_MINUTES = WINDOW_S / 60 * 13 / 15  # as the schedule gives a pass 13 of 15 minutes
DIALOGS_PER_HOUR = 3000  # of each of two sub-accounts
TRANSCRIPTS_PER_HOUR = 5900  # that they leave together
LIMITS = {"transcript": f"{LIMIT}/{PERIOD_S}", "metadata": "1000/60"}


class Pass(NamedTuple):
    """One scheduled ingest: the end of the window that it is for, its exit code, how long its process lived."""

    window_end: int
    code: int
    seconds: float


def main() -> None:
    """Run for about twice the floor, and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--transcripts", type=int, default=9600)
    options = parser.parse_args()
    arguments = [word for kind, limit in LIMITS.items() for word in (f"--{kind}-limits", limit)]
    arguments += ["--dialogs-per-hour", str(DIALOGS_PER_HOUR), "--days", "1"]
    with (
        tempfile.TemporaryDirectory() as folder,
        sandbox_process(*arguments) as sandbox,
        ThreadPoolExecutor(1) as pool,
    ):
        start = int(time.time()) // WINDOW_S * WINDOW_S - OFFSET_S
        env = environment(sandbox, Path(folder), start)
        alone_until = time.time() + floor_s(options.transcripts)
        alone = list(passes(env, lambda: time.time() < alone_until))
        began = time.time()
        first = start - 3600 * options.transcripts / TRANSCRIPTS_PER_HOUR
        span = ("--start", iso(first), "--end", iso(start))
        backfill = cli("backfill", *span, env=env, stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL)
        end = pool.submit(lambda: (backfill.wait(), time.time()))
        beside = list(passes(env, lambda: not end.done()))
        code, ended = end.result()
        log = httpx.get(sandbox.base_url + "/_sandbox/log", timeout=60).json()
        delays = window_delays(env)
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[2]:.1f} in the last 15 minutes; {time.strftime('%Y-%m-%d')}")
    show_backfill([record for record in log if record["group"] == "transcripts"], code, began, ended)
    show_ingests("alone", alone, delays)
    show_ingests("beside the backfill", beside, delays)


def environment(sandbox: SandboxProcess, folder: Path, start: int) -> dict[str, str]:
    """Settings of both: the sandbox's limits, windows of a minute, an hour's re-reading scaled as the limit is."""
    limits = {f"RINGCX_{kind.upper()}_LIMITS": limit for kind, limit in LIMITS.items()}
    grid = {"RINGCX_WINDOW_SECONDS": str(WINDOW_S), "RINGCX_OFFSET_SECONDS": str(OFFSET_S)}
    reread = {"RINGCX_MAX_INTERVAL_SECONDS": "360"}
    return sandbox.settings(folder) | limits | grid | reread | {"RINGCX_START": iso(start)}


def passes(env: dict[str, str], wanted: Callable[[], bool]) -> Iterator[Pass]:
    """An ingest for each window that may be asked for from now on, one at a time, until no more are wanted."""
    while True:
        window_end = (int(time.time()) - OFFSET_S) // WINDOW_S * WINDOW_S + WINDOW_S
        while wanted() and time.time() < window_end + OFFSET_S:
            time.sleep(0.05)
        if not wanted():
            return
        began = time.monotonic()
        done = run_cli("ingest", "--max-minutes", str(INGEST_MINUTES), env=env)
        yield Pass(window_end, done.returncode, time.monotonic() - began)


def window_delays(env: dict[str, str]) -> dict[int, float]:
    """End of each window that ingest polled -> seconds from when it might be asked for to its last commit."""
    with open_lake(load_settings(_env_file=None, ringcx_lake=env["RINGCX_LAKE"])) as lake, lake.read() as con:
        last = con.execute("SELECT max(snapshot_id) FROM ducklake_snapshots('lake')").fetchall()[0][0]
        return dict(con.execute(DELAYS_SQL, [last, OFFSET_S]).fetchall())


DELAYS_SQL = """
    WITH stored AS (
        SELECT sub_account_id, dialog_id, segment_id, min(snapshot_id) AS committed
        FROM ducklake_table_changes('lake', 'main', 'segments', 0, ?)
        WHERE change_type = 'update_postimage' AND transcript_state IN ('stored', 'empty') GROUP BY ALL
    )
    SELECT epoch(window_end)::INT AS window_end, max(epoch(snapshot_time)) - epoch(any_value(window_end)) - ?
    FROM stored
    JOIN segments USING (sub_account_id, dialog_id, segment_id)
    JOIN windows ON segments.sub_account_id = windows.sub_account_id AND first_seen_at = first_polled_at
        AND segment_end_time >= window_start AND segment_end_time < window_end
    JOIN ducklake_snapshots('lake') AS snapshots ON snapshots.snapshot_id = committed
    WHERE purpose = 'ingest' GROUP BY ALL
"""


def floor_s(requests: int) -> float:
    """The least seconds from the first to the last of so many requests: a burst, then as many each period."""
    return float((math.ceil(requests / LIMIT) - 1) * PERIOD_S)


def show_backfill(log: list[dict[str, Any]], code: int, began: float, ended: float) -> None:
    """The backfill against the floor: by its requests alone, and as a process from its start to its exit."""
    during = [record for record in log if began <= record["at"] <= ended]
    first, last = during[0]["at"], during[-1]["at"]
    floor = floor_s(len(during))
    served = [(record["dialog_id"], record["segment_id"]) for record in log if record["status"] == 200]
    print(f"backfill: exit code {code}; {len(during):,} transcript requests in its time, the ingests' included")
    print(f"  floor {floor:.0f} s; first to last request {last - first:.1f} s = x {(last - first) / floor:.3f}")
    print(f"  process, start to exit {ended - began:.1f} s = x {(ended - began) / floor:.3f}")
    print(f"  refused (429): {sum(record['status'] == 429 for record in log)}, of {len(log):,}")
    print(f"  most accepted in any {PERIOD_S} s: {most_in_a_period([record['at'] for record in log])} of {LIMIT}")
    print(f"  transcripts served more than once: {len(served) - len(set(served))}")


def most_in_a_period(arrivals: list[float]) -> int:
    """The most of these moments, in order, that lie in any half-open stretch of a period."""
    return max(bisect_left(arrivals, at + PERIOD_S) - number for number, at in enumerate(arrivals))


def show_ingests(title: str, done: list[Pass], delays: dict[int, float]) -> None:
    """How long fresh windows took to be in the tables."""
    waits = [delays[one.window_end] for one in done if one.window_end in delays]
    took = [one.seconds for one in done]
    print(f"ingest, {title}: {len(done)} passes, {sum(one.code != 0 for one in done)} failed, {len(waits)} windows")
    if waits:
        print(
            f"  window asked for to data committed: median {statistics.median(waits):.1f} s, worst {max(waits):.1f} s"
        )
        print(f"  whole process: median {statistics.median(took):.1f} s, worst {max(took):.1f} s")


def iso(seconds: float) -> str:
    """The moment as the command line takes it."""
    return datetime.fromtimestamp(seconds, UTC).isoformat()


if __name__ == "__main__":
    main()
