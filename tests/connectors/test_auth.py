"""The login: two steps, shared by everyone with the same credentials, renewed before it is needed."""

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from connectors.errors import Unauthorized, Unavailable
from connectors.limits import Quotas
from connectors.ringcx.auth import JwtLogin
from connectors.sandbox import Fault, SandboxConfig
from tests.connectors.wiring import LIMITS, login, open_http, operations, ringcx
from tests.virtual_time import World, run_virtually

LOGIN = [("oauth", 200), ("login", 200)]
REFRESH = ("refresh", 200)
NO_STATIC = SandboxConfig(static_token=None)
AUTH = ("auth-platform", "auth-ringcx")


async def logins(opened: AsyncExitStack, world: World, folder: Path, count: int) -> list[JwtLogin]:
    """So many processes with the same credentials and one folder of shared state."""
    https = [await opened.enter_async_context(open_http(folder, world.clock, world.transport)) for _ in range(count)]
    return [login(http, world, folder) for http in https]


def test_the_login_takes_two_steps_and_its_token_opens_ringcx(tmp_path: Path) -> None:
    """RingCentral's token alone does not."""

    async def work(world: World) -> list[tuple[str, int | None]]:
        async with open_http(tmp_path, world.clock, world.transport) as http:
            await ringcx(http, login(http, world, tmp_path)).sub_accounts()
        return operations(world.sandbox)

    assert run_virtually(work, NO_STATIC, tmp_path) == [*LOGIN, ("accounts", 200)]


@pytest.mark.parametrize("processes", [1, 2])
def test_everyone_waits_for_one_exchange(tmp_path: Path, processes: int) -> None:
    """Five exchanges a minute are allowed: one for each of twenty callers would lock all of them out."""

    async def work(world: World) -> tuple[int, list[tuple[str, int | None]]]:
        world.sandbox.script("auth-ringcx", [Fault(delay_s=2)])
        async with AsyncExitStack() as opened:
            auths = await logins(opened, world, tmp_path, processes)
            tokens = await asyncio.gather(*(auth.token() for auth in auths for _ in range(20)))
            return len(set(tokens)), operations(world.sandbox)

    assert run_virtually(work, NO_STATIC, tmp_path) == (1, LOGIN)


def test_one_exchange_is_enough_even_when_it_waited_longer_than_a_token_lives(tmp_path: Path) -> None:
    """A token's life begins when it is made: counted from when it was asked for, each caller would ask for its own."""

    async def work(world: World) -> list[tuple[str, int | None]]:
        async with open_http(tmp_path, world.clock, world.transport) as http:
            auth = login(http, world, tmp_path)
            await auth.platform_token()
            quotas = Quotas(tmp_path / "quotas", LIMITS, world.clock)
            quotas["auth:ringcx"].silence(400)
            quotas.close()
            await asyncio.gather(*(auth.token() for _ in range(10)))
        return operations(world.sandbox)

    assert run_virtually(work, NO_STATIC, tmp_path) == LOGIN


def test_a_token_is_renewed_before_it_ends_and_no_request_is_refused(tmp_path: Path) -> None:
    """Two processes, half an hour, a request every ten seconds: a refresh each 4½ minutes, by either."""

    async def work(world: World) -> list[tuple[str, int | None]]:
        async with AsyncExitStack() as opened:
            auths = await logins(opened, world, tmp_path, 2)
            clients = [ringcx(auth._http, auth) for auth in auths]
            for number in range(180):
                await clients[number % 2].sub_accounts()
                await asyncio.sleep(10)
        assert {status for _, status in operations(world.sandbox, "accounts")} == {200}
        return operations(world.sandbox, *AUTH)

    assert run_virtually(work, NO_STATIC, tmp_path) == [*LOGIN, *[REFRESH] * 6]


@pytest.mark.parametrize("status", [400, 401, 403, 404])
def test_a_refused_refresh_is_followed_by_the_login(tmp_path: Path, status: int) -> None:
    """A refresh token may be spent or too old, and RingCX does not document how it says so."""

    async def work(world: World) -> list[tuple[str, int | None]]:
        async with open_http(tmp_path, world.clock, world.transport) as http:
            auth = login(http, world, tmp_path)
            await auth.token()
            await asyncio.sleep(280)
            world.sandbox.script("auth-ringcx", [Fault(status=status)])
            await auth.token()
            await asyncio.sleep(280)
            await auth.token()
        return operations(world.sandbox)

    expected = [*LOGIN, ("refresh", status), ("login", 200), REFRESH]
    assert run_virtually(work, NO_STATIC, tmp_path) == expected


def test_a_401_in_the_middle_of_a_run_is_renewed_once_for_all(tmp_path: Path) -> None:
    """RingCX may end a token before its time; eight requests in flight are refused together."""

    async def work(world: World) -> tuple[int, list[tuple[str, int | None]]]:
        async with AsyncExitStack() as opened:
            auths = await logins(opened, world, tmp_path, 2)
            clients = [ringcx(auth._http, auth) for auth in auths]
            await asyncio.gather(*(client.sub_accounts() for client in clients))
            world.sandbox.script("accounts", [Fault(expired=True, delay_s=1)])
            answers = await asyncio.gather(*(client.sub_accounts() for client in clients * 4))
        return len(answers), operations(world.sandbox, *AUTH)

    assert run_virtually(work, NO_STATIC, tmp_path) == (8, [*LOGIN, REFRESH])


def test_a_revoked_ringcentral_token_is_replaced_in_the_login(tmp_path: Path) -> None:
    """It is kept for two hours in a file: a login that stumbled over it would fail for all that time."""

    async def work(world: World) -> list[tuple[str, int | None]]:
        async with open_http(tmp_path, world.clock, world.transport) as http:
            auth = login(http, world, tmp_path)
            world.sandbox.world.platform_tokens.revoke(await auth.platform_token() or "")
            await ringcx(http, auth).sub_accounts()
        return operations(world.sandbox)

    expected = [("oauth", 200), ("login", 401), *LOGIN, ("accounts", 200)]
    assert run_virtually(work, NO_STATIC, tmp_path) == expected


def test_a_revoked_ringcentral_token_is_replaced_when_the_account_is_asked_for(tmp_path: Path) -> None:
    """The one call that carries it, and the first of a run."""

    async def work(world: World) -> tuple[str | None, list[tuple[str, int | None]]]:
        async with open_http(tmp_path, world.clock, world.transport) as http:
            auth = login(http, world, tmp_path)
            world.sandbox.world.platform_tokens.revoke(await auth.platform_token() or "")
            return await ringcx(http, auth).rc_account_id(), operations(world.sandbox)

    expected = [("oauth", 200), ("account", 401), ("oauth", 200), ("account", 200)]
    assert run_virtually(work, NO_STATIC, tmp_path) == ("980634004", expected)


async def refusal(asked: Callable[[], object]) -> Unauthorized:
    """The error of a login that was refused."""
    with pytest.raises(Unauthorized) as caught:
        await asked()  # type: ignore[misc]
    return caught.value


@pytest.mark.parametrize("wrong", ["client_id", "client_secret", "jwt"])
def test_wrong_credentials_are_tried_once_and_named(tmp_path: Path, wrong: str) -> None:
    """Trying again would be refused again; the message says which settings to look at."""

    async def work(world: World) -> Unauthorized:
        async with open_http(tmp_path, world.clock, world.transport) as http:
            error = await refusal(login(http, world, tmp_path, changes={wrong: "mistyped"}).token)
        assert len(world.sandbox.log) == 1
        return error

    said = str(run_virtually(work, NO_STATIC, tmp_path))
    assert all(name in said for name in ("CLIENT_ID", "CLIENT_SECRET", "RINGCENTRAL_JWT", "RINGCENTRAL_BASE_URL"))


@pytest.mark.parametrize("status", [400, 401, 403, 404])
@pytest.mark.parametrize(
    ("group", "setting"), [("auth-platform", "RINGCENTRAL_BASE_URL"), ("auth-ringcx", "RINGCX_BASE")]
)
def test_a_refused_login_never_looks_like_the_answer_to_something_else(
    tmp_path: Path, group: str, setting: str, status: int
) -> None:
    """A transcript whose request could not log in is neither missing (404) nor rejected (400) nor denied (403)."""

    async def work(world: World) -> Unauthorized:
        world.sandbox.script(group, [Fault(status=status)] * 9)
        async with open_http(tmp_path, world.clock, world.transport) as http:
            source = ringcx(http, login(http, world, tmp_path))
            return await refusal(lambda: source.transcript("1", "2", "d", "s"))

    error = run_virtually(work, NO_STATIC, tmp_path)
    assert (setting in str(error), error.status, error.group.startswith("auth")) == (True, status, True)


EMPTY = '{"access_token": "", "expires_in": 7199, "accessToken": ""}'


@pytest.mark.parametrize("group", AUTH)
@pytest.mark.parametrize("fault", [Fault(html=True), Fault(status=200, body=EMPTY)], ids=["web-page", "empty-token"])
def test_a_login_that_cannot_be_read_is_no_answer_to_anything_else(tmp_path: Path, group: str, fault: Fault) -> None:
    """A 200 with a notice instead of a token must not pass for a transcript whose body is unreadable."""

    async def work(world: World) -> Unavailable:
        world.sandbox.script(group, [fault] * 9)
        async with open_http(tmp_path, world.clock, world.transport) as http:
            with pytest.raises(Unavailable) as caught:
                await ringcx(http, login(http, world, tmp_path)).transcript("1", "2", "d", "s")
        return caught.value

    error = run_virtually(work, NO_STATIC, tmp_path)
    assert (error.status, error.body) == (None, "")


def test_a_refused_ready_token_names_the_setting_to_change(tmp_path: Path) -> None:
    """Nobody but its owner can renew it."""

    async def work(world: World) -> str:
        async with open_http(tmp_path, world.clock, world.transport) as http:
            return str(await refusal(ringcx(http).sub_accounts))

    said = run_virtually(work, NO_STATIC, tmp_path)
    assert "RINGCX_ACCESS_TOKEN" in said
    assert "RINGCENTRAL_JWT" in said


@pytest.mark.parametrize("lifetime_s", [5, 300])
def test_the_exchange_limit_holds_even_when_tokens_live_for_seconds(tmp_path: Path, lifetime_s: float) -> None:
    """Whether we know it (5) or believe the documentation (300): the work goes slowly, nothing is locked out."""

    async def work(world: World) -> World:
        async with open_http(tmp_path, world.clock, world.transport) as http:
            client = ringcx(http, login(http, world, tmp_path, lifetime_s))
            for _ in range(60):
                await client.sub_accounts()
                await asyncio.sleep(1)
        return world

    world = run_virtually(work, SandboxConfig(static_token=None, token_seconds=5), tmp_path)
    assert {status for _, status in operations(world.sandbox, *AUTH)} == {200}
    assert len([status for _, status in operations(world.sandbox, "accounts") if status == 200]) == 60


def test_a_token_that_says_how_long_it_lives_is_believed(tmp_path: Path) -> None:
    """Ten seconds are shorter than the half minute by which tokens are renewed early: it is used all the same."""

    async def work(world: World) -> int:
        body = '{"accessToken": "%s", "refreshToken": null, "expiresIn": 10}'
        world.sandbox.script("auth-ringcx", [Fault(status=200, body=body % number) for number in range(9)])
        async with open_http(tmp_path, world.clock, world.transport) as http:
            auth = login(http, world, tmp_path)
            for _ in range(14):
                await auth.token()
                await asyncio.sleep(1)
        return len(operations(world.sandbox, "auth-ringcx"))

    assert run_virtually(work, NO_STATIC, tmp_path) == 2
