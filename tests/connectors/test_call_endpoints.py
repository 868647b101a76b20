"""Streaming profiles, and what all endpoints of calls have in common: no secret is told, whatever the platform says."""

import asyncio
import logging
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import httpx
import pytest
from rich.pretty import pretty_repr

from connectors.errors import ConnectorError, NotReady, Rejected
from connectors.limits import parse_limits
from connectors.ringcx.auth import StaticToken
from connectors.ringcx.calling import Caller
from connectors.ringcx.media_control import Address, MediaControl, Wanted
from connectors.ringcx.profiles import Product, Profile, Profiles
from connectors.ringcx.recordings import Recordings
from connectors.ringcx.summaries import Summaries, read_summary
from connectors.sandbox import SandboxConfig
from tests.connectors.test_secrets import NETWORKS, chain, forms
from tests.connectors.wiring import BASE_URL, open_http
from tests.virtual_time import NOON, World, run_virtually

LIMITS = {group: parse_limits("1000/1") for group in ("media-control", "recordings", "summaries")}
PATH = "/platform/api/media/product"
SUB = "99999999"
QUEUE = Product(sub_account_id=SUB, product_type="QUEUE", product_id=1234)


def profile(**changes: object) -> Profile:
    """A queue's."""
    fields = {
        "product_type": "QUEUE",
        "product_id": 1234,
        "sub_account_id": SUB,
        "main_account_id": "99990000",
        "rc_account_id": "980634004",
        "streaming_url": "wss://receiver.example:8443",
        "secret": "profile-secret-1",
    }
    return Profile(**{**fields, **changes})  # type: ignore[arg-type]


async def on_sandbox(world: World, folder: Path, work: Callable[[Profiles], Awaitable[object]]) -> None:
    """Do it with the sandbox's profiles."""
    async with open_http(folder, world.clock, world.transport, limits=LIMITS) as http:
        await work(Profiles(Caller(http, StaticToken("sandbox-token"), BASE_URL), PATH))


def test_a_profile_is_created_read_changed_and_deleted(tmp_path: Path) -> None:
    """As documented, and what was written is what is read."""

    async def work(profiles: Profiles) -> None:
        assert await profiles.create(profile()) == profile()
        with pytest.raises(Rejected, match="there is a profile already"):
            await profiles.create(profile())
        await profiles.update(profile(streaming_url="wss://other.example"))
        found = await profiles.read(QUEUE)
        assert (found.streaming_url, found.secret) == ("wss://other.example", "profile-secret-1")
        await profiles.delete(QUEUE)
        for gone in (profiles.read(QUEUE), profiles.delete(QUEUE), profiles.update(profile())):
            with pytest.raises(NotReady, match="no such profile"):
                await gone

    run_virtually(lambda world: on_sandbox(world, tmp_path, work), SandboxConfig(), tmp_path)


@pytest.mark.parametrize(
    "url",
    [None, "", "ws://x", "https://x", "wss://", "wss://x/path", "wss://x?q=1", "wss://a b", "wss://x\n", "WSS://x"],
)
def test_nothing_but_wss_is_sent(tmp_path: Path, url: str | None) -> None:
    """RingCX takes an empty one, and would stream to nowhere; anything in the clear is heard by others."""
    heard: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        heard.append(request)
        return httpx.Response(200)

    async def work() -> None:
        async with open_http(tmp_path, lambda: NOON, httpx.MockTransport(answer), limits=LIMITS) as http:
            profiles = Profiles(Caller(http, StaticToken("t"), BASE_URL), PATH)
            for sending in (profiles.create, profiles.update):
                with pytest.raises(ValueError, match="wss://"):
                    await sending(profile(streaming_url=url))

    asyncio.run(work())
    assert heard == []


TOKEN, STREAM_TOKEN, SECRET = "access-token-1", "stream-token-2", "profile-secret-1"
ADDRESS = Address(rc_account_id="1", sub_account_id="2", dialog_id="d", segment_id="s")
WANTED = Wanted(stream_id="etl-1", url=f"wss://x.example/?key={STREAM_TOKEN}", token=STREAM_TOKEN)


async def take(headers: httpx.Headers, chunks: AsyncIterator[bytes]) -> bytes:
    """All of it."""
    del headers
    return b"".join([chunk async for chunk in chunks])


CALLS: dict[str, Callable[[Caller], Awaitable[object]]] = {
    "start": lambda caller: MediaControl(caller).start(ADDRESS, WANTED),
    "stop": lambda caller: MediaControl(caller).stop(ADDRESS, "etl-1"),
    "profile": lambda caller: Profiles(caller, PATH).create(profile()),
    "recording": lambda caller: Recordings(caller).fetch("1", "2", "d", "s", take),
    "summary": lambda caller: Summaries(caller).fetch("2", "s", "auto"),
}


@pytest.mark.parametrize("network", NETWORKS.values(), ids=NETWORKS.keys())
@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS.keys())
def test_no_error_or_log_line_tells_a_secret(
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    call: Callable[[Caller], Awaitable[object]],
    network: Callable[[httpx.Request], httpx.Response],
) -> None:
    """Tokens go in headers, cookies and bodies here; a platform that repeats them must not make us repeat them."""

    async def work(world: World) -> ConnectorError | None:
        async with open_http(tmp_path, world.clock, httpx.MockTransport(network), limits=LIMITS) as http:
            try:
                await call(Caller(http, StaticToken(TOKEN), BASE_URL))
            except ConnectorError as error:
                return error
        return None  # some answers have no body that anybody reads

    caplog.set_level(logging.DEBUG)
    error = run_virtually(work, SandboxConfig(), tmp_path)
    errors = list(chain(error))
    said = [text for each in errors for text in (str(each), repr(each), f"{vars(each)}")]
    said += [caplog.text, "".join(traceback.format_exception(error)) if error else ""]
    secrets = (TOKEN, STREAM_TOKEN, SECRET)
    assert [form for secret in secrets for form in forms(secret) for text in said if form in text] == []
    assert [each for each in errors if not isinstance(each, ConnectorError)] == []


@pytest.mark.parametrize("thing", [WANTED, profile()], ids=["stream", "profile"])
def test_no_object_shows_its_secret(thing: object) -> None:
    """Debuggers and rich tracebacks print the locals of every frame."""
    shown = f"{thing} {thing!r} {pretty_repr(thing)}"
    assert [secret for secret in (STREAM_TOKEN, SECRET) if secret in shown] == []


def test_a_summary_s_token_goes_in_a_lower_case_cookie_alone(tmp_path: Path) -> None:
    """So the documentation has it; and `Authorization` would be refused."""
    heard: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        heard.append(request)
        return httpx.Response(200, text="said")

    async def work() -> str:
        async with open_http(tmp_path, lambda: NOON, httpx.MockTransport(answer), limits=LIMITS) as http:
            return await Summaries(Caller(http, StaticToken(TOKEN), BASE_URL)).fetch("2", "a/b", "agent")

    assert asyncio.run(work()) == "said"
    assert (b"cookie", f"access_token={TOKEN}".encode()) in heard[0].headers.raw
    assert "authorization" not in heard[0].headers
    assert heard[0].url.raw_path == b"/voice/api/v1/summary/accounts/2/segments/a%2Fb/agent"


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b"", ""),
        (b"as it is", "as it is"),
        (b'"as \\u00fc"', "as ü"),
        (b'"he said" and "she"', '"he said" and "she"'),
        (b'"', '"'),
    ],
)
def test_a_summary_is_read_whichever_way_it_is_sent(body: bytes, text: str) -> None:
    """The specification's type is JSON, its example is plain text."""
    assert read_summary(body) == text
