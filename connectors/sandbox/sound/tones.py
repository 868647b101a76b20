"""Generated voices: a tone that comes and goes like somebody who speaks, another one for each name."""

import math
from array import array

from connectors.sandbox.faults import draw
from connectors.sandbox.sound.g711 import RATE_HZ, encode

LOUDNESS = 9000  # of 32767
WORDS = 64  # until a voice says the same again


def tone(name: str, seconds: float) -> bytes:
    """Mu-law of so many seconds; the same name always sounds the same."""
    return encode(tone_pcm(name, seconds))


def tone_pcm(name: str, seconds: float) -> bytes:
    """16-bit PCM of so many seconds: words of a fifth of a second, each at a pitch of its own."""
    samples = round(seconds * RATE_HZ)
    word = RATE_HZ // 5
    pitches_hz = (
        200 + round(700 * draw(0, "pitch", name, number)) for number in range(min(WORDS, -(-samples // word)))
    )
    once = b"".join(_word(pitch_hz, word) for pitch_hz in pitches_hz)
    return (once * (samples * 2 // max(1, len(once)) + 1))[: samples * 2]


def _word(pitch_hz: int, samples: int) -> bytes:
    swell = math.pi / samples
    turn = 2 * math.pi * pitch_hz / RATE_HZ
    values = (round(LOUDNESS * math.sin(at * swell) * math.sin(at * turn)) for at in range(samples))
    return array("h", values).tobytes()
