"""Rate limits as the platform counts them: a sliding-window log per group, and a penalty for who goes past it.

A *rate* is a number of requests per number of seconds. A *group* is counted as a whole and may have several rates. The
*penalty* is the trap (ringcx-api.md, *Rate limits: the trap*): past a limit every answer is 429 for the penalty
interval, and every request sent during the penalty starts it again.
"""

import math
from collections import deque
from collections.abc import Mapping
from typing import NamedTuple


class Rate(NamedTuple):
    """So many requests in any window of so many seconds."""

    requests: int
    seconds: float


class Verdict(NamedTuple):
    """What became of one request: let through or not, and what the rate-limit headers say of the tightest rate."""

    accepted: bool
    in_penalty: bool
    retry_after_s: int
    rate: Rate | None
    remaining: int


def parse_rates(text: str) -> tuple[Rate, ...]:
    """The rates of `"3/60,9/900"` (requests/seconds, comma-separated); an empty string means no limit."""
    pairs = (part.split("/") for part in text.split(",") if part.strip())
    return tuple(Rate(int(requests), float(seconds)) for requests, seconds in pairs)


class Quota:
    """The requests of one group: at most `requests` accepted in any half-open window `[t, t + seconds)` of each rate.

    Refused requests do not count as requests, but each one (re)starts the penalty.
    """

    def __init__(self, rates: tuple[Rate, ...], penalty_seconds: float) -> None:
        self._accepted: dict[Rate, deque[float]] = {rate: deque() for rate in rates}
        self._penalty_seconds = penalty_seconds
        self._penalty_until = -math.inf

    def take(self, now: float) -> Verdict:
        """Count one request that arrives at `now`; `now` must not run backwards."""
        for rate, times in self._accepted.items():
            while times and times[0] + rate.seconds <= now:
                times.popleft()
        in_penalty = now < self._penalty_until
        if in_penalty or any(len(times) >= rate.requests for rate, times in self._accepted.items()):
            return Verdict(False, in_penalty, self.punish(now), *self._tightest())
        for times in self._accepted.values():
            times.append(now)
        return Verdict(True, False, 0, *self._tightest())

    def punish(self, now: float) -> int:
        """Start the penalty (again); the seconds after which a request would be accepted, for `Retry-After`.

        That is the end of the penalty or the moment when every window has room again, whichever is later: that
        `Retry-After` covers the longer windows too is an assumption (the documentation only knows one-minute windows).
        """
        self._penalty_until = now + self._penalty_seconds
        full = [
            times[-rate.requests] + rate.seconds
            for rate, times in self._accepted.items()
            if times and len(times) >= rate.requests
        ]
        return max(math.ceil(max([self._penalty_until, *full]) - now), 1)

    def _tightest(self) -> tuple[Rate | None, int]:
        left = ((rate.requests - len(times), rate) for rate, times in self._accepted.items())
        remaining, rate = min(left, default=(0, None), key=lambda pair: pair[0])
        return rate, remaining


class Quotas:
    """One quota per group; the metadata group counts each sub-account on its own."""

    def __init__(self, limits: Mapping[str, str], penalty_seconds: float) -> None:
        self._rates = {group: parse_rates(text) for group, text in limits.items()}
        self._penalty_seconds = penalty_seconds
        self._quotas: dict[str, Quota] = {}

    def of(self, group: str) -> Quota:
        """The quota of a group; `"metadata:123"` has the rates of `"metadata"`."""
        if group not in self._quotas:
            self._quotas[group] = Quota(self.rates(group), self._penalty_seconds)
        return self._quotas[group]

    def rates(self, group: str) -> tuple[Rate, ...]:
        """The rates of a group, none if it is unlimited."""
        return self._rates.get(group.partition(":")[0], ())
