"""When the next pass begins."""

from datetime import UTC, datetime, timedelta

import pytest

from flows.planning import Grid
from flows.serving import next_pass

GRID = Grid(step=timedelta(minutes=15), offset=timedelta(minutes=5), longest=timedelta(hours=1))


def at(hour: int, minute: int, second: int = 0) -> datetime:
    return datetime(2026, 9, 1, hour, minute, second, tzinfo=UTC)


@pytest.mark.parametrize(
    ("now", "due"),
    [
        (at(12, 0), at(12, 5)),
        (at(12, 4, 59), at(12, 5)),
        (at(12, 5), at(12, 20)),
        (at(12, 19, 59), at(12, 20)),
        (at(23, 50), at(23, 50) + timedelta(minutes=15)),
    ],
)
def test_a_pass_begins_five_minutes_after_each_window_has_ended(now: datetime, due: datetime) -> None:
    """Earlier, the window would be refused by the horizon and come a quarter of an hour late."""
    assert next_pass(now, GRID) == due
