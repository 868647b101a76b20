"""What a WAV file says of itself, and whether it is believed."""

import io
import struct
import wave

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.answers import BadBody
from connectors.wav import declared_bytes, read_wav


def wav_file(frames: int = 800, rate: int = 8000, channels: int = 1) -> bytes:
    """A file of Python's own writer."""
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setnchannels(channels)
        writer.setsampwidth(2)
        writer.setframerate(rate)
        writer.writeframes(b"\x01\x00" * frames * channels)
    return file.getvalue()


def with_chunks(form: bytes, *chunks: tuple[bytes, bytes], length: int | None = None) -> bytes:
    """A RIFF file of a format chunk and others."""
    body = b"WAVE" + b"".join(
        name + struct.pack("<I", len(data)) + data + b"\0" * (len(data) % 2)
        for name, data in ((b"fmt ", form), *chunks)
    )
    return b"RIFF" + struct.pack("<I", len(body) if length is None else length) + body


MULAW = struct.pack("<HHIIHHH", 7, 2, 8000, 16000, 2, 8, 0)
PCM = struct.pack("<HHIIHH", 1, 1, 8000, 16000, 2, 16)


@pytest.mark.parametrize(("rate", "channels"), [(8000, 1), (16000, 2), (44100, 2)])
def test_a_plain_file_is_read_as_it_is(rate: int, channels: int) -> None:
    """Against Python's own writer, which shares no mistake with us."""
    content = wav_file(rate, rate, channels)
    found = read_wav(content, len(content))
    assert (found.encoding, found.rate_hz, found.channels, found.duration_ms) == ("L16", rate, channels, 1000)
    assert found.audio_bytes == len(content) - found.audio_at


def test_other_chunks_and_mu_law_are_understood() -> None:
    """Some writers put a chunk of their own before the audio, of an odd length even."""
    content = with_chunks(MULAW, (b"LIST", b"odd"), (b"data", b"\xff" * 1600))
    found = read_wav(content, len(content))
    assert (found.encoding, found.channels, found.duration_ms) == ("PCMU", 2, 100)


@pytest.mark.parametrize("length", [0, 0xFFFFFFFF, 0x7FFFFFFF])
def test_a_writer_that_did_not_know_the_length_is_believed_the_rest(length: int) -> None:
    """A server that streams as it encodes cannot know it; then what came is what there is."""
    content = with_chunks(PCM, (b"data", b"\x00" * 1600), length=length)
    at = content.index(b"data") + 4
    content = content[:at] + struct.pack("<I", length) + content[at + 4 :]
    assert declared_bytes(content) is None
    assert read_wav(content, len(content)).duration_ms == 100


GOOD = wav_file()
BAD = {
    "empty": b"",
    "web-page": b"<html><body>Sorry, something went wrong</body></html>",
    "cut": GOOD[:-2],
    "more": GOOD + b"more",
    "only-a-header": with_chunks(PCM, (b"data", b"")),
    "no-format": b"RIFF" + struct.pack("<I", 14) + b"WAVEdata" + struct.pack("<I", 2) + b"\0\0",
    "no-audio": with_chunks(PCM),
    "mp3-inside": with_chunks(struct.pack("<HHIIHH", 85, 1, 8000, 1000, 1, 0), (b"data", b"1234")),
    "eight-bits": with_chunks(struct.pack("<HHIIHH", 1, 1, 8000, 8000, 1, 8), (b"data", b"1234")),
    "no-rate": with_chunks(struct.pack("<HHIIHH", 1, 1, 0, 0, 2, 16), (b"data", b"1234")),
}


@pytest.mark.parametrize("content", BAD.values(), ids=BAD.keys())
def test_what_does_not_fit_is_refused(content: bytes) -> None:
    """Nothing that a player would choke on is stored."""
    with pytest.raises(BadBody):
        read_wav(content, len(content))


@given(st.binary(max_size=200))
def test_nothing_else_is_ever_raised(tail: bytes) -> None:
    """Bytes from outside are never a traceback."""
    content = GOOD[:12] + tail
    try:
        found = read_wav(content, len(content))
    except BadBody:
        return
    assert found.duration_ms >= 0
