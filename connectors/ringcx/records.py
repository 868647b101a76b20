"""RingCX's wire records, typed and frozen.

segment    one participant's leg of a dialog, as interaction metadata lists it (`WEMDialogSegmentMetaData`)
utterance  one line of a segment's transcript (`TranscriptPhrase`)
problem    an item that does not fit, kept whole with the reason, so that it can be quarantined

Strict: a number where the specification has a string is a problem, not a guess. Ids must not be empty.
"""

from collections import Counter
from datetime import datetime
from typing import Annotated, Generic, TypeVar

import msgspec

Id = Annotated[str, msgspec.Meta(min_length=1)]
Int64 = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]

# `...TimeMs` fields are ISO 8601 instants despite their name; what was named for milliseconds is named for the instant.
WIRE_NAMES = {
    "dialog_start_time": "dialogStartTimeMs",
    "dialog_end_time": "dialogEndTimeMs",
    "segment_start_time": "segmentStartTimeMs",
    "segment_end_time": "segmentEndTimeMs",
}


def wire_name(field: str) -> str:
    """RingCX's name of our field: camelCase, with the four instants' misleading suffix."""
    head, *tail = field.split("_")
    return WIRE_NAMES.get(field, head + "".join(word.capitalize() for word in tail))


class Segment(msgspec.Struct, frozen=True, kw_only=True, rename=wire_name):
    """One segment's metadata: instants aware and UTC, durations in ms, `segment_events` as RingCX sent them."""

    dialog_id: Id
    segment_id: Id
    segment_end_time: datetime
    sub_account_id: str | None = None
    interaction_id: str | None = None
    channel_id: str | None = None
    channel_type: str | None = None
    channel_class: str | None = None
    channel_endpoint_address: str | None = None
    contact_endpoint_address: str | None = None
    dialog_origination: str | None = None
    dialog_start_time: datetime | None = None
    dialog_end_time: datetime | None = None
    dialog_duration_ms: Int64 | None = None
    segment_type: str | None = None
    segment_participant_id: str | None = None
    segment_participant_rc_extension_id: str | None = None
    segment_start_time: datetime | None = None
    segment_duration_ms: Int64 | None = None
    segment_agent_group_id: str | None = None
    system_disposition: str | None = None
    agent_disposition: str | None = None
    agent_notes: str | None = None
    has_recording: bool | None = None
    has_transcript: bool | None = None
    segment_events: list[dict[str, object]] | None = None


class Phrase(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One transcript line as sent; `timestamp` is epoch milliseconds, as a string."""

    message: str
    timestamp: str | Int64
    participant_id: str | None = None
    participant_name: str | None = None
    participant_type: str | None = None
    rc_user_id: str | None = None


class Listing(msgspec.Struct, frozen=True, kw_only=True):
    """A segment as metadata listed it; `extra` holds the fields that we do not know, as JSON text (None: no such)."""

    segment: Segment
    extra: str | None = None


class Utterance(msgspec.Struct, frozen=True, kw_only=True):
    """One line of a transcript, at its place `seq` (from 0) in the platform's order; `spoken_at_ms` is epoch ms."""

    seq: int
    spoken_at_ms: int
    message: str
    participant_id: str | None = None
    participant_name: str | None = None
    participant_type: str | None = None
    rc_user_id: str | None = None
    extra: str | None = None


class Problem(msgspec.Struct, frozen=True):
    """An item that could not be understood: its place in the answer, as it came (JSON text), and why."""

    position: int
    raw: str
    reason: str


T = TypeVar("T")


class Page(msgspec.Struct, Generic[T], frozen=True):
    """The items of one answer that fit, those that do not, and how often each unknown field came."""

    items: tuple[T, ...]
    problems: tuple[Problem, ...] = ()
    unknown_fields: Counter[str] = msgspec.field(default_factory=Counter)


class Transcript(msgspec.Struct, frozen=True, kw_only=True):
    """One segment's transcript: its utterances in the platform's order, or the error code that came instead."""

    lines: Page[Utterance]
    channel_class: str | None = None
    error_code: str | None = None
    error_message: str | None = None
    raw: str = ""  # the answer as it came, when it carries an error code


class SubAccount(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A RingCX account that the user may use; `data_retention_days`: how long RingCX keeps its data, if it says so."""

    account_id: Id
    account_name: str | None = None
    main_account_id: str | None = None
    data_retention_days: int | None = None
    main_account: dict[str, object] | None = None

    @property
    def rc_account_id(self) -> str | None:
        """The RingCentral account above it, where RingCX says so."""
        named = (self.main_account or {}).get("rcAccountId")
        return str(named) if named else None
