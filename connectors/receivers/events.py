"""What happens on a call, whichever way it came. Frozen. Texts are as the platform sent them: data, never paths."""

from enum import Enum
from typing import Literal

import msgspec

Origin = Literal["wss", "grpc"]
Encoding = Literal["PCMU", "PCMA", "L16"]
LEFT, RIGHT = 0, 1  # the agent's channel of a stereo segment, and everybody else's


class CallStarted(msgspec.Struct, frozen=True, kw_only=True):
    """A call is being streamed; `details`: all that was said of it, without secrets."""

    origin: Origin
    session_id: str
    sub_account_id: str
    dialog_id: str
    ani: str | None = None
    dnis: str | None = None
    details: dict[str, object] = {}


class SegmentStarted(msgspec.Struct, frozen=True, kw_only=True):
    """Audio of this segment follows; `channels` 2: agent left, all others right."""

    segment_id: str
    encoding: Encoding = "PCMU"
    rate_hz: int = 8000
    channels: int = 1
    participant_type: str | None = None
    participant_id: str | None = None
    participant_name: str | None = None
    details: dict[str, object] = {}


class Chunk(msgspec.Struct, frozen=True, gc=False):
    """Audio of one channel; `seq` tells its place among that channel's chunks."""

    segment_id: str
    channel: int
    seq: int
    audio: bytes


class Info(msgspec.Struct, frozen=True):
    """Something about a segment that is no audio: hold, unhold, ..."""

    segment_id: str
    event: str
    data: str | None = None


class SegmentStopped(msgspec.Struct, frozen=True):
    """No more audio of this segment is to come, says the platform."""

    segment_id: str
    details: dict[str, object] = {}


class Trouble(msgspec.Struct, frozen=True):
    """A message that was left out, and why; the call goes on."""

    kind: str
    detail: str
    segment_id: str = ""


class CallEnded(msgspec.Struct, frozen=True):
    """Nothing more comes. `cause`: None when the platform ended it, else why it was cut."""

    cause: str | None = None


Event = CallStarted | SegmentStarted | Chunk | Info | SegmentStopped | Trouble | CallEnded


class Cause(Enum):
    """Why we hang up, or do not take a call at all."""

    NO_TOKEN = "no token"  # noqa: S105 - a reason
    WRONG_TOKEN = "wrong token"  # noqa: S105 - a reason
    FULL = "too many calls at once"
    IDLE = "nothing came for too long"
    TOO_LONG = "the call is longer than allowed"
    MALFORMED = "too many malformed messages"
    OVERSIZED = "a message is larger than allowed"
    NOT_IDENTIFIED = "the call does not say which dialog it is"
    UNSUPPORTED = "audio in an encoding that is not stored: G.711 and L16 are"
    TOO_MANY_SEGMENTS = "too many segments in one call"
    STOPPING = "the receiver is stopping"


class HungUp(Exception):
    """We end this call, and why."""

    def __init__(self, cause: Cause) -> None:
        super().__init__(cause.value)
        self.cause = cause


class Malformed(Exception):
    """A message that cannot be understood; the text says why, without the message."""
