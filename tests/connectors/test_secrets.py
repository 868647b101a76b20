"""No token, secret or JWT in any error, log line or repr, whatever the platform or the network does."""

import asyncio
import logging
import traceback
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from urllib.parse import quote, quote_plus

import httpx
import pytest
from rich.pretty import pretty_repr

from connectors.errors import ConnectorError
from connectors.http import Http
from connectors.ringcx.auth import Credentials, JwtLogin, StaticToken
from connectors.ringcx.client import RingCX
from connectors.ringcx.tokens import TokenFile, Tokens
from connectors.sandbox import SandboxConfig
from tests.connectors.wiring import BASE_URL, open_http
from tests.virtual_time import NOON, World, run_virtually

SECRETS = ("client-secret-1", "j.w.t/+secret-2", "access-secret-3", "refresh-secret-4", "platform-secret-5")
CREDENTIALS = Credentials(BASE_URL, BASE_URL, "client", SECRETS[0], SECRETS[1])
KEPT = Tokens(rc_access=SECRETS[4], rc_good_until=NOON * 2, access=SECRETS[2], good_until=NOON * 2, refresh=SECRETS[3])
SPENT = Tokens(rc_access=SECRETS[4], rc_good_until=NOON * 2, access=SECRETS[2], good_until=0, refresh=SECRETS[3])


def echo(status: int) -> Callable[[httpx.Request], httpx.Response]:
    """A platform that repeats in its answer all that it was sent."""

    def answer(request: httpx.Request) -> httpx.Response:
        body = request.content.decode()
        text = " ".join([*request.headers.values(), body, *httpx.QueryParams(body).values()])
        if status == 200:
            return httpx.Response(status, text=text)  # no answer to anything
        return httpx.Response(status, json={"errorCode": text, "generalMessage": text, "developerMessage": text})

    return answer


def broken(request: httpx.Request) -> httpx.Response:
    """A connection whose error knows the request and says all of it."""
    raise httpx.ReadError(f"{request.headers} {request.content!r}", request=request)


def chain(error: BaseException | None) -> Iterator[BaseException]:
    """An error and all that hide behind it."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def forms(secret: str) -> set[str]:
    """A secret as it is, and as it is written in a form and in JSON."""
    return {secret, quote(secret, safe=""), quote_plus(secret)}


CALLS: dict[str, Callable[[RingCX], Awaitable[object]]] = {
    "transcript": lambda source: source.transcript("1", "2", "d", "s"),
    "sub-accounts": lambda source: source.sub_accounts(),
    "account": lambda source: source.rc_account_id(),
}
NETWORKS = {**{f"echo-{status}": echo(status) for status in (200, 302, 400, 401, 403, 404, 429, 500)}, "broken": broken}


@pytest.mark.parametrize("network", NETWORKS.values(), ids=NETWORKS.keys())
@pytest.mark.parametrize("tokens", [Tokens(), SPENT, KEPT], ids=["no-tokens", "spent", "kept"])
@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS.keys())
def test_no_error_or_log_line_tells_a_secret(
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    call: Callable[[RingCX], Awaitable[object]],
    tokens: Tokens,
    network: Callable[[httpx.Request], httpx.Response],
) -> None:
    """Errors end in logs, tables and tickets. Everything is tried at each step: login, exchange, refresh, request."""

    async def work(world: World) -> ConnectorError:
        async with open_http(tmp_path, world.clock, httpx.MockTransport(network)) as http:
            file = TokenFile(tmp_path / "tokens.json")
            file.write(tokens)
            with pytest.raises(ConnectorError) as caught:
                await call(RingCX(http, JwtLogin(CREDENTIALS, http, file, world.clock), BASE_URL, BASE_URL))
            return caught.value

    caplog.set_level(logging.DEBUG)
    error = run_virtually(work, SandboxConfig(), tmp_path)
    errors = list(chain(error))
    said = [text for each in errors for text in (str(each), repr(each), f"{vars(each)}")]
    said += [caplog.text, "".join(traceback.format_exception(error))]
    assert [form for secret in SECRETS for form in forms(secret) for text in said if form in text] == []
    assert [each for each in errors if not isinstance(each, ConnectorError)] == []


def made_of_secrets(http: Http, folder: Path) -> list[object]:
    """Every object that holds one."""
    file = TokenFile(folder / "tokens.json")
    auth = JwtLogin(CREDENTIALS, http, file, lambda: NOON)
    return [CREDENTIALS, KEPT, auth, StaticToken(SECRETS[0]), RingCX(http, StaticToken(SECRETS[0]), "", ""), file]


def test_no_object_shows_its_secret(tmp_path: Path) -> None:
    """Debuggers and rich tracebacks print the locals of every frame."""

    async def work() -> str:
        async with open_http(tmp_path, lambda: NOON, httpx.MockTransport(broken)) as http:
            return " ".join(f"{each} {each!r} {pretty_repr(each)}" for each in made_of_secrets(http, tmp_path))

    shown = asyncio.run(work())
    assert [secret for secret in SECRETS if secret in shown] == []
