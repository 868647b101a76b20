"""Requests that must not be sent twice: what is sent again, and what is left in doubt. The judge is what arrived."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import msgspec
import pytest

from connectors.errors import (
    ConnectorError,
    Denied,
    NotReady,
    RateLimited,
    Rejected,
    Unauthorized,
    Unavailable,
    Uncertain,
)
from connectors.http import Http, Retry
from connectors.limits import Quotas, parse_limits
from connectors.sandbox import Fault, SandboxConfig
from tests.connectors.wiring import LIMITS, open_http, transcript_request
from tests.processes import free_port
from tests.virtual_time import World, run_virtually

TRIES = Retry().attempts
TABLE = {
    "400": (Fault(status=400), Rejected, 400, 1),
    "401": (Fault(status=401), Unauthorized, 401, 1),
    "403": (Fault(status=403), Denied, 403, 1),
    "404": (Fault(status=404), NotReady, 404, 1),
    "409": (Fault(status=409), Rejected, 409, 1),
    "429-refused": (Fault(status=429, retry_after_s=7), RateLimited, 429, TRIES),
    "500": (Fault(status=500), Uncertain, 500, 1),
    "503-with-Retry-After": (Fault(status=503, retry_after_s=20), Uncertain, 503, 1),
    "time-out": (Fault(delay_s=90), Uncertain, None, 1),
    "reset": (Fault(reset=True), Uncertain, None, 1),
    "200-truncated": (Fault(truncate=True), Uncertain, None, 1),
    "200-unreadable": (Fault(html=True), Uncertain, 200, 1),
}


async def failure(sending: Awaitable[object]) -> ConnectorError:
    """The error that it ends with."""
    with pytest.raises(ConnectorError) as caught:
        await sending
    return caught.value


@pytest.mark.parametrize(("fault", "kind", "status", "arrivals"), TABLE.values(), ids=TABLE.keys())
def test_only_what_was_surely_refused_is_sent_again(
    tmp_path: Path, fault: Fault, kind: type[ConnectorError], status: int | None, arrivals: int
) -> None:
    """A stream that is started twice is in a state that nobody knows; an error that hides a start is worse."""

    async def work(world: World) -> tuple[ConnectorError, int]:
        world.sandbox.script("transcripts", [fault] * (TRIES + 2))
        async with open_http(tmp_path, world.clock, world.transport) as http:
            error = await failure(http.send("transcripts", transcript_request(), msgspec.json.decode, once=True))
            return error, len(world.sandbox.log)

    error, arrived = run_virtually(work, SandboxConfig(), tmp_path)
    assert (type(error), error.status, arrived) == (kind, status, arrivals)


Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def listening(handle: Handler, tls: ssl.SSLContext | None = None) -> AsyncIterator[tuple[int, list[bytes]]]:
    """A server on a free port of loopback, and the requests that arrived at it."""
    arrived: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            if first := await reader.read(65536):
                arrived.append(first)
                await handle(reader, writer)
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    try:
        yield server.sockets[0].getsockname()[1], arrived
    finally:
        server.close()


@asynccontextmanager
async def real_http(folder: Path, *, timeout_s: float, pool: int = 10) -> AsyncIterator[Http]:
    """As a run has it, in a hurry."""
    quotas = Quotas(folder / "quotas", {**LIMITS, "transcripts": parse_limits("1000/1")}, lambda: 1e9)
    limits = httpx.Limits(max_connections=pool)
    async with httpx.AsyncClient(limits=limits, timeout=timeout_s, trust_env=False) as client:
        yield Http(client, quotas, Retry(attempts=3, first_s=0), timeout_s=timeout_s)
    quotas.close()


async def silence(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Heard, and not answered."""
    del writer
    await reader.read()


async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Heard, and the connection reset."""
    del reader
    writer.transport.abort()


async def cut_answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Accepted; but of the answer only a part arrives."""
    del reader
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
    await writer.drain()


@pytest.mark.parametrize("handle", [silence, hang_up, cut_answer])
def test_what_may_have_arrived_is_sent_once(tmp_path: Path, handle: Handler) -> None:
    """On real sockets, where time-outs and resets are what they are in the field."""

    async def work() -> tuple[ConnectorError, int]:
        async with listening(handle) as (port, arrived), real_http(tmp_path, timeout_s=0.3) as http:
            error = await failure(http.send("transcripts", _post(f"http://127.0.0.1:{port}"), bytes, once=True))
            return error, len(arrived)

    error, arrived = asyncio.run(work())
    assert (type(error), arrived) == (Uncertain, 1)


def test_a_refused_connection_is_tried_again(tmp_path: Path) -> None:
    """Nothing can have arrived where nobody listens."""

    async def work() -> tuple[ConnectorError, int]:
        async with real_http(tmp_path, timeout_s=2) as http:
            request = _post(f"http://127.0.0.1:{free_port()}")
            error = await failure(http.send("transcripts", request, bytes, once=True))
            return error, http.spent["transcripts", "ConnectError"]

    error, attempts = asyncio.run(work())
    assert (type(error), attempts) == (Unavailable, 3)


def test_a_certificate_that_is_not_trusted_lets_nothing_arrive(tmp_path: Path) -> None:
    """The request goes out only after the handshake, so it may be tried again once that is mended."""
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)  # has no certificate: every handshake fails

    async def work() -> tuple[ConnectorError, int]:
        async with listening(silence, tls) as (port, arrived), real_http(tmp_path, timeout_s=2) as http:
            error = await failure(http.send("transcripts", _post(f"https://127.0.0.1:{port}"), bytes, once=True))
            return error, len(arrived)

    error, arrived = asyncio.run(work())
    assert (type(error), arrived) == (Unavailable, 0)


def test_a_handshake_that_takes_too_long_lets_nothing_arrive(tmp_path: Path) -> None:
    """The time ran out before a byte of the request was sent: that is known, so it is no doubt."""

    async def work() -> tuple[ConnectorError, int]:
        async with listening(silence) as (port, _), real_http(tmp_path, timeout_s=0.2) as http:
            error = await failure(http.send("transcripts", _post(f"https://127.0.0.1:{port}"), bytes, once=True))
            return error, sum(http.spent.values())

    error, attempts = asyncio.run(work())
    assert (type(error), attempts) == (Unavailable, 3)


def test_a_wait_for_a_free_connection_lets_nothing_arrive(tmp_path: Path) -> None:
    """With all connections taken by something slow, the request has not left this machine."""
    heard = asyncio.Event()

    async def hear(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.set()
        await silence(reader, writer)

    async def work() -> tuple[ConnectorError, int, int]:
        async with listening(hear) as (port, arrived), real_http(tmp_path, timeout_s=0.2, pool=1) as http:
            url = f"http://127.0.0.1:{port}"
            slow = asyncio.create_task(http._client.get(url, timeout=30))
            await heard.wait()
            error = await failure(http.send("transcripts", _post(url), bytes, once=True))
            slow.cancel()
            await asyncio.wait([slow])
            return error, http.spent["transcripts", "PoolTimeout"], len(arrived)

    error, attempts, arrived = asyncio.run(work())
    assert (type(error), attempts, arrived) == (Unavailable, 3, 1)


def _post(url: str) -> httpx.Request:
    return httpx.Request("POST", f"{url}/streams", json={"streamId": "s"})
