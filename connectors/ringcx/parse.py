"""RingCX's answers -> records. Pure: bytes in, records and problems out.

One item that does not fit never stops the others: it comes back as a `Problem`, and so does one that holds what no
text can (half a surrogate pair, bytes that are not UTF-8) or a number beyond all bounds. An answer that is not JSON at
all, or not of the documented outer shape, raises msgspec.DecodeError, which `connectors.http` takes for a broken
transmission.
"""

import re
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import TypeVar

import msgspec

from connectors.ringcx.records import (
    WIRE_NAMES,
    Listing,
    Page,
    Phrase,
    Problem,
    Segment,
    SubAccount,
    Transcript,
    Utterance,
)

T = TypeVar("T")

FIRST_MS, LAST_MS = (int(datetime(year, 1, 1, tzinfo=UTC).timestamp() * 1000) for year in (1, 9999))
TRANSCRIPT_FIELDS = frozenset({"channelClass", "errorCode", "errorMessage", "transcript"})
# An escape in a JSON string; the group is half of a surrogate pair without the other, which msgspec cannot step over.
ESCAPE = re.compile(rb"\\u[dD][89abAB]..\\u[dD][c-fC-F]..|\\(u[dD][89a-fA-F]..)|\\.", re.DOTALL)
NO_TEXT = b"\xff"  # takes the place of that escape's backslash: a byte that no text has


def parse_metadata(body: bytes, sub_account_id: str) -> Page[Listing]:
    """The segments of an interaction-metadata answer, for the sub-account that was asked.

    Source: `WEMInteractionSegmentMetaData2Array` of the OpenAPI description.
    """
    raw = _items(body)
    known_fields = frozenset(Segment.__struct_encode_fields__)

    def listing(_: int, fields: Mapping[str, object]) -> Listing:
        segment = msgspec.convert(fields, Segment)
        if segment.sub_account_id not in (None, "", sub_account_id):
            raise msgspec.ValidationError(f"subAccountId is {segment.sub_account_id!r}, asked for {sub_account_id!r}")
        instants = {name: _utc(getattr(segment, name)) for name in WIRE_NAMES}
        segment = msgspec.structs.replace(segment, sub_account_id=sub_account_id, **instants)
        return Listing(segment=segment, extra=_extra(fields, known_fields))

    return _each(raw, listing, known_fields, "segment")


def parse_transcript(body: bytes) -> Transcript:
    """One segment's transcript.

    A `transcript` of null is an empty one; lines keep their place in the platform's order even where one between them
    does not fit. Source: `RCInteractionTranscriptData` of the OpenAPI description.
    """
    answer = _answer(body)
    code, message, channel = (answer.get(name) for name in ("errorCode", "errorMessage", "channelClass"))
    raw = answer.get("transcript")
    if raw is None and "transcript" not in answer and not code:
        raise msgspec.DecodeError("the answer has neither a transcript nor an errorCode")
    if raw is not None and not isinstance(raw, list):
        raise msgspec.DecodeError("transcript is not an array")
    known_fields = frozenset(Phrase.__struct_encode_fields__)

    def utterance(seq: int, fields: Mapping[str, object]) -> Utterance:
        phrase = msgspec.convert(fields, Phrase)
        return Utterance(
            seq=seq,
            spoken_at_ms=_epoch_ms(phrase.timestamp),
            message=phrase.message,
            participant_id=phrase.participant_id,
            participant_name=phrase.participant_name,
            participant_type=phrase.participant_type,
            rc_user_id=phrase.rc_user_id,
            extra=_extra(fields, known_fields),
        )

    lines = _each(raw or [], utterance, known_fields, "utterance")
    lines.unknown_fields.update(f"transcript.{name}" for name in answer.keys() - TRANSCRIPT_FIELDS)
    return Transcript(
        lines=lines,
        channel_class=None if channel is None else str(channel),
        error_code=str(code) if code else None,
        error_message=str(message) if message else None,
        raw=body.decode("utf-8", "replace") if code else "",
    )


def parse_sub_accounts(body: bytes) -> list[SubAccount]:
    """The RingCX accounts that the user may use. Source: `Account` of the OpenAPI description."""
    return _decode(body, list[SubAccount])


class _Unreadable(msgspec.Struct, frozen=True):
    """An item that is JSON, and yet no value can stand for it."""

    raw: str
    reason: str


def _items(body: bytes) -> list[object]:
    """The items of an array; where msgspec cannot read them all, those that it cannot as `_Unreadable`."""
    try:
        return _decode(body, list[object])
    except msgspec.DecodeError:
        return [_item(raw) for raw in _decode(_without_halves(body), list[msgspec.Raw])]


def _answer(body: bytes) -> dict[str, object]:
    """The fields of a transcript's answer, with `_items` of its array."""
    try:
        return _decode(body, dict[str, object])
    except msgspec.DecodeError:
        fields = _decode(_without_halves(body), dict[str, msgspec.Raw])
    answer: dict[str, object] = {}
    for name, raw in fields.items():
        if name == "transcript" and bytes(raw) != b"null":
            answer[name] = [_item(line) for line in _decode(raw, list[msgspec.Raw])]
        else:
            answer[name] = _decode(raw, object) if name in TRANSCRIPT_FIELDS else None
    return answer


def _item(raw: msgspec.Raw) -> object:
    try:
        return _decode(raw, object)
    except msgspec.DecodeError as error:
        came = bytes(raw).replace(NO_TEXT + b"u", rb"\u").decode("utf-8", "backslashreplace")
        return _Unreadable(came, str(error))


def _without_halves(body: bytes) -> bytes:
    return ESCAPE.sub(lambda found: NO_TEXT + found[1] if found[1] else found[0], body)


def _decode(body: bytes | msgspec.Raw, kind: type[T]) -> T:
    """As msgspec does, but with all that it raises for a bad body as one error."""
    try:
        return msgspec.json.decode(body, type=kind)
    except UnicodeDecodeError:
        raise msgspec.DecodeError("bytes that are not UTF-8, or half a surrogate pair") from None
    except RecursionError:
        raise msgspec.DecodeError("nested too deeply") from None


def _each(
    raw: list[object], read: Callable[[int, Mapping[str, object]], T], known_fields: frozenset[str], kind: str
) -> Page[T]:
    """Every item through `read`; those that it refuses as problems; unknown fields counted as `kind.name`."""
    items, problems, unknown = [], [], Counter[str]()
    for position, item in enumerate(raw):
        try:
            if isinstance(item, _Unreadable):
                problems.append(Problem(position, item.raw, item.reason))
                continue
            if not isinstance(item, dict):
                raise msgspec.ValidationError(f"expected an object, got {type(item).__name__}")
            items.append(read(position, item))
            unknown.update(f"{kind}.{name}" for name in item.keys() - known_fields)
        except msgspec.ValidationError as error:
            problems.append(Problem(position, _json(item), str(error)))
    return Page(tuple(items), tuple(problems), unknown)


def _extra(fields: Mapping[str, object], known_fields: frozenset[str]) -> str | None:
    unknown = {name: value for name, value in fields.items() if name not in known_fields}
    return _json(unknown) if unknown else None


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()


def _utc(instant: datetime | None) -> datetime | None:
    """In UTC; an instant without a zone is UTC already, as the documentation says all of them are."""
    if instant is None:
        return None
    try:
        return instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)
    except OverflowError:
        raise msgspec.ValidationError(f"{instant.isoformat()} is outside the calendar") from None


def _epoch_ms(timestamp: str | int) -> int:
    try:
        value = int(timestamp)
    except ValueError:
        raise msgspec.ValidationError(f"timestamp {timestamp!r} is not epoch milliseconds") from None
    if not FIRST_MS <= value < LAST_MS:
        raise msgspec.ValidationError(f"timestamp {timestamp!r} is outside years 1 to 9998")
    return value
