"""One request until it is answered or cannot be. The judge is the log of the sandbox: what arrived, and when."""

import asyncio
import ssl
from collections.abc import Awaitable
from contextlib import closing
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from connectors.answers import classify
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
from connectors.http import Http, Retry, backoff_s
from connectors.limits import Quotas, parse_limits
from connectors.sandbox import Fault, SandboxConfig, SandboxServer
from tests.connectors.wiring import BASE_URL, LIMITS, PATH, open_http, transcript_request
from tests.virtual_time import NOON, World, run_virtually

TRIES = Retry().attempts
GONE = [Fault(status=404)] * 50  # the answer to a request that arrived: there is no such transcript


async def send(http: Http, request: httpx.Request | None = None, group: str = "transcripts") -> object:
    """The body of the answer, as JSON."""
    return await http.send(group, request or transcript_request(), msgspec.json.decode)


async def failure(sending: Awaitable[object]) -> ConnectorError:
    """The error that it ends with."""
    with pytest.raises(ConnectorError) as caught:
        await sending
    return caught.value


def waits(world: World) -> list[float]:
    """Seconds between arrivals."""
    return [later.at - earlier.at for earlier, later in pairwise(world.sandbox.log)]


def jittered(*seconds: float, after: float = 0) -> list[Any]:
    """Backoffs of about these, each `after` so much of waiting for an answer."""
    return [pytest.approx(after + wait, abs=wait / 4) for wait in seconds]


def exactly(*seconds: float) -> list[Any]:
    """Waits that somebody told us, to the millisecond."""
    return [pytest.approx(wait, abs=0.002) for wait in seconds]


# What happens for each status and failure: the table of connectors/http.py, with the waits between the arrivals.
ONCE: list[Any] = []
BACKOFF = jittered(1, 2, 4, 8)
TABLE = {
    "400": (Fault(status=400), Rejected, 400, ONCE),
    "409": (Fault(status=409), Rejected, 409, ONCE),
    "302": (Fault(status=302, body=""), Rejected, 302, ONCE),
    "401": (Fault(status=401), Unauthorized, 401, ONCE),
    "403": (Fault(status=403), Denied, 403, ONCE),
    "404": (Fault(status=404), NotReady, 404, ONCE),
    "429-with-Retry-After": (Fault(status=429, retry_after_s=7), RateLimited, 429, exactly(*[7.5] * 4)),
    "429-without-Retry-After": (Fault(status=429), RateLimited, 429, exactly(*[60.5] * 4)),
    "429-with-a-real-penalty": (Fault(penalty=True), RateLimited, 429, exactly(*[60.5] * 4)),
    "500": (Fault(status=500), Unavailable, 500, BACKOFF),
    "503-with-Retry-After": (Fault(status=503, retry_after_s=20), Unavailable, 503, exactly(*[20] * 4)),
    "time-out": (Fault(delay_s=90), Unavailable, None, jittered(1, 2, 4, 8, after=30)),
    "reset": (Fault(reset=True), Unavailable, None, BACKOFF),
    "not-JSON": (Fault(html=True), Unavailable, 200, BACKOFF),
    "no-body": (Fault(status=200, body=""), Unavailable, 200, BACKOFF),
    "endless-nesting": (Fault(status=200, body="[" * 100_000), Unavailable, 200, BACKOFF),
}


@pytest.mark.parametrize(("fault", "kind", "status", "expected"), TABLE.values(), ids=TABLE.keys())
def test_each_failure_has_its_error_and_its_retries(
    tmp_path: Path, fault: Fault, kind: type[ConnectorError], status: int | None, expected: list[Any]
) -> None:
    """Too few attempts lose data, too many lock the client out; the error says what the caller can do."""

    async def work(world: World) -> tuple[ConnectorError, list[float]]:
        world.sandbox.script("transcripts", [fault] * (TRIES + 2))
        async with open_http(tmp_path, world.clock, world.transport) as http:
            return await failure(send(http)), waits(world)

    error, waited = run_virtually(work, SandboxConfig(), tmp_path)
    assert (type(error), error.status, error.group) == (kind, status, "transcripts")
    assert waited == expected


@pytest.mark.parametrize(
    "fault", [Fault(reset=True), Fault(cut_headers=True), Fault(truncate=True)], ids=lambda fault: str(fault.name)
)
@pytest.mark.parametrize("times", [2, TRIES])
def test_what_breaks_on_a_real_socket_is_tried_again(tmp_path: Path, fault: Fault, times: int) -> None:
    """Reset, cut in the headers, cut in the body: no such thing exists without a socket."""

    async def work(server: SandboxServer) -> object:
        account = httpx.Request("GET", f"{server.base_url}/voice/api/v1/admin/accounts", headers=STATIC)
        async with open_http(tmp_path, server.sandbox.clock, None, Retry(first_s=0)) as http:
            return await (send(http, account, "admin") if times < TRIES else failure(send(http, account, "admin")))

    with SandboxServer() as server:
        server.sandbox.script("accounts", [fault] * times)
        answer = asyncio.run(work(server))
    assert isinstance(answer, Unavailable if times == TRIES else list)
    assert [record.status for record in server.sandbox.log] == ([None] * times + [200])[:TRIES]


STATIC = {"Authorization": "Bearer sandbox-token"}


@pytest.mark.parametrize("names_retry_after", [True, False])
def test_after_a_429_nobody_speaks_until_the_penalty_has_passed(tmp_path: Path, names_retry_after: bool) -> None:
    """Each request during a penalty starts it again: two processes with ten requests would never get out of it."""

    async def work(world: World) -> list[ConnectorError]:
        world.sandbox.script("transcripts", GONE)
        async with (
            open_http(tmp_path, world.clock, world.transport) as one,
            open_http(tmp_path, world.clock, world.transport) as other,
        ):

            async def start(number: int) -> ConnectorError:
                await asyncio.sleep(number / 10)
                return await failure(send((one, other)[number % 2]))

            outcomes = await asyncio.gather(*map(start, range(10)))
        log = world.sandbox.log
        assert [record.at - NOON for record in log] == exactly(0, 0.1, 0.2, 0.3, 0.4, 0.5, *[61] * 5)
        assert not any(record.was_inside_penalty for record in log)
        return outcomes

    config = SandboxConfig(limits={"transcripts": "5/60"}, retry_after=names_retry_after)
    assert {type(outcome) for outcome in run_virtually(work, config, tmp_path)} == {NotReady}


def test_groups_do_not_wait_for_one_another(tmp_path: Path) -> None:
    """The platform counts them apart; transcripts go on while metadata is silent."""

    async def work(world: World) -> list[tuple[str, float]]:
        async with open_http(tmp_path, world.clock, world.transport) as http:
            world.sandbox.script("metadata", [Fault(penalty=True)])
            metadata = httpx.Request("POST", f"{BASE_URL}{PATH}/interaction-metadata", headers=STATIC, json={})
            first = asyncio.create_task(failure(send(http, metadata, "metadata:99999999")))
            await asyncio.sleep(1)
            await failure(send(http))
            await first
        return [(record.operation, record.at - NOON) for record in world.sandbox.log]

    seen = run_virtually(work, SandboxConfig(), tmp_path)
    assert seen == [("metadata", 0), ("transcript", 1), ("metadata", pytest.approx(60.5))]


def test_every_attempt_takes_its_place_in_the_quota(tmp_path: Path) -> None:
    """A retry is a request like any other to the platform, which counts it."""

    async def work(world: World) -> tuple[int, int]:
        world.sandbox.script("transcripts", [Fault(status=500)] * 3)
        async with open_http(tmp_path, world.clock, world.transport) as http:
            await failure(send(http))
            with closing(Quotas(tmp_path / "quotas", LIMITS, world.clock)) as another_process:
                return another_process["transcripts"].used(60), sum(http.spent.values())

    assert run_virtually(work, SandboxConfig(), tmp_path) == (4, 4)


def test_a_flood_of_requests_leaves_at_the_rate_of_the_limit(tmp_path: Path) -> None:
    """From two processes with a hundred requests each, without one refusal."""

    async def work(world: World) -> None:
        world.sandbox.script("transcripts", GONE * 4)
        async with (
            open_http(tmp_path, world.clock, world.transport) as one,
            open_http(tmp_path, world.clock, world.transport) as other,
        ):
            await asyncio.gather(*(failure(send(http)) for http in (one, other) for _ in range(100)))
        assert [record.at - NOON for record in world.sandbox.log] == exactly(*[0] * 120, *[60.301] * 80)
        assert {record.status for record in world.sandbox.log} == {404}

    run_virtually(work, SandboxConfig(), tmp_path)


@pytest.mark.parametrize(
    ("fault", "retry", "expected"),
    [
        (Fault(status=500), Retry(attempts=3), jittered(1, 2)),
        (Fault(status=500), Retry(attempts=99, total_s=20), jittered(1, 2, 4, 8)),
        (Fault(status=503, retry_after_s=601), Retry(), []),
        (Fault(status=503, retry_after_s=250), Retry(), exactly(250, 250)),
        (Fault(status=429, retry_after_s=601), Retry(), []),
        (Fault(status=429, retry_after_s=250), Retry(), exactly(250.5, 250.5)),
    ],
)
def test_attempts_and_total_time_are_capped(tmp_path: Path, fault: Fault, retry: Retry, expected: list[float]) -> None:
    """A wait that would end after the time is over is not begun: the caller hears of it now and plans for itself."""

    async def work(world: World) -> list[float]:
        world.sandbox.script("transcripts", [fault] * 99)
        async with open_http(tmp_path, world.clock, world.transport, retry) as http:
            await failure(send(http))
        return waits(world)

    assert run_virtually(work, SandboxConfig(), tmp_path) == expected


def test_waiting_for_a_place_does_not_use_up_the_time_for_retries(tmp_path: Path) -> None:
    """Metadata may wait a quarter of an hour for its turn: one 503 after that must not be the end of it."""
    limits = {"transcripts": parse_limits("2/900")}

    async def work(world: World) -> list[ConnectorError]:
        world.sandbox.script(
            "transcripts", [Fault(status=404), Fault(status=404), Fault(status=503), Fault(status=404)]
        )
        async with open_http(tmp_path, world.clock, world.transport, limits=limits) as http:
            return [await failure(send(http)) for _ in range(3)]

    errors = run_virtually(work, SandboxConfig(limits={"transcripts": ""}), tmp_path)
    assert [type(error) for error in errors] == [NotReady] * 3


@pytest.mark.parametrize(
    ("attempt", "retry_after_s", "jitter", "seconds"),
    [
        *[(attempt, None, 0.5, wait) for attempt, wait in enumerate([1, 2, 4, 8, 16, 30, 30], 1)],
        (1, None, 0, 0.75),
        (1, None, 1, 1.25),
        (99, None, 1, 37.5),
        (3, 0, 0.5, 0),
        (3, 90, 0.9, 90),
        (1, 1e9, 0.5, 3600),
    ],
)
def test_backoff_doubles_is_jittered_and_yields_to_retry_after(
    attempt: int, retry_after_s: float | None, jitter: float, seconds: float
) -> None:
    """The schedule: 1, 2, 4 ... 30 s, each ±25 % so that processes do not come back all at once."""
    assert backoff_s(attempt, retry_after_s, Retry(), jitter) == pytest.approx(seconds)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"Retry-After": "0"}, 0),
        ({"Retry-After": "7"}, 7),
        ({"Retry-After": "-7"}, 0),
        ({"Retry-After": "soon"}, None),
        ({"Retry-After": "nan"}, None),
        ({"Retry-After": "inf"}, None),
        ({"Retry-After": "Tue, 01 Sep 2026 12:01:30 GMT", "Date": "Tue, 01 Sep 2026 12:00:00 GMT"}, 90),
        ({"Retry-After": "Tue, 01 Sep 2026 11:00:00 GMT", "Date": "Tue, 01 Sep 2026 12:00:00 GMT"}, 0),
        ({"Retry-After": "Tue, 01 Sep 2026 12:01:30 GMT"}, None),
    ],
)
@pytest.mark.parametrize("status", [429, 503])
def test_retry_after_is_seconds_or_a_date(status: int, headers: dict[str, str], seconds: float | None) -> None:
    """A date counts from the answer's own date: our clock may be wrong."""
    response = httpx.Response(status, headers=headers, request=transcript_request())
    assert classify("transcripts", response).retry_after_s == seconds


@pytest.mark.parametrize(
    ("body", "code", "said"),
    [
        (b'{"errorCode": "access.denied.exception", "generalMessage": "No."}', "access.denied.exception", "No."),
        (b'{"error": "invalid_grant", "error_description": "Too old"}', "invalid_grant", "Too old"),
        (b'{"validationErrors": [{"message": "must not be null"}, 1]}', None, "must not be null"),
        (b"JWT is expired.", None, "JWT is expired."),
        (b"[]", None, "[]"),
        (b'{"generalMessage": "\xff"}', None, "status 400"),
        (b"[" * 100_000, None, "status 400"),
        (b"", None, "transcripts: status 400"),
    ],
)
def test_an_error_says_what_the_platform_said(body: bytes, code: str | None, said: str) -> None:
    """In JSON or not, readable or not: the sentence is often the only hint."""
    error = classify("transcripts", httpx.Response(400, content=body, request=transcript_request()))
    assert (error.code, said in str(error), len(str(error)) < 300) == (code, True, True)


def httpx_errors() -> list[Exception]:
    """One of each error that httpx knows, and of the operating system's."""
    errors: list[Exception] = [ConnectionResetError(), TimeoutError(), ssl.SSLError()]
    for kind in vars(httpx).values():
        if isinstance(kind, type) and issubclass(kind, Exception):
            if issubclass(kind, httpx.HTTPStatusError):
                errors.append(kind("x", request=transcript_request(), response=httpx.Response(500)))
            elif kind.__init__ is httpx.StreamConsumed.__init__ or issubclass(kind, httpx.StreamError):
                errors.append(_without_arguments(kind))
            else:
                errors.append(kind("x"))
    return errors


def _without_arguments(kind: type[Exception]) -> Exception:
    try:
        return kind()
    except TypeError:
        return kind("x")


@pytest.mark.parametrize("error", httpx_errors(), ids=lambda error: type(error).__name__)
def test_no_error_of_the_http_library_gets_out(tmp_path: Path, error: Exception) -> None:
    """Callers know the errors of connectors/errors.py and no other; nor does one hide behind them, with its request."""

    def fail(_: httpx.Request) -> httpx.Response:
        raise error

    async def work() -> ConnectorError:
        async with open_http(tmp_path, lambda: NOON, httpx.MockTransport(fail), Retry(first_s=0)) as http:
            return await failure(send(http))

    raised = asyncio.run(work())
    assert (type(raised), type(error).__name__ in str(raised)) == (Unavailable, True)
    assert (raised.__cause__, raised.__context__) == (None, None)


def test_being_cancelled_is_not_a_failure_to_retry(tmp_path: Path) -> None:
    """Ctrl-C ends a run at once, whatever it waits for."""

    async def work(world: World) -> int:
        world.sandbox.script("transcripts", [Fault(delay_s=20)])
        async with open_http(tmp_path, world.clock, world.transport) as http:
            task = asyncio.create_task(send(http))
            await asyncio.sleep(1)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            await asyncio.sleep(100)
        return len(world.sandbox.log)

    assert run_virtually(work, SandboxConfig(), tmp_path) == 1


@pytest.mark.parametrize("status", [200, 404, 500])
@pytest.mark.parametrize(
    ("date", "ahead_s", "is_refused"),
    [
        ("Tue, 01 Sep 2026 12:00:00 GMT", 60, False),
        ("Tue, 01 Sep 2026 12:00:00 GMT", 62, True),
        ("Tue, 01 Sep 2026 12:00:00 GMT", -9999, False),
        ("Mon, 31 Aug 2026 12:00:00 GMT", 0, True),
        ("soon", 9999, False),
    ],
)
def test_an_answer_from_our_past_means_that_our_clock_is_ahead(
    tmp_path: Path, status: int, date: str, ahead_s: float, is_refused: bool
) -> None:
    """It is not believed, not even a 404; errors that decide nothing are what they are."""
    answer = httpx.MockTransport(lambda _: httpx.Response(status, json={}, headers={"Date": date}))
    known = {200: None, 404: NotReady, 500: Unavailable}[status]

    async def work(_: World) -> None:
        async with httpx.AsyncClient(transport=answer) as client:
            with closing(Quotas(tmp_path, LIMITS, lambda: NOON)) as quotas:
                http = Http(client, quotas, Retry(attempts=1), clock=lambda: NOON + ahead_s)
                raised = ClockAhead if is_refused and status != 500 else known
                if raised:
                    assert type(await failure(send(http))) is raised
                else:
                    assert await send(http) == {}

    run_virtually(work, SandboxConfig(), tmp_path)


def test_an_answer_may_take_as_long_as_an_attempt_may_last(tmp_path: Path) -> None:
    """A slow one is dated long before it is read; that says nothing about our clock."""
    now = NOON

    def answer_slowly(_: httpx.Request) -> httpx.Response:
        nonlocal now
        now += 85
        return httpx.Response(200, json={}, headers={"Date": "Tue, 01 Sep 2026 12:00:00 GMT"})

    async def work(_: World) -> None:
        async with httpx.AsyncClient(transport=httpx.MockTransport(answer_slowly)) as client:
            with closing(Quotas(tmp_path, LIMITS, lambda: now)) as quotas:
                assert await send(Http(client, quotas, Retry(), clock=lambda: now)) == {}

    run_virtually(work, SandboxConfig(), tmp_path)
