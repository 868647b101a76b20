"""Plans: what is asked, in how few requests."""

from datetime import UTC, datetime, timedelta

import pytest

from flows.planning import Grid, beyond_retention, plan_backfill, plan_ingest, retry_at, sending_time
from flows.windows import Window

NOON = datetime(2026, 9, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
GRID = Grid(timedelta(minutes=15), timedelta(minutes=5), HOUR)


def hours(start: float, end: float) -> Window:
    """A window by hours from noon."""
    return Window(NOON + start * HOUR, NOON + end * HOUR)


def test_a_scheduled_pass_asks_once_and_reads_the_last_hour_again() -> None:
    """What showed up late, or was flagged late, is seen by four polls at the price of one each."""
    plan = plan_ingest([hours(-24, 0)], NOON - 24 * HOUR, NOON + timedelta(minutes=20), GRID)
    assert plan == [hours(-0.75, 0.25)]


def test_nothing_new_means_nothing_asked() -> None:
    """A second pass in the same quarter of an hour would spend quota for nothing."""
    assert plan_ingest([hours(-24, 0.25)], NOON - 24 * HOUR, NOON + timedelta(minutes=25), GRID) == []


def test_an_outage_is_caught_up_in_the_fewest_requests() -> None:
    """Seven and a quarter hours are eight requests of an hour."""
    plan = plan_ingest([hours(-24, -7)], NOON - 24 * HOUR, NOON + timedelta(minutes=20), GRID)
    assert len(plan) == 8
    assert plan[-1] == hours(-0.75, 0.25)


def test_a_gap_in_the_middle_is_asked_for_again() -> None:
    """A request that failed leaves a hole, and holes are found by what is there, not by a cursor."""
    covered = [hours(-24, -10), hours(-9, 0)]
    assert plan_ingest(covered, NOON - 24 * HOUR, NOON + timedelta(minutes=5), GRID) == [hours(-10, -9)]


def test_history_never_begins_before_its_start() -> None:
    """Reading the last hour again must not reach before RINGCX_START."""
    assert plan_ingest([], NOON - HOUR / 2, NOON + timedelta(minutes=5), GRID) == [hours(-0.5, 0)]


def test_a_backfill_skips_what_was_polled_and_stops_at_the_horizon() -> None:
    """Resuming costs nothing that was paid before; what is not complete yet is ingest's."""
    plan = plan_backfill([hours(-6, -3)], hours(-8, 50), NOON + timedelta(minutes=5), GRID)
    assert plan == [hours(-8, -7), hours(-7, -6), hours(-3, -2), hours(-2, -1), hours(-1, 0)]


def test_a_window_longer_than_the_grid_allows_is_cut_to_the_grid() -> None:
    """Requests of 50 minutes on a 15-minute grid are requests of 45."""
    grid = Grid(timedelta(minutes=15), timedelta(0), timedelta(minutes=50))
    assert [w.length for w in plan_backfill([], hours(-1.5, 0), NOON, grid)] == [timedelta(minutes=45)] * 2


@pytest.mark.parametrize(
    ("requests", "seconds"), [(0, 0), (3, 0), (4, 60), (9, 120), (10, 900), (19, 1800), (3408, 340_200)]
)
def test_the_time_of_many_requests_is_that_of_the_slowest_limit(requests: int, seconds: float) -> None:
    """3 a minute and 9 in 15 minutes: a burst is free, months are not."""
    assert sending_time(requests, [(3, 60), (9, 900)]) == timedelta(seconds=seconds)


def test_what_retention_deletes_before_its_turn_is_said_beforehand() -> None:
    """Of 100 days with 90 kept, ten are gone, and a day more if it takes a day."""
    days = timedelta(days=1)
    assert beyond_retention(hours(-2400, 0), NOON, 90 * days, timedelta(0)) == 10 * days
    assert beyond_retention(hours(-2400, 0), NOON, 90 * days, days) == 11 * days
    assert beyond_retention(hours(-240, 0), NOON, 90 * days, days) == timedelta(0)


@pytest.mark.parametrize(("attempts", "minutes"), [(1, 5), (2, 10), (3, 20), (9, 1280), (10, 1440), (99, 1440)])
def test_a_transcript_that_is_not_there_is_asked_for_less_and_less_often(attempts: int, minutes: float) -> None:
    """Minutes at first, once a day at last: quota is for transcripts that exist."""
    assert retry_at(attempts, NOON, 0.5) == NOON + timedelta(minutes=minutes)
    assert retry_at(attempts, NOON, 0.0) == NOON + timedelta(minutes=minutes) * 0.8
