"""What an answer without success means: its status and body as one of the errors of `connectors.errors`. Pure.

No error repeats a credential of its request, should the answer repeat it: neither its header, nor its form, nor the
token or secret in its JSON, nor an `access_token=` in anything.
"""

import math
import re
from email.utils import parsedate_to_datetime
from urllib.parse import unquote_plus

import httpx
import msgspec

from connectors.errors import ConnectorError, Denied, NotReady, RateLimited, Rejected, Unauthorized, Unavailable


class BadBody(ValueError):
    """A body that whoever reads it cannot take: cut, or not what was asked for. Its text says why."""


UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError, BadBody)  # raised for a bad body
SECRETIVE = ("auth", "admin")  # groups whose answers hold tokens or passwords: their bodies go nowhere
IN_ADDRESS = re.compile(r"(access_token(?:=|%3[Dd]))[^&\s\"'\\]+")


def classify(group: str, response: httpx.Response) -> ConnectorError:
    """The error that an answer without success stands for."""
    answer = _clean(response)
    status, code, said = response.status_code, *_reason(answer)
    body = _kept(group, answer)
    message = f"{group}: status {status}" + (f", {said}" if said else "")
    if status == 401:
        return Unauthorized(message, group=group, status=status, code=code, body=body)
    if status == 403:
        return Denied(message, group=group, status=status, code=code, body=body)
    if status == 404:
        return NotReady(message, group=group, status=status, code=code, body=body)
    if status == 429:
        return RateLimited(message, group=group, status=status, code=code, retry_after_s=_retry_after_s(response))
    if status >= 500:
        return Unavailable(message, group=group, status=status, code=code, retry_after_s=_retry_after_s(response))
    return Rejected(message, group=group, status=status, code=code, body=body)


def unreadable(group: str, response: httpx.Response, reason: str, *, streamed: bool = False) -> Unavailable:
    """The error for a 2xx whose body is not what was asked for; of one that was streamed, nothing was kept."""
    message = f"{group}: status {response.status_code} with a body that cannot be read ({reason})"
    # A caller that asked for something else, and could not be logged in, has had no answer to what it asked for.
    status = None if group.startswith("auth") else response.status_code
    return Unavailable(message, group=group, status=status, body="" if streamed else _kept(group, _clean(response)))


def _reason(answer: str) -> tuple[str | None, str]:
    """The error code and the sentence in an error body, JSON as the specification's `Errors` or plain text."""
    try:
        fields = msgspec.json.decode(answer, type=dict[str, object])
    except UNREADABLE:
        return None, answer[:200].strip()
    code = fields.get("errorCode") or fields.get("error")
    said = [fields.get(name) for name in ("generalMessage", "developerMessage", "error_description", "message")]
    validation = fields.get("validationErrors")
    if isinstance(validation, list):
        said += [item.get("message") for item in validation if isinstance(item, dict)]
    words = "; ".join(dict.fromkeys(str(word) for word in (code, *said) if word))
    return (str(code)[:200] if code else None), words[:500]


def _retry_after_s(response: httpx.Response) -> float | None:
    """Seconds that the answer asks to wait: a number, or a date against the answer's own date; None when absent."""
    value = response.headers.get("retry-after", "")
    try:
        seconds = float(value)
        return max(0.0, seconds) if math.isfinite(seconds) else None
    except ValueError:
        pass
    try:
        asked = parsedate_to_datetime(value) - parsedate_to_datetime(response.headers.get("date", ""))
    except (TypeError, ValueError):
        return None
    return max(0.0, asked.total_seconds())


def _clean(response: httpx.Response) -> str:
    """The body as text, without the credentials of its request."""
    text = response.content.decode("utf-8", "replace")
    for secret in _credentials(response.request):
        text = text.replace(secret, "***")
    return IN_ADDRESS.sub(r"\1***", text)


def _credentials(request: httpx.Request) -> list[str]:
    values = [request.headers.get("authorization", "").partition(" ")[2]]
    values.append(request.headers.get("cookie", "").removeprefix("access_token="))
    kind = request.headers.get("content-type")
    if kind == "application/x-www-form-urlencoded":
        sent = [field.partition("=")[2] for field in request.content.decode().split("&")]
        values += [*sent, *map(unquote_plus, sent)]
    values = [value for value in values if len(value) >= 8 and not value.startswith("urn")]
    return values + (_named_in(request.content) if kind == "application/json" else [])


def _named_in(content: bytes) -> list[str]:
    """The token and the secret of a JSON body, as they are and as JSON writes them."""
    try:
        fields = msgspec.json.decode(content, type=dict[str, object])
    except UNREADABLE:
        return []
    secrets = [value for name in ("token", "secret") if isinstance(value := fields.get(name), str) and value]
    return [*secrets, *(msgspec.json.encode(secret).decode()[1:-1] for secret in secrets)]


def _kept(group: str, answer: str) -> str:
    return "" if group.partition(":")[0] in SECRETIVE else answer[:2000]
