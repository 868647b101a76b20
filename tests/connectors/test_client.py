"""RingCX's endpoints: ids and windows arrive as they were meant, and a refusal says what is missing."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import httpx
import pytest

from connectors.errors import ConnectorError, Denied, Rejected, Unauthorized
from connectors.limits import parse_limits
from connectors.ringcx.auth import StaticToken
from connectors.ringcx.client import RingCX
from connectors.sandbox import Fault, FixedAccount, SandboxConfig, SandboxServer, SubAccount, simple_segment
from tests.connectors.wiring import ACCOUNT, SUB_ACCOUNT, login, open_http, operations, ringcx
from tests.virtual_time import NOON, World, run_virtually

ODD_IDS = (
    *(
        "a/b",
        "/",
        "//x",
        ".",
        "..",
        "../..",
        "...",
        "a/../b",
        "?",
        "a?b=c&d",
        "#",
        "a#b",
        "%",
        "%2F",
        "%2f%252F",
        "100%",
    ),
    *(
        "'",
        '"',
        "a b",
        " ",
        "+",
        "&=;:@,$!*()",
        "\\",
        "|<>^`{}[]",
        "~",
        "é中文",
        "🙏",
        "e\u0301",
        "\n",
        "\t",
        "\x00",
        "\x7f",
    ),
)
TOKEN = "sandbox-token"
UNLIMITED = {"transcripts": parse_limits("10000/1")}


@pytest.fixture(scope="module")
def odd_server() -> Iterator[SandboxServer]:
    """On a real socket, a segment under each odd id."""
    ended = time.time() - 3600
    segments = [simple_segment(odd, f"{odd}!", ended, [("agent", f"hello {odd}")]) for odd in ODD_IDS]
    with SandboxServer(SandboxConfig(account=FixedAccount(segments), limits={"transcripts": ""})) as server:
        yield server


@asynccontextmanager
async def virtual(world: World, folder: Path, token: str = TOKEN) -> AsyncIterator[RingCX]:
    """RingCX at virtual time, asked with a ready token."""
    async with open_http(folder, world.clock, world.transport) as http:
        yield ringcx(http, StaticToken(token))


async def failure(asking: Awaitable[object]) -> ConnectorError:
    """The error that it ends with."""
    with pytest.raises(ConnectorError) as caught:
        await asking
    return caught.value


@pytest.mark.parametrize("odd", ODD_IDS, ids=ascii)
def test_an_odd_id_arrives_as_it_is(tmp_path: Path, odd_server: SandboxServer, odd: str) -> None:
    """Ids are the platform's, and a slash or a `..` in one must not ask for something else."""

    async def work() -> str:
        async with open_http(tmp_path, time.time, None, limits=UNLIMITED) as http:
            client = ringcx(http, base_url=odd_server.base_url)
            transcript = await client.transcript(ACCOUNT, SUB_ACCOUNT, odd, f"{odd}!")
            return transcript.lines.items[0].message

    assert asyncio.run(work()) == f"hello {odd}"
    last = odd_server.sandbox.log[-1]
    assert (last.dialog_id, last.segment_id, last.status) == (odd, f"{odd}!", 200)


@pytest.mark.parametrize("zone", ["UTC", "America/New_York", "Asia/Kolkata"])
def test_a_window_is_asked_for_as_documented(tmp_path: Path, zone: str) -> None:
    """`segmentEndTime` is the beginning, in UTC: a local zone repeats or skips an hour twice a year."""
    heard: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        heard.append(request)
        return httpx.Response(200, json=[])

    async def work() -> None:
        start = datetime(2026, 3, 8, 6, 30, tzinfo=UTC).astimezone(ZoneInfo(zone))
        async with open_http(tmp_path, lambda: NOON, httpx.MockTransport(answer)) as http:
            await ringcx(http).metadata(ACCOUNT, SUB_ACCOUNT, start, start + timedelta(seconds=5400))

    asyncio.run(work())
    assert json.loads(heard[0].content) == {
        "segmentEndTime": "2026-03-08 06:30:00",
        "timeInterval": 5400,
        "timeZone": "UTC",
    }
    assert heard[0].url.path.endswith(f"/accounts/{ACCOUNT}/sub-accounts/{SUB_ACCOUNT}/interaction-metadata")


def test_a_window_holds_its_beginning_and_not_its_end(tmp_path: Path) -> None:
    """Windows that touch share no segment and lose none."""
    ends = (-1, 0, 3599.999, 3600)
    account = FixedAccount(simple_segment("d", f"{end}", NOON - 7200 + end) for end in ends)

    async def work(world: World) -> list[str]:
        start = datetime.fromtimestamp(NOON - 7200, UTC)
        async with virtual(world, tmp_path) as client:
            page = await client.metadata(ACCOUNT, SUB_ACCOUNT, start, start + timedelta(hours=1))
        return [listing.segment.segment_id for listing in page.items]

    assert run_virtually(work, SandboxConfig(account=account), tmp_path) == ["0", "3599.999"]


def test_the_sub_accounts_and_the_account_above_them_are_found(tmp_path: Path) -> None:
    """So that nobody has to know either."""

    async def work(world: World) -> tuple[str | None, str | None, list[tuple[str, str | None, int | None]]]:
        async with virtual(world, tmp_path) as client, open_http(tmp_path, world.clock, world.transport) as http:
            listed = await client.sub_accounts()
            found = await ringcx(http, login(http, world, tmp_path)).rc_account_id()
            return (
                await client.rc_account_id(),
                found,
                [(each.account_id, each.rc_account_id, each.data_retention_days) for each in listed],
            )

    config = SandboxConfig(sub_accounts=(SubAccount("1"), SubAccount("2", data_retention_days=30)))
    assert run_virtually(work, config, tmp_path) == (None, ACCOUNT, [("1", ACCOUNT, 365), ("2", ACCOUNT, 30)])


HOUR = (datetime.fromtimestamp(NOON - 7200, UTC), datetime.fromtimestamp(NOON - 3600, UTC))
CALLS: dict[str, tuple[str, Callable[[RingCX], Awaitable[object]], str]] = {
    "metadata": ("metadata", lambda client: client.metadata(ACCOUNT, SUB_ACCOUNT, *HOUR), "WEM access"),
    "transcripts": ("transcripts", lambda client: client.transcript(ACCOUNT, SUB_ACCOUNT, "d", "s"), "AI Summaries"),
    "accounts": ("accounts", lambda client: client.sub_accounts(), "ReadAccounts"),
}


@pytest.mark.parametrize(("group", "call", "permission"), CALLS.values(), ids=CALLS.keys())
def test_a_403_says_which_permission_is_missing(
    tmp_path: Path, group: str, call: Callable[[RingCX], Awaitable[object]], permission: str
) -> None:
    """Nobody can guess that transcripts need a switch on the queue; and asking again would not help."""

    async def work(world: World) -> ConnectorError:
        body = '{"errorCode": "access.denied.exception", "generalMessage": "You do not have permission"}'
        world.sandbox.script(group, [Fault(status=403, body=body)] * 9)
        async with virtual(world, tmp_path) as client:
            error = await failure(call(client))
        assert len(world.sandbox.log) == 1
        return error

    error = run_virtually(work, SandboxConfig(), tmp_path)
    assert (type(error), error.code) == (Denied, "access.denied.exception")
    assert permission in str(error)
    assert "You do not have permission" in str(error)


def test_a_403_for_the_account_says_which_permission_is_missing(tmp_path: Path) -> None:
    """The first call of a run, and the one that new users meet."""

    async def work(world: World) -> str:
        world.sandbox.script("accounts", [Fault(status=403)])
        async with open_http(tmp_path, world.clock, world.transport) as http:
            return str(await failure(ringcx(http, login(http, world, tmp_path)).rc_account_id()))

    assert "ReadAccounts" in run_virtually(work, SandboxConfig(), tmp_path)


@pytest.mark.parametrize(("refused", "ends"), [(1, 200), (2, 200), (3, 401)])
def test_a_token_is_renewed_twice_at_most_for_one_request(tmp_path: Path, refused: int, ends: int) -> None:
    """The first new one may be another process's, replaced meanwhile; a third 401 is not about the token's age."""

    async def work(world: World) -> list[tuple[str, int | None]]:
        world.sandbox.script("accounts", [Fault(expired=True)] * refused)
        async with open_http(tmp_path, world.clock, world.transport) as http:
            asked = ringcx(http, login(http, world, tmp_path)).sub_accounts()
            if ends == 401:
                assert isinstance(await failure(asked), Unauthorized)
            else:
                await asked
        return operations(world.sandbox, "accounts")

    statuses = [("accounts", 401)] * refused + [("accounts", 200)]
    assert run_virtually(work, SandboxConfig(), tmp_path) == statuses[:3]


@pytest.mark.parametrize("token", ["sécret", "токен", "\u201csandbox-token\u201d"])
def test_a_ready_token_pasted_wrongly_is_refused_like_any_other(tmp_path: Path, token: str) -> None:
    """With a curly quote around it: the message must name the setting, not a codec."""

    async def work(world: World) -> ConnectorError:
        async with virtual(world, tmp_path, token) as client:
            return await failure(client.sub_accounts())

    error = run_virtually(work, SandboxConfig(), tmp_path)
    assert (type(error), "RINGCX_ACCESS_TOKEN" in str(error)) == (Unauthorized, True)


def test_an_id_too_long_for_a_url_is_rejected_alone(tmp_path: Path) -> None:
    """One such segment in the listing must not end the run, today and every time."""

    async def work(world: World) -> tuple[type[ConnectorError], int]:
        async with virtual(world, tmp_path) as client:
            error = await failure(client.transcript(ACCOUNT, SUB_ACCOUNT, "d" * 70_000, "s"))
        return type(error), len(world.sandbox.log)

    assert run_virtually(work, SandboxConfig(), tmp_path) == (Rejected, 0)
