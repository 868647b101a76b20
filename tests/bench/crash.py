"""What is left after hundreds of kills?

    .venv/bin/python -m tests.bench.crash --kills 500

Rounds of `tests.crash`, two at a time: each has a sandbox and a lake of its own, on which runs (backfill, ingest,
reconcile, maintain; often two or three at once) are killed with SIGKILL, at random moments or at a step of a commit,
until runs that nobody kills bring the rest. Every tenth round the platform has every fault on. The judge compares the
lake with what is true after every kill, and its log with what the lake held then. The peer is perfection: 0 wrong.
"""

import argparse
import os
import random
import tempfile
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from tests.crash import FAILPOINTS, CrashTest, Figures, crash_test

A_ROUND, LONGEST_S = 14, 2.5
HALF_HOUR = timedelta(minutes=30)


class Bench:
    """Rounds until enough was killed."""

    def __init__(self, kills: int, seed: int) -> None:
        self._kills, self._seed = kills, seed
        self._lock = threading.Lock()
        self.rounds = 0
        self.total = Figures()

    def work(self, first: int) -> None:
        """Every second round, from `first` on."""
        number = first
        while self.total.kills.total() < self._kills:
            figures = self._round(number)
            with self._lock:
                self.rounds += 1
                self.total += figures
                said = f"round {number}: {figures.kills.total()} kills, {len(figures.wrong)} wrong"
                print(f"{said}; {self.total.kills.total()} of {self._kills}", flush=True)
            number += 2

    def _round(self, number: int) -> Figures:
        rng = random.Random(f"{self._seed}/{number}")
        is_rough = number % 10 == 9
        with (
            tempfile.TemporaryDirectory(prefix="crash") as folder,
            crash_test(Path(folder), hours=3 if is_rough else 7, dialogs_per_hour=60, faults=is_rough) as test,
        ):
            if number % 5 == 4 and not is_rough:
                _at_failpoints(test, rng)
            else:
                while test.figures.kills.total() < A_ROUND:
                    test.kill_at_random(rng, LONGEST_S)
            return test.finish()


def _at_failpoints(test: CrashTest, rng: random.Random) -> None:
    """Some failpoints, each at one of its first executions."""
    points = [point for point in FAILPOINTS if point.after_ms] * 3 + rng.sample(FAILPOINTS, A_ROUND - 3)
    for count, point in enumerate(points, 1):
        after_ms = rng.uniform(0.5, 25) if point.after_ms else 0.0
        hit = rng.randint(1, 2 * point.hit + 2)
        test.kill_at(replace(point, hit=hit, after_ms=after_ms), test.end - count * HALF_HOUR)


def main() -> None:
    """Run and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=500)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    began = time.monotonic()
    bench = Bench(options.kills, options.seed)
    with ThreadPoolExecutor(2) as pool:
        for done in [pool.submit(bench.work, first) for first in range(2)]:
            done.result()
    total, places = bench.total, {point.name for point in FAILPOINTS}
    phases = Counter({name: n for name, n in total.kills.items() if name not in places})
    minutes = (time.monotonic() - began) / 60
    print(f"{os.cpu_count()} cores, {time.strftime('%Y-%m-%d')}, seed {options.seed}, {minutes:.1f} min")
    print(f"kills: {total.kills.total()} in {bench.rounds} rounds of {total.runs} runs")
    print(f"  at random, while {', '.join(f'{name} {n}' for name, n in phases.most_common())}")
    print(f"  at a step of a commit, claim, fetch, login: {total.kills.total() - phases.total()}")
    print(f"loaded in the end: {total.segments:,} segments, {total.utterances:,} utterances")
    print(f"transcripts compared with the truth right after a kill: {total.compared:,}")
    print(f"asked for again though stored: {total.asked_again}; because their answer died: {total.fetched_again:,}")
    print(f"orphan files: {total.orphans}")
    print(f"wrong: {len(total.wrong)} (verify, contents, order, duplicates, claims and files left behind)")
    for wrong in total.wrong[:20]:
        print(f"  {wrong[:1000]}")


if __name__ == "__main__":
    main()
