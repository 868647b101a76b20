"""RingCX's WSS messages (JSON texts) -> events. Pure. Source: *Getting Started with Call Streaming*, 2023-12-09.

What the document leaves open, and what is assumed here:

- The handshake's query parameters are described, not named: they are looked for under the names of the Start message,
  which wins. Our own `dialog_id`, `segment_id` and `sub_account_id` in the URL win over everything: media control is
  given such URLs. Otherwise callId is the dialog and sessionId the segment.
- `sequenceId` counts the chunks of one perspective.
- Stop does not say of which perspective it is: the call is complete with as many Stops as perspectives were heard.
- A profile's secret comes as a token does (`connectors.receivers.door`), in the handshake: it is in no message.
"""

from collections.abc import Iterable, Mapping
from typing import Literal

import msgspec

from connectors.receivers.bounds import ID_LENGTH
from connectors.receivers.events import (
    LEFT,
    RIGHT,
    CallStarted,
    Cause,
    Chunk,
    Event,
    HungUp,
    Info,
    Malformed,
    SegmentStarted,
    SegmentStopped,
    Trouble,
)

SECRETS = frozenset({"secret", "token", "authorization", "access_token"})
CHANNELS = {"Participant": LEFT, "Conference": RIGHT}


class Media(msgspec.Struct, frozen=True, tag_field="event", tag="Media", gc=False):
    """About 20 ms of one perspective."""

    perspective: Literal["Participant", "Conference"]
    sequence_id: str | int = msgspec.field(name="sequenceId")
    media: bytes  # base64 on the wire


class Start(msgspec.Struct, frozen=True, tag_field="event", tag="Start"):
    """Who speaks with whom."""

    metadata: dict[str, object] = {}


class Stop(msgspec.Struct, frozen=True, tag_field="event", tag="Stop"):
    """The end of a perspective."""

    metadata: dict[str, object] = {}


class Connected(msgspec.Struct, frozen=True, tag_field="event", tag="Connected"):
    """The first message."""

    protocol: str | None = None
    version: str | None = None


class Tag(msgspec.Struct, frozen=True):
    """Any message, to see of which kind it is."""

    event: str


Message = Media | Start | Stop | Connected
MESSAGES: msgspec.json.Decoder[Message] = msgspec.json.Decoder(Message)


class WssDialect:
    """One connection's messages, in the order in which they came, as events."""

    def __init__(self, query: Mapping[str, str]) -> None:
        self._query = query
        self._segment_id = ""
        self._heard: set[int] = set()
        self._stops = 0

    @property
    def is_complete(self) -> bool:
        """Whether the platform has said that nothing more comes."""
        return self._stops >= max(len(self._heard), 1)

    def events(self, message: bytes) -> Iterable[Event]:
        """What a message says. Raises Malformed; HungUp when the call does not say which it is."""
        said = _decoded(message)
        if type(said) is Media and self._segment_id:
            return (self._chunk(said),)
        return self._rare(said)

    def _chunk(self, said: Media) -> Event:
        channel = CHANNELS[said.perspective]
        self._heard.add(channel)
        try:
            return Chunk(self._segment_id, channel, int(said.sequence_id), said.media)
        except ValueError:
            raise Malformed("sequenceId is no number") from None

    def _rare(self, said: "Message | str") -> Iterable[Event]:
        match said:
            case Start() if not self._segment_id:
                return self._begin(said.metadata)
            case Media():  # its Start was lost or malformed; the handshake may know who it is
                return [*self._begin({}), self._chunk(said)]
            case Stop():
                self._stops += 1
                details = _shown(said.metadata)
                last = self._stops == len(CHANNELS)
                stop = SegmentStopped(self._segment_id, details) if last else _info(self._segment_id, "stop", details)
                return [stop] if self._segment_id else []
            case Start():
                return [Trouble("start", "a second Start", self._segment_id)]
            case Connected():
                return []
        return [Trouble("unknown", f"a message of an unknown kind: {said[:50]!r}", self._segment_id)]

    def _begin(self, metadata: Mapping[str, object]) -> list[Event]:
        known = {name.lower(): _text(value) for name, value in {**self._query, **metadata}.items()}
        dialog_id = self._query.get("dialog_id") or known.get("callid")
        segment_id = self._query.get("segment_id") or known.get("sessionid") or dialog_id
        if not dialog_id or not segment_id or len(dialog_id) > ID_LENGTH or len(segment_id) > ID_LENGTH:
            raise HungUp(Cause.NOT_IDENTIFIED)
        rate = metadata.get("sampleRateHertz")
        if metadata.get("contentType", "audio/x-mulaw") != "audio/x-mulaw" or rate not in (None, 8000):
            raise HungUp(Cause.UNSUPPORTED)
        self._segment_id = segment_id
        details = _shown({**self._query, **metadata})
        call = CallStarted(
            origin="wss",
            session_id=known.get("sessionid") or segment_id,
            sub_account_id=self._query.get("sub_account_id") or known.get("subaccountid") or "",
            dialog_id=dialog_id,
            ani=known.get("ani"),
            dnis=known.get("dnis"),
            details=details,
        )
        segment = SegmentStarted(segment_id=segment_id, channels=2, participant_id=known.get("agentid"))
        return [call, segment]


def _decoded(message: bytes) -> "Message | str":
    """The message, or the name of its kind where we do not know that."""
    try:
        return MESSAGES.decode(message)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        try:
            kind = msgspec.json.decode(message, type=Tag).event
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise Malformed("not a JSON object with an event") from None
    if kind in {"Media", "Start", "Stop", "Connected"}:
        raise Malformed(f"a {kind} message whose fields do not fit")
    return kind


def _text(value: object) -> str | None:
    """An id or a number of the platform's, as text; None for what is neither."""
    if isinstance(value, bool) or not isinstance(value, str | int):
        return None
    return str(value)[: ID_LENGTH + 1] or None


def _shown(metadata: Mapping[str, object]) -> dict[str, object]:
    return {name: value for name, value in metadata.items() if name.lower() not in SECRETS}


def _info(segment_id: str, event: str, details: dict[str, object]) -> Info:
    return Info(segment_id, event, msgspec.json.encode(details).decode())
