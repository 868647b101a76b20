"""Kill any process at any moment: what was committed is complete and counted once; what was not is done again.

`tests/bench/crash.py` is the long run of the same.
"""

import random
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest

from tests.crash import FAILPOINTS, CrashTest, Failpoint, Figures, crash_test

HALF_HOUR = timedelta(minutes=30)


def side_by_side(folder: Path, hours: int, *works: Callable[[CrashTest], None]) -> Figures:
    """What came of crash tests, each with a lake and a sandbox of its own."""

    def one(number: int) -> Figures:
        with crash_test(folder / str(number), hours=hours, dialogs_per_hour=20) as test:
            works[number](test)
            return test.finish()

    with ThreadPoolExecutor(len(works)) as pool:
        return sum(pool.map(one, range(len(works))), Figures())


@pytest.mark.slow
def test_a_run_killed_at_any_step_loses_and_doubles_nothing(tmp_path: Path) -> None:
    """Between any two steps of a commit, of a claim, of a fetch, of whatever is written beside the lake."""

    def die_at_each(points: Sequence[Failpoint]) -> Callable[[CrashTest], None]:
        def work(test: CrashTest) -> None:
            for number, point in enumerate(points, 1):
                assert test.kill_at(point, test.end - number * HALF_HOUR), f"never came to: {point}"

        return work

    figures = side_by_side(tmp_path, 7, die_at_each(FAILPOINTS[:14]), die_at_each(FAILPOINTS[14:]))
    assert figures.wrong == []
    assert figures.kills.total() == len(FAILPOINTS)
    assert figures.compared > 500


@pytest.mark.slow
def test_runs_killed_at_random_moments_lose_and_double_nothing(tmp_path: Path) -> None:
    """Also the moments that nobody thought of, and with two runs at once."""

    def kill_at_random(seed: int) -> Callable[[CrashTest], None]:
        def work(test: CrashTest) -> None:
            rng = random.Random(seed)
            while test.figures.kills.total() < 3 and test.figures.runs < 30:
                test.kill_at_random(rng, longest_s=3.0)

        return work

    figures = side_by_side(tmp_path, 6, kill_at_random(1), kill_at_random(2))
    assert figures.wrong == []
    assert figures.kills.total() >= 6
    assert figures.asked_again == 0
