"""Windows: the arithmetic that completeness rests on."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from flows.windows import Window, cells, horizon, merge, missing, requests

NOON = datetime(2026, 9, 1, 12, tzinfo=UTC)
STEP, HOUR = timedelta(minutes=15), timedelta(hours=1)


def at(minutes: int) -> datetime:
    """So many minutes after noon."""
    return NOON + timedelta(minutes=minutes)


windows = st.builds(
    lambda start, length: Window(at(start), at(start + length)), st.integers(0, 600), st.integers(1, 200)
)


def minutes_of(spans: list[Window]) -> set[datetime]:
    """Every minute in any of the spans."""
    return {span.start + timedelta(minutes=i) for span in spans for i in range(int(span.length.total_seconds() // 60))}


def test_the_horizon_is_the_last_window_whose_offset_has_passed() -> None:
    """12:19:59 minus five minutes is still in the window that ends at 12:15, and 12:20:00 is not."""
    offset = timedelta(minutes=5)
    assert horizon(at(19) + timedelta(seconds=59), STEP, offset) == NOON
    assert horizon(at(20), STEP, offset) == at(15)


def test_windows_are_half_open() -> None:
    """A minute on a grid line belongs to the window that begins there."""
    assert cells(Window(at(0), at(30)), STEP) == [Window(at(0), at(15)), Window(at(15), at(30))]
    assert cells(Window(at(1), at(29)), STEP) == []


@given(st.lists(windows, max_size=8))
def test_merging_keeps_every_minute_and_leaves_no_overlap(spans: list[Window]) -> None:
    """Coverage must neither grow nor shrink by being written shorter."""
    merged = merge(spans)
    assert minutes_of(merged) == minutes_of(spans)
    assert all(a.end < b.start for a, b in pairwise(merged))


@given(st.lists(windows, max_size=8))
def test_what_is_missing_and_what_is_covered_make_the_whole(covered: list[Window]) -> None:
    """A gap that is overlooked here is a conversation lost for ever."""
    span = Window(at(0), at(600))
    absent = missing(covered, span, STEP)
    assert minutes_of(absent) | minutes_of(covered) >= minutes_of([span])
    assert all(not minutes_of([cell]) <= minutes_of(covered) for cell in absent)


@given(st.lists(windows, max_size=8))
def test_requests_cover_what_is_wanted_and_are_never_too_long(covered: list[Window]) -> None:
    """RingCX refuses longer spans; every request counts."""
    wanted = missing(covered, Window(at(0), at(600)), STEP)
    asked = requests(wanted, HOUR)
    assert minutes_of(asked) >= minutes_of(wanted)
    assert all(span.length <= HOUR for span in asked)
    assert all(later.end - span.start > HOUR for span, later in pairwise(asked))
