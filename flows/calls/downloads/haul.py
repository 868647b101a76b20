"""What belongs to a segment and is fetched after its end, an item at a time: outcomes of attempts, and their sum. Pure.

fetched                    -> stored; empty: asked again a few times, because it may be filled in later
404                        -> missing, asked again later and later; expired when retention has ended
400, unreadable            -> pending, asked again later and later; expired when retention has ended
403                        -> pending, asked again in an hour: permissions get granted
429, 5xx, no answer        -> pending, asked again in five minutes: not the item's fault
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from connectors.errors import ConnectorError, Denied, NotReady, Rejected
from flows.outcomes import Key
from flows.planning import DENIED_RETRY, FIRST_RETRY, retry_at
from flows.tally import Tally

PENDING, STORED, EMPTY, MISSING, EXPIRED = "pending", "stored", "empty", "missing", "expired"
EMPTY_ATTEMPTS = 5  # over an hour and a quarter


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """Something of a segment that is wanted; `kind` tells a segment's items apart, `attempts` are those before."""

    key: Key
    segment_end: datetime
    segment_start: datetime | None = None
    longest_ms: int | None = None
    kind: str = ""
    attempts: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """What came of an item: its state, the columns that say what it is, and its size."""

    state: str = STORED
    columns: Mapping[str, object] = field(default_factory=dict)
    size_bytes: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What one attempt led to. `in_vain`: the platform, not the item, was the reason."""

    item: Item
    state: str
    at: datetime
    next_attempt_at: datetime | None = None
    error: str | None = None
    arrival: Arrival = Arrival()
    in_vain: bool = False

    @property
    def attempts(self) -> int:
        """Attempts so far, without those that were not the item's fault."""
        return self.item.attempts + (not self.in_vain)


def arrived(item: Item, arrival: Arrival, now: datetime, jitter: float) -> Outcome:
    """The outcome of an answer."""
    later = None
    if arrival.state == EMPTY and item.attempts + 1 < EMPTY_ATTEMPTS:
        later = retry_at(item.attempts + 1, now, jitter)
    return Outcome(item=item, state=arrival.state, at=now, next_attempt_at=later, arrival=arrival)


def failed(item: Item, error: ConnectorError, now: datetime, retention: timedelta, jitter: float) -> Outcome:
    """The outcome of no answer."""
    said = str(error.status or "no answer") + (f" {error.code}" if error.code else "")
    unreadable = error.status is not None and error.status < 300
    if isinstance(error, (NotReady, Rejected)) or unreadable:
        said = f"unreadable: {error}" if unreadable else said
        if now - item.segment_end > retention:
            return Outcome(item=item, state=EXPIRED, at=now, error=said)
        state = MISSING if isinstance(error, NotReady) else PENDING
        later = retry_at(item.attempts + 1, now, jitter)
        return Outcome(item=item, state=state, at=now, next_attempt_at=later, error=said)
    wait = DENIED_RETRY if isinstance(error, Denied) else FIRST_RETRY
    return Outcome(item=item, state=PENDING, at=now, next_attempt_at=now + wait, error=said, in_vain=True)


@dataclass(slots=True)
class Haul:
    """Counts of one run: items asked for of those wanted, by state, and their bytes."""

    wanted: int = 0
    done: int = 0
    states: Counter[str] = field(default_factory=Counter)
    size_bytes: int = 0
    troubles: list[str] = field(default_factory=list)

    def count(self, outcome: Outcome) -> None:
        """Add an attempt."""
        self.done += 1
        self.states[outcome.state] += 1
        self.size_bytes += outcome.arrival.size_bytes

    def columns(self, spent: Mapping[tuple[str, str], int]) -> dict[str, object]:
        """As columns of `runs`: the requests `spent` by (group, answer), and what went wrong."""
        return Tally(troubles=self.troubles).columns(spent)


@dataclass(frozen=True, slots=True)
class Fetched:
    """What a run did. `left`: items that are still wanted, now or later."""

    run_id: str
    kind: str
    started_at: datetime
    finished_at: datetime
    haul: Haul
    left: int

    @property
    def ok(self) -> bool:
        """Whether nothing but what is not there yet stays away."""
        return not self.haul.troubles


def said(haul: Haul) -> str:
    """What came, in a few words: `12 stored, 3 missing, 4.5 MB`."""
    counts = [
        f"{haul.states[name]:,} {name}" for name in (STORED, EMPTY, MISSING, PENDING, EXPIRED) if haul.states[name]
    ]
    return ", ".join([*(counts or ["nothing yet"]), f"{haul.size_bytes / 1e6:,.1f} MB"])
