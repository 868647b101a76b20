"""RingCX's endpoints as functions: which sub-accounts there are, what happened in a window, what was said in a segment.

Each call takes its place in the group's quota, and is authorised and retried (`connectors.ringcx.calling`). Raises the
errors of `connectors.errors`.
"""

from datetime import UTC, datetime

import httpx
import msgspec

from connectors.errors import Denied, Unauthorized
from connectors.http import Http
from connectors.ringcx import parse
from connectors.ringcx.auth import Auth
from connectors.ringcx.calling import Call, Caller, account_path, lacking, part
from connectors.ringcx.records import Listing, Page, SubAccount, Transcript

ADMIN, TRANSCRIPTS = "admin", "transcripts"
PERMISSIONS = {
    "admin": "The user needs access to RingCX Admin, and the app the OAuth scope ReadAccounts.",
    "metadata": "The user needs WEM access to this sub-account, and the app the OAuth scope ReadAccounts.",
    "transcripts": (
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
        self._http, self._auth, self._platform_url = http, auth, platform_url
        self._caller = Caller(http, auth, base_url)

    async def rc_account_id(self) -> str | None:
        """The RingCentral account of the logged-in user; None with a ready token, which cannot ask RingCentral.

        Source: `GET /restapi/v1.0/account/~`.
        """
        token = await self._auth.platform_token()
        if token is None:
            return None
        try:
            answer = await self._account(token)
        except Unauthorized:
            answer = await self._account(await self._auth.platform_token(refused=token) or "")
        return str(answer["id"]) if "id" in answer else None

    async def sub_accounts(self) -> list[SubAccount]:
        """Every sub-account that the user may use. Source: `GET /voice/api/v1/admin/accounts`."""
        call = Call(group=ADMIN, method="GET", path="/voice/api/v1/admin/accounts", permission=PERMISSIONS["admin"])
        return await self._caller.send(call, parse.parse_sub_accounts)

    async def metadata(self, rc_account_id: str, sub_account_id: str, start: datetime, end: datetime) -> Page[Listing]:
        """The segments that ended in `[start, end)`, as RingCX lists them now; whole seconds.

        Source: `POST .../interaction-metadata`, whose `segmentEndTime` is the beginning of the window.
        """
        body = {
            "segmentEndTime": start.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S"),
            "timeInterval": int((end - start).total_seconds()),
            "timeZone": "UTC",  # a local zone repeats or skips an hour at a daylight-saving change
        }
        call = Call(
            group=metadata_group(sub_account_id),
            method="POST",
            path=account_path(rc_account_id, sub_account_id) + "/interaction-metadata",
            permission=PERMISSIONS["metadata"],
            body=body,
        )
        return await self._caller.send(call, lambda raw: parse.parse_metadata(raw, sub_account_id))

    async def transcript(self, rc_account_id: str, sub_account_id: str, dialog_id: str, segment_id: str) -> Transcript:
        """What was said in one segment. Raises NotReady until RingCX has it, and after its retention.

        Source: `GET .../transcripts/dialogs/{dialogId}/segments/{segmentId}`.
        """
        path = f"{account_path(rc_account_id, sub_account_id)}/transcripts/dialogs/{part(dialog_id)}"
        path += f"/segments/{part(segment_id)}"
        call = Call(group=TRANSCRIPTS, method="GET", path=path, permission=PERMISSIONS["transcripts"])
        return await self._caller.send(call, parse.parse_transcript)

    async def _account(self, token: str) -> dict[str, object]:
        headers = {b"Authorization": f"Bearer {token}".encode(), b"Accept": b"application/json"}
        request = httpx.Request("GET", f"{self._platform_url}/restapi/v1.0/account/~", headers=headers)
        try:
            return await self._http.send(ADMIN, request, msgspec.json.Decoder(dict[str, object]).decode)
        except Denied as error:
            raise lacking(error, ADMIN, PERMISSIONS["admin"]) from None
