"""How much of anything one caller may have: whatever is beyond is refused or ended, and others do not notice."""

from dataclasses import dataclass

ID_LENGTH = 512  # characters of an id of the platform's


@dataclass(frozen=True, slots=True)
class Bounds:
    """Bounds on calls. Times in seconds."""

    calls: int = 500  # at once, over both transports
    segments: int = 64  # of one call, from its beginning to its end
    message_bytes: int = 65536
    malformed: int = 10  # messages of one call that may be left out; one more ends it
    notes: int = 1000  # events of one call that are no audio and are told; more are left out
    idle_s: float = 60.0  # without any message
    call_s: float = 14400.0
    handshake_s: float = 10.0  # from the connection to the end of its handshake
