"""WAV files that a crash cannot spoil, read by parsers that are not ours."""

import base64
import os
import shutil
import struct
import wave
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from selenium import webdriver

from sinks.audio import AudioError, WavFile, describe, digest, header, repair
from tests.browser import driver

__all__ = ["driver"]  # a fixture


def riff(content: bytes) -> dict[bytes, bytes]:
    """The chunks of a RIFF file, read as its specification has it: strictly."""
    assert content[:4] == b"RIFF"
    assert content[8:12] == b"WAVE"
    assert struct.unpack_from("<I", content, 4)[0] == len(content) - 8
    chunks, at = {}, 12
    while at < len(content):
        name, size = struct.unpack_from("<4sI", content, at)
        chunks[name] = content[at + 8 : at + 8 + size]
        assert len(chunks[name]) == size
        at += 8 + size + size % 2
    assert at == len(content)
    return chunks


@pytest.mark.parametrize(("encoding", "tag", "bits"), [("PCMU", 7, 8), ("PCMA", 6, 8), ("L16", 1, 16)])
@pytest.mark.parametrize("channels", [1, 2])
def test_a_file_holds_what_was_written_and_its_header_says_so(
    encoding: str, tag: int, bits: int, channels: int, tmp_path: Path
) -> None:
    """At every moment, not only when it is closed: an odd number of bytes, too."""
    path, audio = tmp_path / "a.wav", os.urandom(bits // 8 * channels * 801)
    frame = bits // 8 * channels
    with WavFile(path, encoding, 8000, channels) as file:
        file.append(audio[: frame * 400])
        assert riff(path.read_bytes())[b"data"] == audio[: frame * 400]
        file.append(audio[frame * 400 :])
        file.sync()
    chunks = riff(path.read_bytes())
    assert chunks[b"data"] == audio
    layout = (tag, channels, 8000, 8000 * frame, frame, bits)
    assert struct.unpack_from("<HHIIHH", chunks[b"fmt "]) == layout
    assert chunks.get(b"fact", struct.pack("<I", 801)) == struct.pack("<I", 801)
    assert file.sound == describe(path)
    assert (describe(path).duration_ms, describe(path).size_bytes) == (100, path.stat().st_size)


def test_pythons_own_reader_opens_pcm(tmp_path: Path) -> None:
    """It knows no G.711, but is strict about the rest."""
    with WavFile(tmp_path / "a.wav", "L16", 16000, 2) as file:
        file.append(bytes(range(200)))
    with wave.open(str(tmp_path / "a.wav")) as opened:
        assert opened.getparams()[:4] == (2, 2, 16000, 50)
        assert opened.readframes(50) == bytes(range(200))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)
@given(written=st.integers(0, 300), told=st.integers(0, 300), channels=st.integers(1, 2))
def test_a_file_cut_anywhere_is_made_whole(written: int, told: int, channels: int, tmp_path: Path) -> None:
    """Whatever the header says, the audio that is there is kept, up to the last whole frame."""
    path, audio = tmp_path / "cut.wav", os.urandom(written)
    path.write_bytes(header("PCMU", 8000, channels, told // channels * channels) + audio)
    sound = repair(path)
    kept = riff(path.read_bytes())[b"data"]
    assert sound == describe(path)
    assert kept[: written - written % channels] == audio[: len(kept)][: written - written % channels]
    assert len(kept) == sound.audio_bytes <= written


def test_a_file_that_is_whole_is_left_as_it_is(tmp_path: Path) -> None:
    """Repairing twice, or after a clean end, changes nothing: its digest is on record."""
    path = tmp_path / "a.wav"
    with WavFile(path, "PCMU", 8000, 1) as file:
        file.append(b"abc")
    before = digest(path), path.stat().st_mtime_ns
    repair(path)
    assert (digest(path), path.stat().st_mtime_ns) == before


@pytest.mark.parametrize("content", [b"", b"RIFF", b"not audio" * 20, header("PCMU", 8000, 1, 0)[:40]])
def test_what_is_no_file_of_ours_is_refused_and_left_alone(content: bytes, tmp_path: Path) -> None:
    """A repair writes into files: it must know what they are."""
    path = tmp_path / "other.wav"
    path.write_bytes(content)
    with pytest.raises(AudioError, match=r"other\.wav"):
        repair(path)
    assert path.read_bytes() == content


def test_a_second_file_does_not_take_the_place_of_the_first(tmp_path: Path) -> None:
    """Audio is never overwritten."""
    WavFile(tmp_path / "a.wav", "PCMU", 8000, 1).close()
    with pytest.raises(FileExistsError):
        WavFile(tmp_path / "a.wav", "PCMU", 8000, 1)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_keeps_what_was_written_and_the_same_audio_may_be_given_again(tmp_path: Path) -> None:
    """The disk's room may come back while the call goes on."""
    path = tmp_path / "a.wav"
    file = WavFile(path, "PCMU", 8000, 1)
    file.append(b"a" * 100)
    full, mine = os.open("/dev/full", os.O_WRONLY), os.dup(file._handle)
    os.dup2(full, file._handle)
    with pytest.raises(OSError, match="No space"):
        file.append(b"b" * 100)
    os.dup2(mine, file._handle)
    os.close(full)
    os.close(mine)
    file.append(b"b" * 100)
    file.close()
    assert riff(path.read_bytes())[b"data"] == b"a" * 100 + b"b" * 100
    shutil.rmtree(tmp_path)


DECODE = """
const done = arguments[1], bytes = Uint8Array.from(atob(arguments[0]), c => c.charCodeAt(0));
new OfflineAudioContext(2, 8000, 8000).decodeAudioData(bytes.buffer).then(
    heard => done([heard.numberOfChannels, heard.length, ...Array.from({length: heard.numberOfChannels},
        (_, n) => Array.from(heard.getChannelData(n).slice(0, 200), x => Math.round(x * 32768)))]),
    error => done(String(error)));
"""


@pytest.mark.slow
@pytest.mark.parametrize("cut", [False, True], ids=["whole", "of a killed process"])
def test_a_browser_plays_stereo_mulaw_sample_for_sample(
    driver: webdriver.Chrome,
    cut: bool,
    tmp_path: Path,
) -> None:
    """An ordinary player with a decoder of its own; also of a file that nobody closed or repaired."""
    left, right = bytes(range(200)), bytes(range(55, 255))
    file = WavFile(tmp_path / "a.wav", "PCMU", 8000, 2)
    file.append(b"".join(bytes(pair) for pair in zip(left, right, strict=True)))
    content = base64.b64encode((tmp_path / "a.wav").read_bytes()).decode() if cut else ""
    file.close()
    driver.get("about:blank")
    content = content or base64.b64encode((tmp_path / "a.wav").read_bytes()).decode()
    heard = driver.execute_async_script(DECODE, content)
    assert heard[:2] == [2, 200]
    for channel, codes in zip(heard[2:], (left, right), strict=True):
        assert channel == pytest.approx([linear(code) for code in codes], abs=1)  # it counts in floating point


def linear(code: int) -> int:
    """One sample of G.711 mu-law as 16 bits, as the recommendation has it."""
    inverted = ~code & 0xFF
    size = (((inverted & 0x0F) << 3) + 0x84 << (inverted >> 4 & 7)) - 0x84
    return -size if inverted & 0x80 else size
