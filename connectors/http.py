"""Sending one request until it is answered or cannot be: quota -> request -> classify -> retry.

The only place that waits and the only place that retries. What happens for each status and failure:

| answer                             | here                                                       | raised at last |
|------------------------------------|------------------------------------------------------------|----------------|
| 2xx                                | read and returned                                          |                |
| 2xx that cannot be read            | as 5xx                                                     | `Unavailable`  |
| 400, other 4xx, 3xx                | not retried                                                | `Rejected`     |
| 401                                | not retried here: the client renews its token              | `Unauthorized` |
| 403                                | not retried                                                | `Denied`       |
| 404                                | not retried: the item's own clock decides                  | `NotReady`     |
| 429                                | the group is silent, in every process, for Retry-After     | `RateLimited`  |
|                                    | (absent: `penalty_s`); then retried                        |                |
| 5xx, time-out, reset, cut body     | retried after 1, 2, 4, 8 s (jittered), or Retry-After      | `Unavailable`  |
| 2xx or 404 with a `Date` long past | not believed: this machine's clock is ahead                | `ClockAhead`   |

A request that must not be sent twice (`once`), because the platform would do it twice, differs in these:

| 5xx, time-out, reset, cut body     | not retried: it may have been done                         | `Uncertain`    |
| 2xx that cannot be read            | not retried: it has been done                              | `Uncertain`    |
| no connection: refused, DNS, TLS,  | nothing of it was sent: retried after 1, 2, 4, 8 s         | `Unavailable`  |
| none free, time-out before sending |                                                            |                |
| 2xx with a `Date` long past        | believed: what was done is done                            |                |

A body that is streamed (`receive`) may take longer than an attempt otherwise may, as long as it goes on coming.

Attempts and total time are both capped (`Retry`); time counts from the first attempt, for the wait for a place in the
quota is the group's and not the request's. Every attempt takes its own place in the quota.
"""

import asyncio
import logging
import random
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass
from datetime import timedelta
from email.utils import mktime_tz, parsedate_tz
from typing import TypeVar

import httpx
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type

from connectors.answers import UNREADABLE, classify, unreadable
from connectors.errors import ClockAhead, ConnectorError, RateLimited, Unavailable, Uncertain
from connectors.journey import NO_ANSWER, Lost, Way, chunks_of, opened, read_whole
from connectors.limits import Quotas

log = logging.getLogger(__name__)
T = TypeVar("T")
Take = Callable[[httpx.Headers, AsyncIterator[bytes]], Awaitable[T]]

LONGEST_WAIT_S = 3600.0
AHEAD_S = 60.0  # how far this machine's clock may be ahead of the platform's
AFTER_PENALTY_S = 0.5  # the platform's penalty began when its 429 was sent, a little before we read it


@dataclass(frozen=True, slots=True)
class Retry:
    """How long one request is tried for: attempts and seconds in all, first and longest backoff in seconds."""

    attempts: int = 5
    total_s: float = 600.0
    first_s: float = 1.0
    longest_s: float = 30.0
    penalty_s: float = 60.0


def backoff_s(attempt: int, retry_after_s: float | None, retry: Retry, jitter: float) -> float:
    """Seconds to wait after failed attempt `attempt` (from 1): doubling, ±25 % by `jitter` (0 to 1)."""
    if retry_after_s is not None:
        return min(retry_after_s, LONGEST_WAIT_S)
    doubled = retry.first_s * 2.0 ** (attempt - 1)
    return float(min(doubled, retry.longest_s)) * (0.75 + jitter / 2)


class Http:
    """Requests under quota, with retries; counts what it spends."""

    def __init__(
        self,
        client: httpx.AsyncClient,
        quotas: Quotas,
        retry: Retry,
        *,
        timeout_s: float = 30.0,
        rng: random.Random | None = None,
        clock: Callable[[], float] | None = None,
    ) -> None:
        """`timeout_s` bounds one attempt as a whole, from connecting to the last byte of its answer.

        `clock` (epoch seconds) is compared with what the platform's answers say; None: it is not.
        """
        self._client, self._quotas, self._retry, self._timeout_s = client, quotas, retry, timeout_s
        self._rng = rng or random.Random()  # noqa: S311 - jitter, not a secret
        self._clock = clock
        self._turn: dict[str, asyncio.Lock] = {}
        self.spent: Counter[tuple[str, str]] = Counter()
        self.server_date: str | None = None

    async def send(self, group: str, request: httpx.Request, read: Callable[[bytes], T], *, once: bool = False) -> T:
        """What `read` makes of the body of a 2xx answer.

        `read` raises one of `UNREADABLE` for a body that it cannot read. `once`: sent again only where nothing of it
        can have arrived, or the platform refused it. Raises a ConnectorError, per the table above.
        """

        async def attempt(place: int) -> T:
            return await self._attempt(group, place, request, read, once=once)

        return await self._persist(group, attempt)

    async def receive(self, group: str, request: httpx.Request, take: Take[T]) -> T:
        """What `take` makes of the headers and the body of a 2xx answer, chunk by chunk, in bounded memory.

        It begins anew with each attempt, and raises one of `UNREADABLE` for a body that it cannot read; what else it
        raises is its own affair, and ends the request.
        """

        async def attempt(place: int) -> T:
            return await self._attempt_streaming(group, place, request, take)

        return await self._persist(group, attempt)

    async def _persist(self, group: str, attempt: Callable[[int], Awaitable[T]]) -> T:
        """What the first attempt returns that does not fail in a way that passes."""
        place = await self._await_turn(group)
        now = asyncio.get_running_loop().time
        end = now() + self._retry.total_s

        async def pause(seconds: float) -> None:
            nonlocal place
            await asyncio.sleep(seconds)
            place = await self._await_turn(group)

        async def next_attempt() -> T:
            return await attempt(place)

        attempts = AsyncRetrying(
            sleep=pause,
            retry=retry_if_exception_type((RateLimited, Unavailable)),
            stop=lambda state: state.attempt_number >= self._retry.attempts or now() + state.upcoming_sleep > end,
            wait=self._wait_s,
            before_sleep=_report,
            reraise=True,
        )
        return await attempts(next_attempt)

    async def _attempt(
        self, group: str, place: int, request: httpx.Request, read: Callable[[bytes], T], *, once: bool
    ) -> T:
        sent_at = self._clock() if self._clock else None
        try:
            response = await self._exchange(request, once=once)
        finally:
            self._quotas[group].answered(place)
        if isinstance(response, Lost):
            raise self._no_answer(group, response, once=once)
        self._note(group, response, None if once else sent_at)
        if not response.is_success:
            raise self._failure(group, response, once=once)
        try:
            return read(response.content)
        except UNREADABLE as error:
            reason = str(error)
        failure = unreadable(group, response, reason)
        raise (
            Uncertain(f"{failure}, so what it did is not known", group=group, status=failure.status)
            if once
            else failure
        )

    async def _attempt_streaming(self, group: str, place: int, request: httpx.Request, take: Take[T]) -> T:
        sent_at = self._clock() if self._clock else None
        response: httpx.Response | None = None
        try:
            async with asyncio.timeout(self._timeout_s) as deadline:
                try:
                    response = await opened(self._client, request)
                finally:
                    self._quotas[group].answered(place)
                async with aclosing(response), aclosing(chunks_of(response, deadline, self._timeout_s)) as chunks:
                    self._note(group, response, sent_at)
                    if not response.is_success:
                        await read_whole(response)
                        raise self._failure(group, response)
                    return await take(response.headers, chunks)
        except Lost as lost:
            failure: ConnectorError = self._no_answer(group, lost, response)
        except TimeoutError as error:
            if not deadline.expired():
                raise
            failure = self._no_answer(group, Lost(type(error).__name__), response)
        except UNREADABLE as error:
            assert response is not None  # noqa: S101 - only `take` raises these
            failure = unreadable(group, response, str(error), streamed=True)
        raise failure

    async def _exchange(self, request: httpx.Request, *, once: bool) -> httpx.Response | Lost:
        """The answer, or the kind of failure: no error of httpx's, which hold the request, is another's context."""
        way = Way()
        if once:
            # A wait for a connection ends before the whole attempt does, so that it is known for what it was.
            waits = httpx.Timeout(0.9 * self._timeout_s).as_dict()
            request.extensions = {**request.extensions, "trace": way.note, "timeout": waits}
        try:
            async with asyncio.timeout(self._timeout_s):
                return await self._client.send(request)
        except NO_ANSWER as error:
            return Lost(type(error).__name__, unsent=way.ended_before_sending(error))

    def _no_answer(
        self, group: str, lost: Lost, begun: httpx.Response | None = None, *, once: bool = False
    ) -> ConnectorError:
        """The error for an answer that did not come, or, `begun`, not to its end."""
        self.spent[group, lost.kind] += 1
        if begun:
            self.spent[group, str(begun.status_code)] -= 1  # each request is counted once
        if once and not lost.unsent:
            return Uncertain(f"{group}: no answer ({lost.kind}), so it may have been done or not", group=group)
        return Unavailable(f"{group}: no answer ({lost.kind})", group=group)

    def _note(self, group: str, response: httpx.Response, sent_at: float | None) -> None:
        """Count the answer and look at its date; with `sent_at`, only believe one that fits our clock."""
        self.spent[group, str(response.status_code)] += 1
        self.server_date = response.headers.get("date", self.server_date)
        if self._clock and sent_at is not None and (response.is_success or response.status_code == 404):
            # Whatever an answer took to come, it is younger than its request, and not older than an attempt may last.
            _check_clock(group, max(sent_at, self._clock() - self._timeout_s), response)

    async def _await_turn(self, group: str) -> int:
        """A place in the group's quota, when there is one: first come, first served within this process."""
        quota = self._quotas[group]
        async with self._turn.setdefault(group, asyncio.Lock()):
            while (wait_s := quota.take()) > 0:
                await asyncio.sleep(wait_s)
            return quota.place

    def _failure(self, group: str, response: httpx.Response, *, once: bool = False) -> ConnectorError:
        error = classify(group, response)
        if isinstance(error, RateLimited):
            silent_s = self._retry.penalty_s if error.retry_after_s is None else error.retry_after_s
            self._quotas[group].silence(min(silent_s, LONGEST_WAIT_S) + AFTER_PENALTY_S)
        if once and isinstance(error, Unavailable):
            return Uncertain(f"{error}, so it may have been done or not", group=group, status=error.status)
        return error

    def _wait_s(self, state: RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome else None
        if isinstance(error, RateLimited):
            return self._quotas[error.group].silent_for_s()  # everyone's wait, this request's included
        retry_after_s = error.retry_after_s if isinstance(error, ConnectorError) else None
        return backoff_s(state.attempt_number, retry_after_s, self._retry, self._rng.random())


def _check_clock(group: str, earliest: float, response: httpx.Response) -> None:
    """ClockAhead if the answer is dated before the earliest moment, by our clock, at which it can have been given."""
    said = parsedate_tz(response.headers.get("date", ""))
    ahead_s = earliest - mktime_tz(said) if said else 0.0
    if ahead_s > AHEAD_S:
        raise ClockAhead(
            f"this machine's clock is {timedelta(seconds=round(ahead_s))} ahead of the platform's (its answer is of "
            f"{response.headers['date']}): set it (NTP), then run again; nothing of this answer was kept",
            group=group,
        )


def _report(state: RetryCallState) -> None:
    error = state.outcome.exception() if state.outcome else None
    if isinstance(error, ConnectorError):
        log.info("retry group=%s status=%s attempt=%d", error.group, error.status, state.attempt_number)
