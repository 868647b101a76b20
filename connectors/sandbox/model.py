"""What a contact centre holds: sub-accounts, segments, phrases, and when each of them can be seen.

Vocabulary (ringcx-api.md, *Words*): a *dialog* is one whole call or chat; a *segment* one participant's leg of it;
a *phrase* one line of a transcript. A segment's *life* are the instants at which the platform starts to show parts of
it: its metadata, its `hasTranscript` flag, its transcript.

All instants are epoch milliseconds. Nothing here knows HTTP or the time of day.
"""

from collections.abc import Iterator
from typing import NamedTuple, Protocol

import msgspec
from msgspec import UNSET, UnsetType


class SubAccount(msgspec.Struct, frozen=True):
    """One RingCX sub-account; the *denied* one is listed, but answers 403 to everything asked of it."""

    sub_account_id: str
    name: str = "Sandbox"
    denied: bool = False
    data_retention_days: int = 365


class Phrase(msgspec.Struct, frozen=True, rename="camel", gc=False):
    """One line of a transcript, exactly as served (spec: `TranscriptPhrase`); UNSET fields are left out."""

    participant_id: str
    timestamp: str
    message: str
    rc_user_id: str | UnsetType | None = UNSET
    participant_name: str | UnsetType | None = UNSET
    participant_type: str | UnsetType | None = UNSET


class Key(NamedTuple):
    """What identifies a segment: a segment id alone may repeat under other dialogs."""

    sub_account_id: str
    dialog_id: str
    segment_id: str


class Segment(msgspec.Struct, frozen=True, kw_only=True):
    """One leg of a dialog in its final state, with its phrases and its life.

    `None` means that the platform has no value: the field is then served as null where the specification allows it
    (`systemDisposition`, `segmentEvents`) and left out elsewhere. `first_end_ms` is the end shown until `end_moves_ms`.
    `flag_ms` and `ready_ms` of None mean never; `rejected_code` is an `errorCode` served with 200 instead of phrases.
    """

    sub_account_id: str
    dialog_id: str
    segment_id: str
    interaction_id: str
    dialog_start_ms: int
    dialog_end_ms: int
    start_ms: int
    end_ms: int
    visible_ms: int
    flag_ms: int | None
    ready_ms: int | None
    phrases: tuple[Phrase, ...] = ()
    channel_id: str = "2013770791"
    channel_type: str = "VOICE"
    channel_class: str = "VOICE"
    channel_endpoint_address: str = "7312066731"
    contact_endpoint_address: str = "2013770791"
    dialog_origination: str = "INBOUND"
    segment_type: str = "AGENT"
    participant_id: str | None = None
    rc_extension_id: str | None = None
    agent_group_id: str | None = None
    system_disposition: str | None = None
    agent_disposition: str | None = None
    agent_notes: str | None = None
    has_recording: bool = False
    events: tuple[tuple[str, int], ...] | None = None
    first_end_ms: int | None = None
    end_moves_ms: int | None = None
    rejected_code: str | None = None

    @property
    def key(self) -> Key:
        """The segment's identity."""
        return Key(self.sub_account_id, self.dialog_id, self.segment_id)

    def end_as_of(self, now_ms: int) -> int:
        """The end of the segment as the platform shows it at `now_ms`."""
        if self.first_end_ms is not None and self.end_moves_ms is not None and now_ms < self.end_moves_ms:
            return self.first_end_ms
        return self.end_ms


class AccountSource(Protocol):
    """Where the segments come from: a generated account, a corpus, or a list made by a test."""

    @property
    def sub_accounts(self) -> tuple[SubAccount, ...]:
        """Every sub-account, in the order in which the platform lists them."""

    def segments(self, sub_account_id: str, start_ms: int, end_ms: int) -> Iterator[Segment]:
        """Segments whose final or first-shown end lies in `[start_ms, end_ms)`, in the order of their final ends."""

    def find(self, key: Key) -> Segment | None:
        """The one segment with this identity."""

    def everything(self, sub_account_id: str, until_ms: int) -> Iterator[Segment]:
        """All segments that end before `until_ms`, since the beginning."""

    def with_segment_id(self, sub_account_id: str, segment_id: str) -> Iterator[Segment]:
        """The segments with this id, of whatever dialogs, in no order."""
