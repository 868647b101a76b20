"""Requests to RingCX with a token that it accepts: renewed, twice at most, when RingCX answers 401.

Each takes its place in the group's quota, and is retried as `connectors.http` says. Raises the errors of
`connectors.errors`.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar
from urllib.parse import quote

import httpx

from connectors.errors import Denied, Rejected, Unauthorized
from connectors.http import Http, Take
from connectors.ringcx.auth import Auth

T = TypeVar("T")

RENEWALS = 2  # of the token for one request: the first new one may have been replaced by another process's meanwhile


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """What is asked for. `permission`: what a 403 to it lacks; `by_cookie`: the token goes in a cookie instead."""

    group: str
    method: str
    path: str
    permission: str
    body: object = None
    accept: str = "application/json"
    by_cookie: bool = False


class Caller:
    """One RingCX user's requests."""

    def __init__(self, http: Http, auth: Auth, base_url: str) -> None:
        self._http, self._auth, self._base_url = http, auth, base_url

    async def send(self, call: Call, read: Callable[[bytes], T], *, once: bool = False) -> T:
        """What `read` makes of the answer's body. `once`: never sent twice unless it surely was not done."""

        async def send(token: str) -> T:
            return await self._http.send(call.group, self._request(call, token), read, once=once)

        return await self._authorised(call, send)

    async def receive(self, call: Call, take: Take[T]) -> T:
        """What `take` makes of the answer's body, chunk by chunk."""

        async def receive(token: str) -> T:
            return await self._http.receive(call.group, self._request(call, token), take)

        return await self._authorised(call, receive)

    async def _authorised(self, call: Call, ask: Callable[[str], Awaitable[T]]) -> T:
        token = await self._auth.token()
        try:
            for _ in range(RENEWALS):
                try:
                    return await ask(token)
                except Unauthorized:
                    token = await self._auth.renew(token)
            return await ask(token)
        except Denied as error:
            raise lacking(error, call.group, call.permission) from None

    def _request(self, call: Call, token: str) -> httpx.Request:
        # As bytes, because a token that is not ASCII, pasted wrongly, is RingCX's to refuse; and so that the cookie's
        # name stays in lower case.
        proof = (b"Authorization", f"Bearer {token}".encode())
        if call.by_cookie:
            proof = (b"cookie", f"access_token={token}".encode())
        try:
            return httpx.Request(
                call.method,
                self._base_url + call.path,
                headers=[proof, (b"Accept", call.accept.encode())],
                json=call.body,
            )
        except httpx.InvalidURL as error:  # an id of 64 KiB
            raise Rejected(
                f"{call.group}: cannot be asked for ({error})", group=call.group, code="invalid.url"
            ) from None


def lacking(error: Denied, group: str, permission: str) -> Denied:
    """The same 403, with the permission that it takes."""
    said = f"{str(error).rstrip('.')}. {permission}"
    return Denied(said, group=group, status=403, code=error.code, body=error.body)


def account_path(rc_account_id: str, sub_account_id: str) -> str:
    """Where the integration API keeps a sub-account."""
    return f"/voice/api/cx/integration/v1/accounts/{part(rc_account_id)}/sub-accounts/{part(sub_account_id)}"


def part(identifier: str) -> str:
    """An id as one part of a path, everything but unreserved characters encoded; `.` and `..` too, which are steps."""
    encoded = quote(identifier, safe="")
    return encoded.replace(".", "%2E") if encoded in (".", "..") else encoded
