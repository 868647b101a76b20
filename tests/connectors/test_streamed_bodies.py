"""Bodies that are streamed: cut ones are fetched again, whole ones are taken once, and memory does not grow."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from connectors.answers import BadBody
from connectors.errors import ConnectorError, Denied, NotReady, RateLimited, Unavailable
from connectors.http import Http, Retry
from connectors.sandbox import Fault, SandboxConfig, SandboxServer
from tests.connectors.test_sending_once import failure, listening, real_http
from tests.connectors.wiring import open_http, transcript_request
from tests.virtual_time import World, run_virtually

TRIES = Retry().attempts


async def whole(headers: httpx.Headers, chunks: AsyncIterator[bytes]) -> bytes:
    """All of it."""
    del headers
    return b"".join([chunk async for chunk in chunks])


TABLE = {
    "403": (Fault(status=403), Denied, 403, 1),
    "404": (Fault(status=404), NotReady, 404, 1),
    "429": (Fault(status=429, retry_after_s=7), RateLimited, 429, TRIES),
    "500": (Fault(status=500), Unavailable, 500, TRIES),
    "time-out": (Fault(delay_s=90), Unavailable, None, TRIES),
    "reset": (Fault(reset=True), Unavailable, None, TRIES),
}


@pytest.mark.parametrize(("fault", "kind", "status", "arrivals"), TABLE.values(), ids=TABLE.keys())
def test_failures_are_those_of_any_request(
    tmp_path: Path, fault: Fault, kind: type[ConnectorError], status: int | None, arrivals: int
) -> None:
    """A second table of what is retried would be wrong in its own ways."""

    async def work(world: World) -> tuple[ConnectorError, int, int]:
        world.sandbox.script("transcripts", [fault] * (TRIES + 2))
        async with open_http(tmp_path, world.clock, world.transport) as http:
            error = await failure(http.receive("transcripts", transcript_request(), whole))
            return error, len(world.sandbox.log), sum(http.spent.values())

    error, arrived, spent = run_virtually(work, SandboxConfig(), tmp_path)
    assert (type(error), error.status, arrived, spent) == (kind, status, arrivals, arrivals)


@pytest.mark.parametrize("fault", [Fault(truncate=True), Fault(reset=True), Fault(cut_headers=True)], ids=str)
def test_a_body_that_is_cut_is_fetched_again_from_its_beginning(tmp_path: Path, fault: Fault) -> None:
    """Only real sockets can be cut; each request counts once, by how it ended."""

    async def work(server: SandboxServer) -> tuple[bytes, dict[tuple[str, str], int]]:
        url = f"{server.base_url}/voice/api/v1/admin/accounts"
        request = httpx.Request("GET", url, headers={"Authorization": "Bearer sandbox-token"})
        async with open_http(tmp_path, server.sandbox.clock, None, Retry(first_s=0)) as http:
            body = await http.receive("admin", request, whole)
            return body, {key: count for key, count in http.spent.items() if count}

    with SandboxServer() as server:
        server.sandbox.script("accounts", [fault] * 2)
        body, spent = asyncio.run(work(server))
    assert body.startswith(b"[")
    assert body.endswith(b"]")
    assert spent.pop(("admin", "200")) == 1
    assert sum(spent.values()) == 2


def test_a_body_may_take_longer_than_an_attempt_as_long_as_it_goes_on(tmp_path: Path) -> None:
    """A recording of an hour does not come in half a minute."""

    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        del reader
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\n")
        for letter in b"abcdefgh":
            await asyncio.to_thread(pause.wait, 0.1)
            writer.write(bytes([letter]))
            await writer.drain()

    from threading import Event

    pause = Event()

    async def work() -> bytes:
        async with listening(drip) as (port, _), real_http(tmp_path, timeout_s=0.4) as http:
            return await http.receive("transcripts", httpx.Request("GET", f"http://127.0.0.1:{port}"), whole)

    assert asyncio.run(work()) == b"abcdefgh"


def test_a_body_that_stops_coming_is_given_up(tmp_path: Path) -> None:
    """A half-open connection must not hold a run for ever."""

    async def stall(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nabc")
        await reader.read()

    async def work() -> tuple[ConnectorError, int]:
        async with listening(stall) as (port, arrived), real_http(tmp_path, timeout_s=0.2) as http:
            request = httpx.Request("GET", f"http://127.0.0.1:{port}")
            return await failure(http.receive("transcripts", request, whole)), len(arrived)

    error, arrived = asyncio.run(work())
    assert (type(error), arrived) == (Unavailable, 3)


async def _taken(tmp_path: Path, world: World, errors: list[Exception]) -> tuple[object, int]:
    """What comes of a body whose reader raises these, attempt by attempt; and how often it was asked for."""

    async def take(headers: httpx.Headers, chunks: AsyncIterator[bytes]) -> bytes:
        body = await whole(headers, chunks)
        if errors:
            raise errors.pop(0)
        return body

    request = httpx.Request(
        "GET", "http://sandbox/voice/api/v1/admin/accounts", headers={"Authorization": "Bearer sandbox-token"}
    )
    async with open_http(tmp_path, world.clock, world.transport) as http:
        return await http.receive("admin", request, take), len(world.sandbox.log)


def test_a_body_that_is_not_what_was_asked_for_is_fetched_again(tmp_path: Path) -> None:
    """A web page with status 200 in place of a recording is trouble that passes."""

    async def work(world: World) -> tuple[object, int]:
        return await _taken(tmp_path, world, [BadBody("not a WAV file")] * 2)

    body, asked = run_virtually(work, SandboxConfig(), tmp_path)
    assert (bool(body), asked) == (True, 3)


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), TimeoutError("a disk"), ValueError("ours")])
def test_trouble_of_whoever_takes_it_is_not_taken_for_the_networks(tmp_path: Path, error: Exception) -> None:
    """A full disk is full at the fifth attempt, too, and the message must say so."""

    async def work(world: World) -> int:
        with pytest.raises(type(error)) as caught:
            await _taken(tmp_path, world, [error])
        assert caught.value is error
        return len(world.sandbox.log)

    assert run_virtually(work, SandboxConfig(), tmp_path) == 1


def test_a_large_body_is_never_all_in_memory(tmp_path: Path) -> None:
    """Chunks are handed on as they come: the longest bounds what is held."""
    chunk, chunks_sent = b"x" * 65536, 64

    async def pour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        del reader
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (len(chunk) * chunks_sent))
        for _ in range(chunks_sent):
            writer.write(chunk)
            await writer.drain()

    async def measure(headers: httpx.Headers, chunks: AsyncIterator[bytes]) -> tuple[int, int]:
        del headers
        sizes = [len(part) async for part in chunks]
        return sum(sizes), max(sizes)

    async def work() -> tuple[int, int]:
        async with listening(pour) as (port, _), real_http(tmp_path, timeout_s=5) as http:
            return await http.receive("transcripts", httpx.Request("GET", f"http://127.0.0.1:{port}"), measure)

    size, longest = asyncio.run(work())
    assert size == len(chunk) * chunks_sent
    assert longest <= 2 * len(chunk)


def test_nothing_of_the_reader_is_left_open(tmp_path: Path) -> None:
    """A connection that a failed download keeps is one that nobody else has."""

    async def work(world: World) -> None:
        async def take(headers: httpx.Headers, chunks: AsyncIterator[bytes]) -> bytes:
            del headers
            async for chunk in chunks:
                return chunk
            return b""

        http: Http
        async with open_http(tmp_path, world.clock, world.transport) as http:
            request = httpx.Request(
                "GET", "http://sandbox/voice/api/v1/admin/accounts", headers={"Authorization": "Bearer sandbox-token"}
            )
            assert await http.receive("admin", request, take)

    run_virtually(work, SandboxConfig(), tmp_path)
