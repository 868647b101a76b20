"""RingCX's gRPC messages (`streaming.proto`) -> events. Pure.

One stream is one dialog; several participants speak in it, each in a segment of its own, so audio is mono. Media of a
segment whose start did not come is taken for G.711 mu-law at 8 kHz, which is all that RingCX sends today. L16 is taken
for network byte order, as RFC 3551 has it, and comes out as WAV wants it.
"""

from collections.abc import Iterable

from google.protobuf.message import DecodeError

from connectors.receivers.bounds import ID_LENGTH
from connectors.receivers.events import (
    CallStarted,
    Cause,
    Chunk,
    Encoding,
    Event,
    HungUp,
    Info,
    Malformed,
    SegmentStarted,
    SegmentStopped,
    Trouble,
)
from connectors.receivers.streaming_pb2 import (
    AGENT,
    BOT,
    CODEC_UNSPECIFIED,
    CONTACT,
    L16,
    PCMA,
    PCMU,
    DialogInitEvent,
    DialogType,
    ProductType,
    SegmentMediaEvent,
    SegmentStartEvent,
    StreamEvent,
)

ENCODINGS: dict[int, Encoding] = {CODEC_UNSPECIFIED: "PCMU", PCMU: "PCMU", PCMA: "PCMA", L16: "L16"}
PARTICIPANTS = {AGENT: "agent", CONTACT: "contact", BOT: "bot"}  # as transcripts name them
LOWEST_HZ, HIGHEST_HZ = 8000, 48000


class GrpcDialect:
    """One stream's messages, in the order in which they came, as events."""

    def __init__(self) -> None:
        self._encodings: dict[str, Encoding | None] = {}  # None: cannot be stored
        self._open: set[str] = set()
        self._is_begun = False

    @property
    def is_complete(self) -> bool:
        """Whether every segment was stopped: that a stream has ended does not say that its caller meant to end it."""
        return not self._open

    def events(self, message: bytes) -> Iterable[Event]:
        """What a message says. Raises Malformed; HungUp when the call does not say which it is."""
        try:
            said = StreamEvent.FromString(message)
        except DecodeError:
            raise Malformed("not a StreamEvent") from None
        kind = said.WhichOneof("event")
        if kind == "dialog_init":
            return self._begin(said.session_id, said.dialog_init)
        if not self._is_begun:
            raise HungUp(Cause.NOT_IDENTIFIED)
        if kind == "segment_media":
            return self._media(said.segment_media)
        if kind == "segment_start":
            return self._segment(said.segment_start)
        if kind == "segment_info":
            info = said.segment_info
            return [Info(_id(info.segment_id), info.event, info.data if info.HasField("data") else None)]
        if kind == "segment_stop":
            self._open.discard(said.segment_stop.segment_id)
            return [SegmentStopped(_id(said.segment_stop.segment_id))]
        return [Trouble("unknown", "a StreamEvent of an unknown kind")]

    def _begin(self, session_id: str, init: DialogInitEvent) -> list[Event]:
        dialog = init.dialog
        if self._is_begun:
            return [Trouble("start", "a second DialogInitEvent")]
        if not dialog.id or len(dialog.id) > ID_LENGTH:
            raise HungUp(Cause.NOT_IDENTIFIED)
        self._is_begun = True
        account, optional = init.account, ("ani", "dnis", "language")
        given = {name: getattr(dialog, name) for name in optional if dialog.HasField(name)}
        details = {
            **given,
            "account_id": account.id,
            "rc_account_id": account.rc_account_id,
            "type": _name(DialogType, dialog.type),
            "attributes": dict(dialog.attributes),
        }
        return [
            CallStarted(
                origin="grpc",
                session_id=_id(session_id),
                sub_account_id=_id(account.sub_account_id),
                dialog_id=dialog.id,
                ani=given.get("ani"),
                dnis=given.get("dnis"),
                details=details,
            )
        ]

    def _segment(self, start: SegmentStartEvent) -> list[Event]:
        segment_id, person, audio = _id(start.segment_id), start.participant, start.audio_format
        if not segment_id:
            raise Malformed("a segment without an id")
        if segment_id in self._encodings:
            return [Trouble("start", "a second start of this segment", segment_id)]
        rate = audio.rate or 8000
        encoding = ENCODINGS.get(audio.codec) if LOWEST_HZ <= rate <= HIGHEST_HZ else None
        self._encodings[segment_id] = encoding
        if encoding is None:
            detail = f"codec {audio.codec} at {rate} Hz is not stored: G.711 and L16 are"
            return [Trouble("unsupported", detail, segment_id)]
        self._open.add(segment_id)
        details: dict[str, object] = {"codec": encoding, "rate": rate, "ptime": audio.ptime}
        if start.HasField("product"):
            details |= {"product_id": start.product.id, "product_type": _name(ProductType, start.product.type)}
        return [
            SegmentStarted(
                segment_id=segment_id,
                encoding=encoding,
                rate_hz=rate,
                participant_type=PARTICIPANTS.get(person.type),
                participant_id=_id(person.id) or None,
                participant_name=_id(person.name) if person.HasField("name") else None,
                details=details,
            )
        ]

    def _media(self, media: SegmentMediaEvent) -> list[Event]:
        segment_id, audio = media.segment_id, media.audio_content
        encoding = self._encodings.get(segment_id, "")
        if encoding == "PCMU":  # nearly always
            return [Chunk(segment_id, 0, audio.seq, audio.payload)]
        if encoding is None:
            return []
        if encoding:
            payload = _swapped(audio.payload) if encoding == "L16" else audio.payload
            return [Chunk(segment_id, 0, audio.seq, payload)]
        if not segment_id or len(segment_id) > ID_LENGTH:
            raise Malformed("media without a segment")
        self._encodings[segment_id] = "PCMU"
        self._open.add(segment_id)
        note = Trouble("start", "media before the start of the segment", segment_id)
        return [note, SegmentStarted(segment_id=segment_id), Chunk(segment_id, 0, audio.seq, audio.payload)]


def _id(text: str) -> str:
    if len(text) > ID_LENGTH:
        raise Malformed("an id of more than 512 characters")
    return text


def _name(kind: type[DialogType] | type[ProductType], number: int) -> str:
    """The name of an enum's value, or the number of one that came later."""
    return kind.Name(number) if number in kind.values() else str(number)


def _swapped(payload: bytes) -> bytes:
    swapped = bytearray(len(payload) // 2 * 2)
    swapped[0::2], swapped[1::2] = payload[1::2], payload[0 : len(swapped) : 2]
    return bytes(swapped)
