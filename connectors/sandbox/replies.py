"""The bodies of the platform's answers: segments, transcripts, accounts, and errors as documented.

Nothing here knows the network, the time of day or a rate limit.
"""

from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

import msgspec

from connectors.sandbox.life import Seen
from connectors.sandbox.model import Phrase, Segment, SubAccount

JSON = b"application/json"
TEXT = b"text/plain; charset=utf-8"
HTML = b"text/html; charset=utf-8"
WAV = b"audio/wav"
WEB_PAGE = (
    b"<!DOCTYPE html>\n<html><head><title>Service notice</title></head><body>We will be right back.</body></html>\n"
)

# Status -> (developerMessage, generalMessage); 400 to 500 word for word from the specification's examples.
MESSAGES = {
    400: ("Bad request", "The supplied data is not valid"),
    403: ("Access is denied.", "You do not have permission to access this resource"),
    404: ("Not found", "The resource you have requested does not exist"),
    409: ("Conflict", "The request conflicts with the current state of the resource"),
    405: ("Method not allowed", "The method is not supported for this resource"),
    429: ("Too many requests", "Request rate exceeded"),
    500: ("Internal server error", "An Internal Server Error occurred while processing this request"),
    503: ("Service unavailable", "The service is temporarily unavailable"),
}


class Reply(NamedTuple):
    """One HTTP answer, ready to be sent."""

    status: int
    body: bytes
    content_type: bytes = JSON
    headers: tuple[tuple[bytes, bytes], ...] = ()
    before: Callable[[], Awaitable[None]] | None = None  # what happens while the client still waits for the answer


class Transcript(msgspec.Struct, frozen=True, rename="camel"):
    """The transcript body (spec: `RCInteractionTranscriptData`)."""

    channel_class: str
    error_code: str | None
    error_message: str | None
    transcript: Sequence[Phrase]


def ok(value: object) -> Reply:
    """A 200 with a JSON body."""
    return Reply(200, msgspec.json.encode(value))


def error(status: int, request_uri: str, now_ms: int, validation: Sequence[tuple[str, str, str]] = ()) -> Reply:
    """An error as the specification's `Errors` schema; `validation` lists (attribute, message, value)."""
    if status == 401:
        return Reply(401, b"JWT is expired.", TEXT)
    developer, general = MESSAGES.get(status, (f"Status {status}", f"Status {status}"))
    body: dict[str, object] = {
        "details": "",
        "developerMessage": developer,
        "cause": "",
        "generalMessage": general,
        "requestUri": request_uri,
        "timestamp": now_ms,
    }
    if validation:
        names = ("attributeName", "message", "value")
        body["validationErrors"] = [dict(zip(names, entry, strict=True)) for entry in validation]
    return Reply(status, msgspec.json.encode(body))


def access_denied(now_ms: int) -> Reply:
    """The 403 of a user without the platform's permission (seed 003, *Common Authorization Errors*)."""
    body = {"errorCode": "access.denied.exception", "generalMessage": MESSAGES[403][1], "timestamp": now_ms}
    return Reply(403, msgspec.json.encode(body))


def oauth_error(status: int, code: str, description: str) -> Reply:
    """An error of the token endpoint, as RFC 6749 section 5.2 has it."""
    return Reply(status, msgspec.json.encode({"error": code, "error_description": description}))


def error_code(code: str, channel_class: str = "VOICE") -> Reply:
    """A 200 that carries an `errorCode` and no phrases."""
    return ok(Transcript(channel_class, code, f"Transcript is not available: {code}", []))


def transcript(segment: Segment) -> Reply:
    """The transcript of a segment, or its permanent `errorCode`."""
    if segment.rejected_code is not None:
        return error_code(segment.rejected_code, segment.channel_class)
    return ok(Transcript(segment.channel_class, None, None, segment.phrases))


def account(sub: SubAccount, rc_account_id: str, main_account_id: str) -> dict[str, Any]:
    """One entry of the account list (spec: `Account`)."""
    main = {
        "mainAccountId": main_account_id,
        "mainAccountName": "Sandbox",
        "rcAccountId": rc_account_id,
        "dataRetentionDays": sub.data_retention_days,
        "isActive": 1,
    }
    return {
        "accountId": sub.sub_account_id,
        "accountName": sub.name,
        "mainAccountId": main_account_id,
        "mainAccount": main,
        "dataRetentionDays": sub.data_retention_days,
        "archivedAccount": False,
    }


def metadata_item(seen: Seen) -> dict[str, Any]:
    """One item of a metadata answer (spec: `WEMDialogSegmentMetaData`)."""
    segment = seen.segment
    item = {
        "subAccountId": segment.sub_account_id,
        "dialogId": segment.dialog_id,
        "interactionId": segment.interaction_id,
        "channelId": segment.channel_id,
        "channelType": segment.channel_type,
        "channelClass": segment.channel_class,
        "channelEndpointAddress": segment.channel_endpoint_address,
        "contactEndpointAddress": segment.contact_endpoint_address,
        "dialogOrigination": segment.dialog_origination,
        "dialogStartTimeMs": iso(segment.dialog_start_ms),
        "dialogEndTimeMs": iso(segment.dialog_end_ms),
        "dialogDurationMs": segment.dialog_end_ms - segment.dialog_start_ms,
        "segmentId": segment.segment_id,
        "segmentType": segment.segment_type,
        "segmentParticipantId": segment.participant_id,
        "segmentParticipantRcExtensionId": segment.rc_extension_id,
        "segmentStartTimeMs": iso(segment.start_ms),
        "segmentEndTimeMs": iso(seen.end_ms),
        "segmentDurationMs": seen.end_ms - segment.start_ms,
        "segmentAgentGroupId": segment.agent_group_id,
        "agentDisposition": segment.agent_disposition,
        "agentNotes": segment.agent_notes,
        "hasRecording": segment.has_recording,
        "hasTranscript": seen.has_transcript,
    }
    item = {name: value for name, value in item.items() if value is not None}
    item["systemDisposition"] = segment.system_disposition
    item["segmentEvents"] = None if segment.events is None else [_event(kind, at) for kind, at in segment.events]
    return item


def _event(kind: str, at_ms: int) -> dict[str, str]:
    return {"eventTimeMs": iso(at_ms), "clientEventTimeMs": iso(at_ms), "eventType": kind}


def iso(epoch_ms: int) -> str:
    """An instant as the platform writes it: ISO 8601, UTC, milliseconds, `Z`."""
    return f"{datetime.fromtimestamp(epoch_ms // 1000, UTC):%Y-%m-%dT%H:%M:%S}.{epoch_ms % 1000:03d}Z"
