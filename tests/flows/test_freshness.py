"""When data is stale."""

from datetime import UTC, datetime, timedelta

import pytest

from flows.freshness import FRESH, STALE, judged
from flows.loading import Report
from flows.planning import Grid
from flows.tally import Tally
from flows.windows import Window

GRID = Grid(step=timedelta(minutes=15), offset=timedelta(minutes=5), longest=timedelta(hours=1))
NOON = datetime(2026, 9, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("started_at", "event"),
    [
        (NOON + timedelta(minutes=5), FRESH),  # all there is
        (NOON + timedelta(minutes=34, seconds=59), FRESH),  # one window behind: this pass or the next makes up for it
        (NOON + timedelta(minutes=35), STALE),
        (NOON + timedelta(days=3), STALE),
    ],
)
def test_data_is_stale_when_a_pass_leaves_it_more_than_a_window_behind(started_at: datetime, event: str) -> None:
    """An alarm at every short delay is switched off by its second week; none at all, and a dead queue goes unseen."""
    covered = {"99999999": Window(NOON - timedelta(days=1), NOON)}
    report = Report("run-1", "ingest", started_at, started_at + timedelta(minutes=9), Tally(), 0, covered)
    assert judged(report, GRID) == {"99999999": event}
