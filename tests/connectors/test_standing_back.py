"""Backfills stand back: they take all that is left, and never what somebody else waits for."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from connectors.limits import Quota, parse_limits
from connectors.sandbox import ManualClock
from tests.virtual_time import NOON


@pytest.fixture
def clock() -> ManualClock:
    """A clock that stands at noon."""
    return ManualClock(NOON)


@pytest.fixture
def schedule(tmp_path: Path, clock: ManualClock) -> Iterator[Quota]:
    """The quota as ingest opens it."""
    with closing(Quota(tmp_path / "group.sqlite", parse_limits("3/60,9/900"), clock)) as opened:
        yield opened


@pytest.fixture
def backfill(tmp_path: Path, clock: ManualClock) -> Iterator[Quota]:
    """The same quota as a backfill opens it, with one place in reserve."""
    with closing(Quota(tmp_path / "group.sqlite", parse_limits("3/60,9/900"), clock, stand_back=1)) as opened:
        yield opened


def taken(quota: Quota, times: int) -> int:
    """How many of so many requests it grants at once."""
    return sum(quota.take() == 0 for _ in range(times))


def test_a_backfill_leaves_its_reserve_of_every_limit(backfill: Quota, schedule: Quota, clock: ManualClock) -> None:
    """Two of three a minute and eight of nine in 15 minutes: ingest always finds a place."""
    total = 0
    for _ in range(14):
        burst = taken(backfill, 5)
        assert burst <= 2
        total += burst
        clock.advance(62)
    assert total == 8
    assert schedule.take() == 0


def test_a_backfill_takes_all_that_is_left(backfill: Quota, clock: ManualClock) -> None:
    """Told how long to wait, it asks no sooner and no later than a place is free."""
    assert taken(backfill, 5) == 2
    clock.advance(backfill.take())
    assert backfill.take() == 0


def test_a_backfill_lets_those_who_wait_go_first(backfill: Quota, schedule: Quota, clock: ManualClock) -> None:
    """Fresh conversations come before old ones, also when both want the next place."""
    assert taken(schedule, 4) == 3
    wait = schedule.take()
    clock.advance(wait)
    assert backfill.take() > 0
    assert schedule.take() == 0


def test_one_who_died_waiting_holds_nobody_up(backfill: Quota, schedule: Quota, clock: ManualClock) -> None:
    """A mark of waiting ends a second after its turn."""
    assert taken(schedule, 4) == 3
    clock.advance(schedule.take() + 2)
    assert backfill.take() == 0


def test_a_reserve_as_large_as_the_limit_still_lets_a_backfill_go_on(tmp_path: Path, clock: ManualClock) -> None:
    """Slow is what was asked for; never is not."""
    with closing(Quota(tmp_path / "other.sqlite", parse_limits("3/60"), clock, stand_back=99)) as quota:
        assert taken(quota, 3) == 1
