"""The token that RingCX calls carry: a ready one, or one logged in for in two steps and renewed in time.

step 1  RingCentral: `POST {platform}/restapi/oauth/token` with the JWT -> a token of two hours
step 2  RingCX: `POST {ringcx}/api/auth/login/rc/accesstoken` with step 1's -> a token of five minutes
renew   RingCX: `POST {ringcx}/api/auth/token/refresh` -> a new token, and a new refresh token: the old one is spent

Single-flight: within a process by a lock, between processes by the token file's. Source: ringcx-api, *Authentication*.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Annotated, Protocol

import httpx
import msgspec

from connectors.errors import ConnectorError, Denied, NotReady, Rejected, Unauthorized
from connectors.http import Http
from connectors.ringcx.tokens import TokenFile, Tokens

EARLY_S = 30.0  # a token is renewed this long before it ends, so that no request starts with one about to end
PLATFORM, RINGCX = "auth:ringcentral", "auth:ringcx"
REFUSED = (Unauthorized, Rejected, Denied, NotReady)  # of a login; a caller would take the last three for its own


class Auth(Protocol):
    """Where calls get their token from."""

    async def token(self) -> str:
        """A token that RingCX accepts now, as far as we know."""

    async def renew(self, refused: str) -> str:
        """A token other than `refused`, which RingCX answered with 401; raises Unauthorized where there is none."""

    async def platform_token(self, refused: str = "") -> str | None:
        """A RingCentral token other than `refused`, where there is a login to get one from."""


@dataclass(frozen=True, slots=True)
class StaticToken:
    """A ready RingCX token. When it has ended, only its owner can bring a new one."""

    value: str = field(repr=False)

    async def token(self) -> str:
        return self.value

    async def renew(self, refused: str) -> str:
        message = (
            "RingCX refused the token in RINGCX_ACCESS_TOKEN: it has expired or is not a RingCX token. Set a new one,"
            " or set RINGCENTRAL_CLIENT_ID, RINGCENTRAL_CLIENT_SECRET and RINGCENTRAL_JWT to log in by itself."
        )
        raise Unauthorized(message, group=RINGCX, status=401)

    async def platform_token(self, refused: str = "") -> str | None:
        return None


@dataclass(frozen=True, slots=True)
class Credentials:
    """A RingCentral app and the JWT of the user it acts for; where each step is asked."""

    platform_url: str
    ringcx_url: str
    client_id: str
    client_secret: str = field(repr=False)
    jwt: str = field(repr=False)


Token = Annotated[str, msgspec.Meta(min_length=1)]


class _PlatformAnswer(msgspec.Struct):
    access_token: Token
    expires_in: float


class _RingcxAnswer(msgspec.Struct, rename="camel"):
    access_token: Token
    refresh_token: str | None = None
    expires_in: float | None = None


class JwtLogin:
    """The two-step login."""

    def __init__(
        self,
        credentials: Credentials,
        http: Http,
        file: TokenFile,
        clock: Callable[[], float],
        lifetime_s: float = 300.0,
    ) -> None:
        """`lifetime_s`: how long a RingCX token lives; its answer does not say."""
        self._credentials, self._http, self._file = credentials, http, file
        self._clock, self._lifetime_s = clock, lifetime_s
        self._turn = asyncio.Lock()
        self._tokens = Tokens()

    async def token(self) -> str:
        if self._tokens.good_until <= self._clock():
            await self._renew_unless(lambda tokens: tokens.good_until > self._clock())
        return self._tokens.access

    async def renew(self, refused: str) -> str:
        if self._tokens.access == refused:
            await self._renew_unless(lambda tokens: tokens.access != refused and tokens.good_until > self._clock())
        return self._tokens.access

    async def platform_token(self, refused: str = "") -> str | None:
        async with self._turn, self._file.locked():
            self._tokens = await self._with_platform_token(self._file.read(), refused)
            return self._tokens.rc_access

    async def _renew_unless(self, good: Callable[[Tokens], bool]) -> None:
        """Leave `_tokens` good: somebody else's, or refreshed, or logged in for anew."""
        async with self._turn:
            if good(self._tokens):
                return
            async with self._file.locked():
                tokens = self._file.read()
                if not good(tokens):
                    tokens = await self._refreshed(tokens) or await self._logged_in(tokens)
                    self._file.write(tokens)
                self._tokens = tokens

    async def _refreshed(self, tokens: Tokens) -> Tokens | None:
        """None when the refresh token is missing, spent or too old: then there is still the login."""
        if not tokens.refresh:
            return None
        try:
            return await self._ringcx(tokens, "/api/auth/token/refresh", {"refresh_token": tokens.refresh})
        except REFUSED:
            return None

    async def _logged_in(self, tokens: Tokens) -> Tokens:
        kept = tokens.rc_access
        tokens = await self._with_platform_token(tokens)
        form = {"rcAccessToken": tokens.rc_access, "rcTokenType": "Bearer"}
        try:
            return await self._ringcx(tokens, "/api/auth/login/rc/accesstoken?includeRefresh=true", form)
        except REFUSED as error:
            if tokens.rc_access != kept:
                raise _refused_exchange(error) from None
        # The one that was kept may have been revoked before its time: once more with a new one.
        return await self._logged_in(msgspec.structs.replace(tokens, rc_access="", rc_good_until=0.0))

    async def _ringcx(self, tokens: Tokens, path: str, form: dict[str, str]) -> Tokens:
        request = httpx.Request("POST", self._credentials.ringcx_url + path, data=form)
        answer = await self._http.send(RINGCX, request, msgspec.json.Decoder(_RingcxAnswer).decode)
        return msgspec.structs.replace(
            tokens,
            access=answer.access_token,
            good_until=self._good_until(answer.expires_in or self._lifetime_s),
            refresh=answer.refresh_token or "",
        )

    async def _with_platform_token(self, tokens: Tokens, refused: str = "") -> Tokens:
        if tokens.rc_access != refused and tokens.rc_good_until > self._clock():
            return tokens
        form = {"grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer", "assertion": self._credentials.jwt}
        url = self._credentials.platform_url + "/restapi/oauth/token"
        basic = httpx.BasicAuth(self._credentials.client_id, self._credentials.client_secret)
        request = next(basic.auth_flow(httpx.Request("POST", url, data=form)))
        try:
            answer = await self._http.send(PLATFORM, request, msgspec.json.Decoder(_PlatformAnswer).decode)
        except REFUSED as error:
            raise _refused_login(error) from None
        good_until = self._good_until(answer.expires_in)
        tokens = msgspec.structs.replace(tokens, rc_access=answer.access_token, rc_good_until=good_until)
        self._file.write(tokens)
        return tokens

    def _good_until(self, lifetime_s: float) -> float:
        """When to renew a token that has just come: its answer may have been under way, but not waited for its turn."""
        return self._clock() + lifetime_s - min(EARLY_S, lifetime_s / 4)


def _refused_login(error: ConnectorError) -> Unauthorized:
    message = (
        f"RingCentral refused the login ({error}). Check RINGCENTRAL_CLIENT_ID, RINGCENTRAL_CLIENT_SECRET and"
        " RINGCENTRAL_JWT: all three must belong to the same app and to the server in RINGCENTRAL_BASE_URL."
    )
    return Unauthorized(message, group=PLATFORM, status=error.status, code=error.code)


def _refused_exchange(error: ConnectorError) -> Unauthorized:
    message = (
        f"RingCX refused a new RingCentral token ({error}). The user of RINGCENTRAL_JWT needs access to RingCX, the app"
        " the OAuth scope ReadAccounts, and RINGCX_BASE_URL must be the RingCX that belongs to RINGCENTRAL_BASE_URL."
    )
    return Unauthorized(message, group=RINGCX, status=error.status, code=error.code)
