"""The script of a call: who speaks when, what goes wrong, and the tracks that a receiver gets of it. Pure.

Source: seeds 001 and 002 (WebSocket), ringcx-api.md, *Call streaming* (gRPC).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from connectors.sandbox.sound.g711 import SILENCE, decode, encode, mixed

Transport = Literal["wss", "grpc"]
CHUNK_MS = {"wss": 20, "grpc": 100}
SAMPLES_PER_MS = 8
AGENT_SIDE, OTHER_SIDE = "Participant", "Conference"


@dataclass(frozen=True, kw_only=True)
class Trouble:
    """What goes wrong in a call; the same seed goes wrong in the same way.

    The first and the last chunk of a track are never lost, late or doubled, so that a receiver can know of every loss.
    `late_by` chunks of the same track overtake a late one. `oversized_at_ms` sends one chunk of `oversized_bytes` more
    than the script has. `silent` connects and sends nothing, `quiet_after_ms` falls silent later; both keep the
    connection, and a `deaf` caller then does not even answer pings (WebSocket only). `endless` plays the audio over and
    over. `hang_up_at_ms` drops the connection then, without a Stop; -1: after all audio.
    """

    seed: int = 0
    lost_share: float = 0
    late_share: float = 0
    late_by: int = 3
    doubled_share: float = 0
    wrong_token: bool = False
    malformed_at_ms: int | None = None
    oversized_at_ms: int | None = None
    oversized_bytes: int = 2_000_000
    silent: bool = False
    deaf: bool = False
    quiet_after_ms: int | None = None
    endless: bool = False
    hang_up_at_ms: int | None = None


@dataclass(frozen=True, kw_only=True, repr=False)
class Speaker:
    """One participant of a call. `audio` is mu-law, from `starts_ms` on; holds are (from, to) in ms of the call.

    A hold is told, and does not interrupt the audio: what the platform does with it is unknown.
    """

    segment_id: str
    kind: Literal["AGENT", "CONTACT", "BOT"]
    audio: bytes
    starts_ms: int = 0
    participant_id: str = ""
    name: str | None = None
    holds: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True, kw_only=True, repr=False)
class CallScript:
    """All of one call, as one receiver gets it.

    On a WebSocket `dialog_id` is the callId and `segment_id` the sessionId; that segment's agent is the Participant,
    everybody else together the Conference. `began` (epoch seconds) dates the Stop messages. `chunk_ms` of None is the
    transport's own: 20 on a WebSocket, 100 on gRPC. Numbering chunks from 1 is an assumption for gRPC.
    """

    dialog_id: str
    segment_id: str
    speakers: tuple[Speaker, ...]
    session_id: str = ""
    sub_account_id: str = "99999999"
    main_account_id: str = "99990000"
    rc_account_id: str = "980634004"
    ani: str = "+16504131116"
    dnis: str = "+16505551001"
    agent_id: int = 123
    product_type: str = "QUEUE"
    product_id: int = 1234
    is_outbound: bool = False
    language: str | None = None
    attributes: Mapping[str, str] = field(default_factory=dict)
    began: float = 0
    chunk_ms: int | None = None
    first_seq: int = 1
    trouble: Trouble = field(default_factory=Trouble)

    @property
    def session(self) -> str:
        """The id of the gRPC session."""
        return self.session_id or f"{self.dialog_id}/{self.segment_id}"

    def chunk_bytes(self, transport: Transport) -> int:
        """The size of a chunk that is not the last of its track."""
        return SAMPLES_PER_MS * (self.chunk_ms or CHUNK_MS[transport])


class Track(NamedTuple):
    """One line of audio: mu-law from `starts_ms` on; `speaker` is None for a mix."""

    name: str
    audio: bytes
    starts_ms: int
    speaker: Speaker | None


def tracks(script: CallScript, transport: Transport) -> tuple[Track, ...]:
    """The tracks of a call: on a WebSocket two perspectives from the call's beginning, on gRPC one for each speaker."""
    if transport == "grpc":
        return tuple(Track(who.segment_id, who.audio, who.starts_ms, who) for who in script.speakers)
    own = [who for who in script.speakers if who.segment_id == script.segment_id and who.kind != "CONTACT"]
    rest = [who for who in script.speakers if who not in own]
    return Track(AGENT_SIDE, _together(own), 0, None), Track(OTHER_SIDE, _together(rest), 0, None)


def _together(speakers: list[Speaker]) -> bytes:
    voices = [SILENCE * (who.starts_ms * SAMPLES_PER_MS) + who.audio for who in speakers]
    return voices[0] if len(voices) == 1 else encode(mixed(map(decode, voices)))
