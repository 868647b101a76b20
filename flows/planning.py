"""What to ask next, and when to ask again. Pure: instants and settings in, plans out."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from flows.windows import Window, horizon, missing, requests

# A transcript is usually there 5 minutes after its segment ended; one that is not may take a day.
FIRST_RETRY, LONGEST_RETRY = timedelta(minutes=5), timedelta(days=1)
DENIED_RETRY = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Grid:
    """How time is cut: windows of `step`, complete `offset` after their end, requests of at most `longest`."""

    step: timedelta
    offset: timedelta
    longest: timedelta

    @property
    def request(self) -> timedelta:
        """The longest request that ends on the grid where it starts on it."""
        return self.longest // self.step * self.step


def plan_ingest(covered: Iterable[Window], history_start: datetime, now: datetime, grid: Grid) -> list[Window]:
    """The requests that bring a sub-account up to the horizon: the fewest, oldest first.

    The last one reaches back as far as one request may: a segment that shows up late, or whose flag flips late, is
    seen by every poll of the hour that follows, at no price. Nothing new to ask for: nothing is asked.
    """
    span = Window(history_start, horizon(now, grid.step, grid.offset))
    plan = requests(missing(covered, span, grid.step), grid.request)
    if plan and plan[-1].end == span.end:
        start = max(min(plan[-1].start, span.end - grid.request), history_start)
        plan[-1] = Window(start, span.end)
    return plan


def plan_backfill(covered: Iterable[Window], span: Window, now: datetime, grid: Grid) -> list[Window]:
    """The fewest requests that cover what is not covered yet of `span`, up to the horizon, oldest first."""
    span = Window(span.start, min(span.end, horizon(now, grid.step, grid.offset)))
    return requests(missing(covered, span, grid.step), grid.request)


@dataclass(frozen=True, slots=True)
class Forecast:
    """What a backfill will cost. Times are at the present limits, with nothing else using them.

    `requests` and `windows` (still to poll) by sub-account; `windows_done` were polled before. `transcripts` is an
    estimate from what was seen of each sub-account so far, None where nothing was; `again` of them are stored already
    and wanted once more. `beyond_retention` is how much of the span RingCX has deleted, or will have before the last
    poll.
    """

    span: Window
    requests: Mapping[str, int]
    windows: Mapping[str, int]
    windows_done: int
    transcripts: int | None
    again: int
    metadata_time: timedelta
    transcript_time: timedelta
    beyond_retention: timedelta

    @property
    def time(self) -> timedelta:
        """How long it will take: polls and transcripts go side by side."""
        return max(self.metadata_time, self.transcript_time)


def sending_time(requests: int, limits: Sequence[tuple[int, float]]) -> timedelta:
    """How long it takes to send so many requests under all (requests, seconds) limits, from an unused quota."""
    return timedelta(seconds=max((max(requests - 1, 0) // most * seconds for most, seconds in limits), default=0.0))


def beyond_retention(span: Window, now: datetime, retention: timedelta, takes: timedelta) -> timedelta:
    """How much of `span` is older than retention by the time a backfill that takes so long has read it."""
    return max(min(span.end, now + takes - retention) - span.start, timedelta(0))


def retry_at(attempts: int, now: datetime, jitter: float) -> datetime:
    """When to ask again for a transcript that was not there at attempt `attempts` (from 1); `jitter` in 0..1.

    5 minutes, doubling to a day, spread by ±20 % so that what failed together does not return together.
    """
    wait: timedelta = min(FIRST_RETRY * 2 ** min(attempts - 1, 20), LONGEST_RETRY)
    return now + wait * (0.8 + 0.4 * jitter)
