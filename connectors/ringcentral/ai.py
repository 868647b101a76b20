"""RingCentral's AI API: jobs that hear a recording, begun and asked about.

A job is begun once: what may have been begun is never begun again here (`Uncertain`). The address of the audio carries
a token, and that of the webhook is a secret: neither is in any error, log line or repr. RingCentral marked the API as
deprecated on 2026-04-28; accounts that use it may go on. Source: seed 004.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Annotated, TypeVar
from urllib.parse import urlencode, urlsplit

import httpx
import msgspec

from connectors.answers import UNREADABLE
from connectors.errors import ConnectorError, Denied, Rejected, Unauthorized
from connectors.http import Http
from connectors.ringcentral.masking import SecretUrl, masked, with_token
from connectors.ringcentral.records import Answer
from connectors.ringcentral.results import parse_answer
from connectors.ringcx.auth import Auth
from connectors.ringcx.calling import account_path, lacking, part

T = TypeVar("T")
E = TypeVar("E", bound=ConnectorError)

GROUP = "ai"
SPEECH, ANALYSIS = "/ai/audio/v1/async/speech-to-text", "/ai/insights/v1/async/analyze-interaction"
RENEWALS = 2
NOBODY = "https://webhook.invalid/"  # the platform wants one; this name leads nowhere, by RFC 2606
PERMISSION = (
    "The AI API needs the app permission AI, and Read Call Recording for RingCentral's call recordings, and an account"
    " that used it before 2026-04-28."
)
NO_LOGIN = (
    "The AI API needs a RingCentral token: set RINGCENTRAL_CLIENT_ID, RINGCENTRAL_CLIENT_SECRET and RINGCENTRAL_JWT"
    " instead of RINGCX_ACCESS_TOKEN, or choose another RINGCX_TRANSCRIBE_ENGINE."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """What a job is to hear. `by_channel`: two channels, one speaker in each; `webhook`: where it answers."""

    api: str = SPEECH
    content_uri: str = field(repr=False)
    webhook: str = field(default=NOBODY, repr=False)
    language: str = "en-US"
    by_channel: bool = False
    speakers: int = 2


class _Accepted(msgspec.Struct, rename="camel"):
    job_id: Annotated[str, msgspec.Meta(min_length=1, max_length=512)]


class RingCentralAI:
    """Begins jobs and asks about them."""

    def __init__(self, http: Http, auth: Auth, platform_url: str, ringcx_url: str) -> None:
        self._http, self._auth = http, auth
        self._platform_url, self._ringcx_url = platform_url, ringcx_url

    def recording_uri(self, rc_account_id: str, sub_account_id: str, dialog_id: str, segment_id: str) -> str:
        """Where RingCX has the recording of a segment; whoever fetches it needs a token."""
        account = account_path(rc_account_id, sub_account_id)
        return f"{self._ringcx_url}{account}/recordings/dialogs/{part(dialog_id)}/segments/{part(segment_id)}"

    async def submit(self, wanted: Task) -> str:
        """Begin a job; its id. Source: `POST /ai/audio/v1/async/speech-to-text`, `/ai/insights/v1/async/...`.

        Raises Uncertain when it may have begun, Unavailable and RateLimited when it surely has not.
        """
        key = await self._key_to(wanted.content_uri)
        body = _body(wanted, with_token(wanted.content_uri, key) if key else wanted.content_uri)
        query = urlencode({"webhook": wanted.webhook})

        async def send(token: str) -> str:
            request = self._request("POST", f"{wanted.api}?{query}", token, body)
            return (await self._http.send(GROUP, request, msgspec.json.Decoder(_Accepted).decode, once=True)).job_id

        return await self._authorised(send, key)

    async def status(self, job_id: str) -> Answer:
        """A job as it is now. Source: `GET /ai/status/v1/jobs/{jobId}`. Raises NotReady once it is forgotten."""

        async def send(token: str) -> Answer:
            request = self._request("GET", f"/ai/status/v1/jobs/{part(job_id)}", token)
            return await self._http.send(GROUP, request, parse_answer)

        answer = await self._authorised(send)
        if answer.job_id != job_id:
            raise Rejected(f"{GROUP}: the answer is about another job", group=GROUP, code="other.job")
        return answer

    async def _key_to(self, uri: str) -> str:
        """The token that the address's server wants; empty: others' servers are shown none of ours."""
        host = urlsplit(uri).hostname or ""
        if _origin(uri) == _origin(self._ringcx_url):
            return await self._auth.token()
        home = (urlsplit(self._platform_url).hostname or "").split(".", 1)[-1]
        is_ours = _origin(uri) == _origin(self._platform_url) or (uri.startswith("https:") and host == f"media.{home}")
        return await self._platform_token() if is_ours else ""

    async def _platform_token(self, refused: str = "") -> str:
        token = await self._auth.platform_token(refused)
        if not token:
            raise Unauthorized(NO_LOGIN, group=GROUP)
        return token

    async def _authorised(self, ask: Callable[[str], Awaitable[T]], key: str = "") -> T:
        token = await self._platform_token()
        try:
            for _ in range(RENEWALS):
                try:
                    return await ask(token)
                except Unauthorized:
                    token = await self._platform_token(token)
            return await ask(token)
        except Denied as error:
            failure: ConnectorError = lacking(_explained(error, token, key), GROUP, PERMISSION)
        except ConnectorError as error:
            failure = _explained(error, token, key)
        raise failure

    def _request(self, method: str, path: str, token: str, body: bytes | None = None) -> httpx.Request:
        headers = {"Authorization": f"Bearer {token}", "Accept": "application/json"}
        if body is not None:
            headers["Content-Type"] = "application/json"
        request = httpx.Request(method, self._platform_url + path, headers=headers, content=body)
        request.url = SecretUrl(request.url)
        return request


def _body(wanted: Task, content_uri: str) -> bytes:
    body: dict[str, object] = {
        "contentUri": content_uri,
        "encoding": "Wav",
        "languageCode": wanted.language,
        "source": "RingCentral",
        "audioType": "CallCenter",
        "separateSpeakerPerChannel": wanted.by_channel,
        "speakerCount": wanted.speakers,
    }
    if wanted.api == ANALYSIS:
        return msgspec.json.encode({**body, "insights": ["All"]})
    return msgspec.json.encode({**body, "enablePunctuation": True, "enableSpeakerDiarization": True})


def _explained(error: E, *secrets: str) -> E:
    """The same error without secrets, and with what the AI API's own form of errors says."""
    body, said = masked(error.body), masked(str(error))
    for secret in filter(None, secrets):
        body, said = body.replace(secret, "***"), said.replace(secret, "***")
    items = _errors(body)
    words = [" ".join(str(one[name]) for name in ("errorCode", "message") if one.get(name)) for one in items]
    if words:
        said = f"{said}, {'; '.join(words)[:500]}"
    code = error.code or next((str(one["errorCode"]) for one in items if one.get("errorCode")), None)
    retry_after_s = error.retry_after_s
    kind = type(error)
    return kind(said, group=error.group, status=error.status, code=code, retry_after_s=retry_after_s, body=body)


def _errors(body: str) -> list[dict[str, object]]:
    try:
        found = msgspec.json.decode(body, type=dict[str, object]).get("errors")
    except UNREADABLE:
        return []
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []


def _origin(url: str) -> tuple[str, str]:
    parts = urlsplit(url)
    return parts.scheme, parts.netloc.lower()
