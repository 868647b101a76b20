"""Which hours were polled: for a calendar that is read at a glance. Pure arithmetic.

polled    everything of the hour that is due was asked for
part      some of it was not
gap       none of it was
later     not due yet
before    before the history of any sub-account begins
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Literal

from flows.windows import Window, merge, missing

HOUR = timedelta(hours=1)
State = Literal["polled", "part", "gap", "later", "before"]


@dataclass(frozen=True, slots=True)
class Gap:
    """Time of one sub-account that is due and was not polled."""

    sub_account_id: str
    window: Window


@dataclass(frozen=True, slots=True)
class Hour:
    """One hour of the calendar; `due` and `absent` (due and not polled) are sums over the sub-accounts."""

    start: datetime
    due: timedelta
    absent: timedelta
    is_past: bool

    @property
    def state(self) -> State:
        """How it is coloured."""
        if not self.due:
            return "before" if self.is_past else "later"
        if not self.absent:
            return "polled"
        return "part" if self.absent < self.due else "gap"


@dataclass(frozen=True, slots=True)
class Day:
    """One UTC day and its 24 hours."""

    day: date
    hours: tuple[Hour, ...]


@dataclass(frozen=True, slots=True)
class Calendar:
    """All days of a period, the gaps in it, and how much of what was due was polled."""

    days: tuple[Day, ...]
    gaps: tuple[Gap, ...]
    due: timedelta
    absent: timedelta

    @property
    def share(self) -> float | None:
        """Share of the due time that was polled; None where nothing was due."""
        return (self.due - self.absent) / self.due if self.due else None


def calendar(
    covered: Mapping[str, Sequence[Window]], days: Sequence[date], until: datetime, step: timedelta
) -> Calendar:
    """The hours of these days: of each sub-account what was polled, due from its first window up to `until`."""
    first = datetime.combine(days[0], datetime.min.time(), until.tzinfo)
    due, gaps = [], []
    for name, windows in sorted(covered.items()):
        own = Window(max(first, min(window.start for window in windows)), until)
        if own.start < own.end:
            due.append(own)
            gaps += [Gap(name, gap) for gap in merge(missing(windows, own, step))]
    due_by_hour, absent_by_hour = _by_hour(due), _by_hour(gap.window for gap in gaps)
    shown = []
    for day in days:
        midnight = datetime.combine(day, datetime.min.time(), until.tzinfo)
        starts = [midnight + i * HOUR for i in range(24)]
        hours = [
            Hour(start, due_by_hour.get(start, timedelta()), absent_by_hour.get(start, timedelta()), start < until)
            for start in starts
        ]
        shown.append(Day(day, tuple(hours)))
    return Calendar(tuple(shown), tuple(gaps), _length(due), _length(gap.window for gap in gaps))


def _by_hour(windows: Iterable[Window]) -> dict[datetime, timedelta]:
    lengths: dict[datetime, timedelta] = {}
    for window in windows:
        start = window.start.replace(minute=0, second=0, microsecond=0)
        while start < window.end:
            inside = min(window.end, start + HOUR) - max(window.start, start)
            lengths[start] = lengths.get(start, timedelta()) + inside
            start += HOUR
    return lengths


def _length(windows: Iterable[Window]) -> timedelta:
    return sum((window.length for window in windows), timedelta())
