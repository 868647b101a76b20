"""What a WAV file says of itself in its first bytes, and whether it is what came. Pure.

Source: RFC 2361, RIFF WAVE.
"""

import struct
from dataclasses import dataclass

from connectors.answers import BadBody

HEAD_BYTES = 65536  # the audio begins within so many
OPEN_ENDED = 0x7FFF0000  # a length from here on, or 0, is of a writer that did not know it
ENCODINGS = {1: "L16", 7: "PCMU", 6: "PCMA"}


@dataclass(frozen=True, slots=True)
class Wav:
    """`encoding` L16 (16-bit PCM), PCMU or PCMA; `audio_bytes` from `audio_at` on."""

    encoding: str
    rate_hz: int
    channels: int
    audio_at: int
    audio_bytes: int
    duration_ms: int


def declared_bytes(head: bytes) -> int | None:
    """How long the file says that it is; None where it does not. Raises BadBody for anything that is no WAV file."""
    if head[:4] != b"RIFF" or head[8:12] != b"WAVE":
        raise BadBody("not a WAV file")
    length = int(struct.unpack_from("<I", head, 4)[0])
    return length + 8 if 0 < length < OPEN_ENDED else None


def read_wav(head: bytes, size: int) -> Wav:
    """The WAV file of `size` bytes that begins with `head`. Raises BadBody where the two do not fit."""
    declared = declared_bytes(head)
    if declared is not None and not declared <= size <= declared + 1:
        raise BadBody(f"a WAV file of {declared} bytes, of which {size} came")
    form: tuple[int, int, int, int, int, int] | None = None
    at = 12
    while at + 8 <= len(head):
        name, length = struct.unpack_from("<4sI", head, at)
        if name == b"fmt " and at + 24 <= len(head):
            form = struct.unpack_from("<HHIIHH", head, at + 8)
        if name == b"data":
            return _with_audio(form, at + 8, length, size)
        at += 8 + length + length % 2
    raise BadBody("a WAV file without audio")


def _with_audio(form: tuple[int, int, int, int, int, int] | None, at: int, length: int, size: int) -> Wav:
    if form is None:
        raise BadBody("a WAV file that does not say how it is encoded")
    code, channels, rate_hz, _, _, bits = form
    if code not in ENCODINGS or channels not in (1, 2) or not 4000 <= rate_hz <= 192_000:
        raise BadBody(f"a WAV file of a kind that is not known here (format {code}, {channels} channels, {rate_hz} Hz)")
    if bits != (16 if code == 1 else 8):
        raise BadBody(f"a WAV file of {bits} bits a sample")
    came = size - at
    audio = length if 0 < length < OPEN_ENDED else came
    if audio > came or audio <= 0:
        raise BadBody(f"a WAV file with {max(audio, 0)} bytes of audio, of which {max(came, 0)} came")
    duration_ms = audio * 1000 // (rate_hz * channels * bits // 8)
    return Wav(ENCODINGS[code], rate_hz, channels, at, audio, duration_ms)
