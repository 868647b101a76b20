"""The connector put together as a run does it, without a run: HTTP under quota, the login, and RingCX's endpoints."""

import random
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import httpx

from connectors.http import Http, Retry
from connectors.limits import Limit, Quotas, parse_limits
from connectors.ringcx.auth import Auth, Credentials, JwtLogin, StaticToken
from connectors.ringcx.client import RingCX
from connectors.ringcx.tokens import TokenFile
from connectors.sandbox import LogRecord, Sandbox, SandboxConfig
from tests.virtual_time import World

BASE_URL = "http://sandbox"
ACCOUNT, SUB_ACCOUNT = "980634004", "99999999"
PATH = f"/voice/api/cx/integration/v1/accounts/{ACCOUNT}/sub-accounts/{SUB_ACCOUNT}"
LIMITS = {
    "transcripts": parse_limits("120/60"),
    "metadata": parse_limits("3/60,9/900"),
    "auth": parse_limits("5/60"),
    "admin": parse_limits("30/60"),
}
DEFAULT = SandboxConfig()


@asynccontextmanager
async def open_http(
    folder: Path,
    clock: Callable[[], float],
    transport: httpx.AsyncBaseTransport | None,
    retry: Retry | None = None,
    limits: Mapping[str, tuple[Limit, ...]] | None = None,
) -> AsyncIterator[Http]:
    """One process's HTTP; several in one `folder` are several processes with the same credentials."""
    quotas = Quotas(folder / "quotas", {**LIMITS, **(limits or {})}, clock)
    async with httpx.AsyncClient(transport=transport) as client:
        try:
            yield Http(client, quotas, retry or Retry(), rng=random.Random(1))
        finally:
            quotas.close()


def transcript_request(segment_id: str = "s", base_url: str = BASE_URL) -> httpx.Request:
    """A GET with the sandbox's static token."""
    url = f"{base_url}{PATH}/transcripts/dialogs/d/segments/{segment_id}"
    return httpx.Request("GET", url, headers={"Authorization": "Bearer sandbox-token"})


def login(
    http: Http, world: World, folder: Path, lifetime_s: float = 300.0, changes: Mapping[str, str] | None = None
) -> JwtLogin:
    """The two-step login with the sandbox's credentials, or with some of them changed."""
    given = {"client_id": DEFAULT.client_id, "client_secret": DEFAULT.client_secret, "jwt": DEFAULT.jwt}
    credentials = Credentials(BASE_URL, BASE_URL, **{**given, **(changes or {})})
    return JwtLogin(credentials, http, TokenFile(folder / "tokens.json"), world.clock, lifetime_s)


def ringcx(http: Http, auth: Auth | None = None, base_url: str = BASE_URL) -> RingCX:
    """RingCX's endpoints, with a ready token unless there is a login."""
    return RingCX(http, auth or StaticToken("sandbox-token"), base_url, base_url)


def operations(sandbox: Sandbox, *groups: str) -> list[tuple[str, int | None]]:
    """What arrived, in order: the operation and the status of its answer; of all groups, or of some."""
    return [(record.operation, record.status) for record in arrivals(sandbox, *groups)]


def arrivals(sandbox: Sandbox, *groups: str) -> list[LogRecord]:
    """The log, of all groups or of some."""
    return [record for record in sandbox.log if not groups or record.group in groups]
