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

Attempts and total time are both capped (`Retry`); time counts from the first attempt, for the wait for a place in the
quota is the group's and not the request's. Every attempt takes its own place in the quota.
"""

import asyncio
import logging
import math
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from email.utils import mktime_tz, parsedate_to_datetime, parsedate_tz
from typing import TypeVar
from urllib.parse import unquote_plus

import httpx
import msgspec
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type

from connectors.errors import (
    ClockAhead,
    ConnectorError,
    Denied,
    NotReady,
    RateLimited,
    Rejected,
    Unauthorized,
    Unavailable,
)
from connectors.limits import Quotas

log = logging.getLogger(__name__)
T = TypeVar("T")

LONGEST_WAIT_S = 3600.0
AHEAD_S = 60.0  # how far this machine's clock may be ahead of the platform's
AFTER_PENALTY_S = 0.5  # the platform's penalty began when its 429 was sent, a little before we read it
NO_ANSWER = (httpx.HTTPError, httpx.StreamError, httpx.InvalidURL, httpx.CookieConflict, OSError)
UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)  # what msgspec raises for a bad body
SECRETIVE = ("auth", "admin")  # groups whose answers hold tokens or passwords: their bodies go nowhere


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

    async def send(self, group: str, request: httpx.Request, read: Callable[[bytes], T]) -> T:
        """What `read` makes of the body of a 2xx answer.

        `read` raises one of `UNREADABLE` for a body that it cannot read. Raises a ConnectorError, per the table above.
        """
        place = await self._await_turn(group)
        now = asyncio.get_running_loop().time
        end = now() + self._retry.total_s

        async def pause(seconds: float) -> None:
            nonlocal place
            await asyncio.sleep(seconds)
            place = await self._await_turn(group)

        async def attempt() -> T:
            return await self._attempt(group, place, request, read)

        attempts = AsyncRetrying(
            sleep=pause,
            retry=retry_if_exception_type((RateLimited, Unavailable)),
            stop=lambda state: state.attempt_number >= self._retry.attempts or now() + state.upcoming_sleep > end,
            wait=self._wait_s,
            before_sleep=_report,
            reraise=True,
        )
        return await attempts(attempt)

    async def _attempt(self, group: str, place: int, request: httpx.Request, read: Callable[[bytes], T]) -> T:
        sent_at = self._clock() if self._clock else None
        try:
            response = await self._exchange(request)
        finally:
            self._quotas[group].answered(place)
        if isinstance(response, str):
            self.spent[group, response] += 1
            raise Unavailable(f"{group}: no answer ({response})", group=group)
        self.spent[group, str(response.status_code)] += 1
        self.server_date = response.headers.get("date", self.server_date)
        if self._clock and sent_at is not None and (response.is_success or response.status_code == 404):
            # Whatever an answer took to come, it is younger than its request, and not older than an attempt may last.
            _check_clock(group, max(sent_at, self._clock() - self._timeout_s), response)
        if not response.is_success:
            raise self._failure(group, response)
        try:
            return read(response.content)
        except UNREADABLE as error:
            reason = str(error)
        raise _unreadable(group, response, reason)

    async def _exchange(self, request: httpx.Request) -> httpx.Response | str:
        """The answer, or the kind of failure: no error of httpx's, which hold the request, is another's context."""
        try:
            async with asyncio.timeout(self._timeout_s):
                return await self._client.send(request)
        except NO_ANSWER as error:
            return type(error).__name__

    async def _await_turn(self, group: str) -> int:
        """A place in the group's quota, when there is one: first come, first served within this process."""
        quota = self._quotas[group]
        async with self._turn.setdefault(group, asyncio.Lock()):
            while (wait_s := quota.take()) > 0:
                await asyncio.sleep(wait_s)
            return quota.place

    def _failure(self, group: str, response: httpx.Response) -> ConnectorError:
        error = classify(group, response)
        if isinstance(error, RateLimited):
            silent_s = self._retry.penalty_s if error.retry_after_s is None else error.retry_after_s
            self._quotas[group].silence(min(silent_s, LONGEST_WAIT_S) + AFTER_PENALTY_S)
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


def classify(group: str, response: httpx.Response) -> ConnectorError:
    """The error that an answer without success stands for."""
    answer = _clean(response)
    status, code, said = response.status_code, *_reason(answer)
    body = _kept(group, answer)
    message = f"{group}: status {status}" + (f", {said}" if said else "")
    if status == 401:
        return Unauthorized(message, group=group, status=status, code=code, body=body)
    if status == 403:
        return Denied(message, group=group, status=status, code=code, body=body)
    if status == 404:
        return NotReady(message, group=group, status=status, code=code, body=body)
    if status == 429:
        return RateLimited(message, group=group, status=status, code=code, retry_after_s=_retry_after_s(response))
    if status >= 500:
        return Unavailable(message, group=group, status=status, code=code, retry_after_s=_retry_after_s(response))
    return Rejected(message, group=group, status=status, code=code, body=body)


def _unreadable(group: str, response: httpx.Response, reason: str) -> Unavailable:
    message = f"{group}: status {response.status_code} with a body that cannot be read ({reason})"
    # A caller that asked for something else, and could not be logged in, has had no answer to what it asked for.
    status = None if group.startswith("auth") else response.status_code
    return Unavailable(message, group=group, status=status, body=_kept(group, _clean(response)))


def _reason(answer: str) -> tuple[str | None, str]:
    """The error code and the sentence in an error body, JSON as the specification's `Errors` or plain text."""
    try:
        fields = msgspec.json.decode(answer, type=dict[str, object])
    except UNREADABLE:
        return None, answer[:200].strip()
    code = fields.get("errorCode") or fields.get("error")
    said = [fields.get(name) for name in ("generalMessage", "developerMessage", "error_description", "message")]
    validation = fields.get("validationErrors")
    if isinstance(validation, list):
        said += [item.get("message") for item in validation if isinstance(item, dict)]
    words = "; ".join(dict.fromkeys(str(word) for word in (code, *said) if word))
    return (str(code)[:200] if code else None), words[:500]


def _retry_after_s(response: httpx.Response) -> float | None:
    """Seconds that the answer asks to wait: a number, or a date against the answer's own date; None when absent."""
    value = response.headers.get("retry-after", "")
    try:
        seconds = float(value)
        return max(0.0, seconds) if math.isfinite(seconds) else None
    except ValueError:
        pass
    try:
        asked = parsedate_to_datetime(value) - parsedate_to_datetime(response.headers.get("date", ""))
    except (TypeError, ValueError):
        return None
    return max(0.0, asked.total_seconds())


def _clean(response: httpx.Response) -> str:
    """The body as text, without the credentials of its request, should the answer repeat them."""
    text = response.content.decode("utf-8", "replace")
    for secret in _credentials(response.request):
        text = text.replace(secret, "***")
    return text


def _credentials(request: httpx.Request) -> list[str]:
    values = [request.headers.get("authorization", "").partition(" ")[2]]
    if request.headers.get("content-type") == "application/x-www-form-urlencoded":
        sent = [field.partition("=")[2] for field in request.content.decode().split("&")]
        values += [*sent, *map(unquote_plus, sent)]
    return [value for value in values if len(value) >= 8 and not value.startswith("urn")]


def _kept(group: str, answer: str) -> str:
    return "" if group.partition(":")[0] in SECRETIVE else answer[:2000]


def _report(state: RetryCallState) -> None:
    error = state.outcome.exception() if state.outcome else None
    if isinstance(error, ConnectorError):
        log.info("retry group=%s status=%s attempt=%d", error.group, error.status, state.attempt_number)
