"""Windows: half-open `[start, end)` spans of UTC time. Pure arithmetic.

window    one cell of the grid (15 minutes by default) that progress is counted in
horizon   the end of the last window that is complete: RingCX may still change what is younger
request   a span of one or more adjacent windows, asked for at once
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, order=True)
class Window:
    """The time from `start` up to, and not including, `end`."""

    start: datetime
    end: datetime

    @property
    def length(self) -> timedelta:
        """How long it is."""
        return self.end - self.start

    def __str__(self) -> str:
        return f"[{self.start:%Y-%m-%d %H:%M}, {self.end:%Y-%m-%d %H:%M})"


def floor(instant: datetime, step: timedelta) -> datetime:
    """The grid line at or before `instant`."""
    return instant - (instant - EPOCH) % step


def ceil(instant: datetime, step: timedelta) -> datetime:
    """The grid line at or after `instant`."""
    return instant + (EPOCH - instant) % step


def horizon(now: datetime, step: timedelta, offset: timedelta) -> datetime:
    """The end of the last window that ended at least `offset` before `now`."""
    return floor(now - offset, step)


def cells(span: Window, step: timedelta) -> list[Window]:
    """The windows of the grid that lie wholly inside `span`, in order."""
    first = ceil(span.start, step)
    count = (floor(span.end, step) - first) // step
    return [Window(first + i * step, first + (i + 1) * step) for i in range(count)]


def merge(windows: Iterable[Window]) -> list[Window]:
    """The same time as disjoint windows in order, adjacent ones joined."""
    merged: list[Window] = []
    for window in sorted(windows):
        if merged and window.start <= merged[-1].end:
            merged[-1] = Window(merged[-1].start, max(merged[-1].end, window.end))
        else:
            merged.append(window)
    return merged


def missing(covered: Iterable[Window], span: Window, step: timedelta) -> list[Window]:
    """The windows of the grid inside `span` that `covered` does not cover wholly, in order."""
    done = merge(covered)
    absent, position = [], 0
    for cell in cells(span, step):
        while position < len(done) and done[position].end <= cell.start:
            position += 1
        if position == len(done) or done[position].start > cell.start or done[position].end < cell.end:
            absent.append(cell)
    return absent


def requests(wanted: Sequence[Window], longest: timedelta) -> list[Window]:
    """The fewest spans of at most `longest` that cover every wanted window (in order), and what lies between."""
    spans: list[Window] = []
    for window in wanted:
        if spans and window.end - spans[-1].start <= longest:
            spans[-1] = Window(spans[-1].start, window.end)
        else:
            spans.append(window)
    return spans
