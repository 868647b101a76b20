"""RingCX's endpoints as functions: which sub-accounts there are, what happened in a window, what was said in a segment.

Each call takes its place in the group's quota, is retried as `connectors.http` says, and has its token renewed
(twice at most) when RingCX answers 401. Raises the errors of `connectors.errors`.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import TypeVar
from urllib.parse import quote

import httpx
import msgspec

from connectors.errors import Denied, Rejected, Unauthorized
from connectors.http import Http
from connectors.ringcx import parse
from connectors.ringcx.auth import Auth
from connectors.ringcx.records import Listing, Page, SubAccount, Transcript

T = TypeVar("T")

RENEWALS = 2  # of the token for one request: the first new one may have been replaced by another process's meanwhile
ADMIN, TRANSCRIPTS = "admin", "transcripts"
PERMISSIONS = {
    ADMIN: "The user needs access to RingCX Admin, and the app the OAuth scope ReadAccounts.",
    "metadata": "The user needs WEM access to this sub-account, and the app the OAuth scope ReadAccounts.",
    TRANSCRIPTS: (
        "Transcripts need 'Enable AI Summaries' on the queue (RingCX Admin > Routing > Voice/Digital Queues & Skills >"
        " AI Tools), and the user access to this sub-account."
    ),
}


def metadata_group(sub_account_id: str) -> str:
    """The quota group of one sub-account's interaction metadata."""
    return f"metadata:{sub_account_id}"


class RingCX:
    """One RingCX user's view of the platform."""

    def __init__(self, http: Http, auth: Auth, base_url: str, platform_url: str) -> None:
        self._http, self._auth = http, auth
        self._base_url, self._platform_url = base_url, platform_url

    async def rc_account_id(self) -> str | None:
        """The RingCentral account of the logged-in user; None with a ready token, which cannot ask RingCentral.

        Source: `GET /restapi/v1.0/account/~`.
        """
        token = await self._auth.platform_token()
        if token is None:
            return None
        url, read = f"{self._platform_url}/restapi/v1.0/account/~", msgspec.json.Decoder(dict[str, object]).decode
        try:
            answer = await self._send(ADMIN, "GET", url, read, token)
        except Unauthorized:
            token = await self._auth.platform_token(refused=token) or ""
            answer = await self._send(ADMIN, "GET", url, read, token)
        return str(answer["id"]) if "id" in answer else None

    async def sub_accounts(self) -> list[SubAccount]:
        """Every sub-account that the user may use. Source: `GET /voice/api/v1/admin/accounts`."""
        return await self._call(ADMIN, "GET", "/voice/api/v1/admin/accounts", parse.parse_sub_accounts)

    async def metadata(self, rc_account_id: str, sub_account_id: str, start: datetime, end: datetime) -> Page[Listing]:
        """The segments that ended in `[start, end)`, as RingCX lists them now; whole seconds.

        Source: `POST .../interaction-metadata`, whose `segmentEndTime` is the beginning of the window.
        """
        body = {
            "segmentEndTime": start.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S"),
            "timeInterval": int((end - start).total_seconds()),
            "timeZone": "UTC",  # a local zone repeats or skips an hour at a daylight-saving change
        }
        path = _account_path(rc_account_id, sub_account_id) + "/interaction-metadata"
        group = metadata_group(sub_account_id)
        return await self._call(group, "POST", path, lambda raw: parse.parse_metadata(raw, sub_account_id), body)

    async def transcript(self, rc_account_id: str, sub_account_id: str, dialog_id: str, segment_id: str) -> Transcript:
        """What was said in one segment. Raises NotReady until RingCX has it, and after its retention.

        Source: `GET .../transcripts/dialogs/{dialogId}/segments/{segmentId}`.
        """
        path = f"{_account_path(rc_account_id, sub_account_id)}/transcripts/dialogs/{_part(dialog_id)}"
        path += f"/segments/{_part(segment_id)}"
        return await self._call(TRANSCRIPTS, "GET", path, parse.parse_transcript)

    async def _call(self, group: str, method: str, path: str, read: Callable[[bytes], T], body: object = None) -> T:
        url, token = self._base_url + path, await self._auth.token()
        for _ in range(RENEWALS):
            try:
                return await self._send(group, method, url, read, token, body)
            except Unauthorized:
                token = await self._auth.renew(token)
        return await self._send(group, method, url, read, token, body)

    async def _send(
        self, group: str, method: str, url: str, read: Callable[[bytes], T], token: str, body: object = None
    ) -> T:
        # As bytes, because a token that is not ASCII, pasted wrongly, is RingCX's to refuse.
        headers = {b"Authorization": f"Bearer {token}".encode(), b"Accept": b"application/json"}
        try:
            request = httpx.Request(method, url, headers=headers, json=body)
        except httpx.InvalidURL as error:  # an id of 64 KiB
            raise Rejected(f"{group}: cannot be asked for ({error})", group=group, code="invalid.url") from None
        try:
            return await self._http.send(group, request, read)
        except Denied as error:
            help_text = PERMISSIONS[group.partition(":")[0]]
            raise Denied(
                f"{str(error).rstrip('.')}. {help_text}", group=group, status=403, code=error.code, body=error.body
            ) from None


def _account_path(rc_account_id: str, sub_account_id: str) -> str:
    return f"/voice/api/cx/integration/v1/accounts/{_part(rc_account_id)}/sub-accounts/{_part(sub_account_id)}"


def _part(identifier: str) -> str:
    """An id as one part of a path, everything but unreserved characters encoded; `.` and `..` too, which are steps."""
    encoded = quote(identifier, safe="")
    return encoded.replace(".", "%2E") if encoded in (".", "..") else encoded
