"""Mu-law (ITU-T G.711), to and from 16-bit PCM, and the sum of several voices."""

import warnings
from collections.abc import Iterable

with warnings.catch_warnings():  # deprecated in 3.11 and 3.12, gone in 3.13: audioop-lts takes its place there
    warnings.simplefilter("ignore", DeprecationWarning)
    import audioop

SILENCE = b"\xff"  # one sample of positive zero
RATE_HZ = 8000


def encode(pcm: bytes) -> bytes:
    """Mu-law of 16-bit little-endian PCM."""
    return audioop.lin2ulaw(pcm, 2)


def decode(mulaw: bytes) -> bytes:
    """16-bit little-endian PCM of mu-law."""
    return audioop.ulaw2lin(mulaw, 2)


def mixed(voices: Iterable[bytes]) -> bytes:
    """The sum of several voices in PCM, as long as the longest; what is too loud is clipped."""
    total = b""
    for voice in voices:
        length = max(len(total), len(voice))
        total = audioop.add(total.ljust(length, b"\0"), voice.ljust(length, b"\0"), 2)
    return total


def stereo(left: bytes, right: bytes) -> bytes:
    """Two voices in PCM side by side, as long as the longer one."""
    length = max(len(left), len(right))
    sides = audioop.tostereo(left.ljust(length, b"\0"), 2, 1, 0), audioop.tostereo(right.ljust(length, b"\0"), 2, 0, 1)
    return audioop.add(*sides, 2)


def as_telephone(pcm: bytes, *, width: int, channels: int, rate_hz: int) -> bytes:
    """8 kHz, 16-bit, mono PCM of any other PCM: channels are averaged, the rate is converted by interpolation."""
    if width == 1:
        pcm = audioop.bias(pcm, 1, 128)  # WAV's 8-bit samples have no sign
    if width != 2:
        pcm = audioop.lin2lin(pcm, width, 2)
    if channels == 2:
        pcm = audioop.tomono(pcm, 2, 0.5, 0.5)
    elif channels != 1:
        raise ValueError(f"audio with {channels} channels: only 1 and 2 can be read")
    return pcm if rate_hz == RATE_HZ else audioop.ratecv(pcm, 2, 1, rate_hz, RATE_HZ, None)[0]
