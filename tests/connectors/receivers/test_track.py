"""Two channels side by side, in time with each other."""

import os

from connectors.receivers.events import LEFT, RIGHT, Chunk
from connectors.receivers.track import SKEW_S, Track

CHUNK = 160


def chunks(channel: int, audio: bytes) -> list[Chunk]:
    """20 ms each, the last as long as it is."""
    starts = range(0, len(audio), CHUNK)
    return [Chunk("s", channel, number, audio[at : at + CHUNK]) for number, at in enumerate(starts, 1)]


def test_stereo_is_the_agent_left_and_everybody_else_right_sample_for_sample() -> None:
    """Taken at any moment, in any portions."""
    left, right = os.urandom(CHUNK * 50), os.urandom(CHUNK * 50 - 7)
    track, out = Track("PCMU", 8000, 2, 50), b""
    for number, pair in enumerate(zip(chunks(LEFT, left), chunks(RIGHT, right), strict=True)):
        for chunk in pair:
            track.add(chunk)
        if number % 7 == 0:
            out += track.take()
    out += track.finish()
    assert out[0::2] == left
    assert out[1::2] == right + b"\xff" * 7


def test_a_channel_of_which_nothing_comes_is_silent_and_holds_nothing_up() -> None:
    """Memory stays bounded, and what was said is on the disk, when one side sends nothing."""
    left = os.urandom(CHUNK * 50 * (SKEW_S + 3))
    track, out = Track("PCMU", 8000, 2, 50), b""
    for chunk in chunks(LEFT, left):
        track.add(chunk)
        out += track.take()
    assert len(out) == 2 * 8000 * 3
    assert out[1::2] == b"\xff" * len(out[1::2])
    assert (out + track.finish())[0::2] == left


def test_samples_of_two_bytes_are_kept_whole() -> None:
    """L16 may be chunked anywhere."""
    audio = os.urandom(1001)
    track = Track("L16", 8000, 1, 50)
    for number, piece in enumerate((audio[:101], audio[101:501]), 1):
        track.add(Chunk("s", 0, number, piece))
    first = track.take()
    track.add(Chunk("s", 0, 3, audio[501:]))
    assert len(first) == 500
    assert first + track.finish() == audio[:1000]
