"""The engine of the package, on a few seconds of a real call."""

import asyncio
from pathlib import Path

import pytest

from connectors.errors import Rejected
from connectors.speech import Track, Transcription
from connectors.speech.audio import pieces
from connectors.speech.listener import LONGEST_S, stretches
from connectors.speech.pocketsphinx import PocketSphinx
from tests.connectors.speech.sounds import CALL, call, tone, wav

real = pytest.mark.skipif(not CALL.exists(), reason="the corpus is not here")


def hear(*tracks: Track, language: str = "en-US") -> Transcription:
    """What the engine hears."""
    return asyncio.run(PocketSphinx().transcribe(tracks, language))


@real
def test_both_sides_of_a_stereo_call_are_heard_by_time(tmp_path: Path) -> None:
    """Each channel on its own, with times in the whole; silence is nothing."""
    path = wav(tmp_path / "call.wav", call(4.2, 9.2), tone(5, 0) + call(15, 17.2), mulaw=True)
    heard = hear(Track(path, 0), Track(path, 1, starts_ms=100))
    assert [one.track for one in heard.heard] == [0, 1]
    first, second = heard.heard
    assert "wondering" in first.text
    assert "black" in second.text
    assert 0 <= first.start_ms < 1500
    assert 4000 < first.end_ms <= 5100
    assert 5100 <= second.start_ms < second.end_ms <= heard.audio_ms
    assert heard.audio_ms == 7300
    assert 0 < (heard.confidence or 0) <= 1


def test_silence_is_no_utterance(tmp_path: Path) -> None:
    """A muted side is usual, and is done quickly."""
    assert hear(Track(wav(tmp_path / "mute.wav", tone(2, 0)))) == Transcription((), 2000)


def test_what_goes_on_without_a_pause_is_cut(tmp_path: Path) -> None:
    """Music on hold for an hour must not be held in memory, nor be one utterance."""
    voice = b"".join(tone(0.02, hertz) for _ in range(3) for hertz in range(300, 3300, 6))
    path = wav(tmp_path / "hold.wav", voice * 2)
    found = list(stretches(path, 0))
    assert max(len(samples) for _, samples in found) <= (LONGEST_S + 1) * 32_000
    begins = [begin for begin, _ in found]
    assert begins == sorted(set(begins))


def test_samples_are_the_channels_own(tmp_path: Path) -> None:
    """PCM and G.711 alike; the left one is the agent's."""
    left, right = tone(0.5, 440), tone(0.5, 880, loudness=4000)
    path = wav(tmp_path / "two.wav", left, right)
    assert [b"".join(pieces(path, side, 8000, seconds=0.13)) for side in (0, 1)] == [left, right]
    coded = wav(tmp_path / "coded.wav", left, right, mulaw=True)
    mono = wav(tmp_path / "mono.wav", right, mulaw=True)
    assert b"".join(pieces(coded, 1, 8000)) == b"".join(pieces(mono, 0, 8000))
    assert len(b"".join(pieces(mono, 0, 16_000))) == pytest.approx(2 * len(right), abs=8)


UNFIT = {
    "no file": (None, "cannot be read"),
    "no WAV": (b"not audio at all", "not a WAV file"),
    "empty": (b"", "not a WAV file"),
    "no samples": (b"RIFF\x04\x00\x00\x00WAVE", "without audio"),
}


@pytest.mark.parametrize("name", UNFIT)
def test_an_unfit_file_is_refused_with_its_reason(tmp_path: Path, name: str) -> None:
    """It will be no better the next time: the job ends, and says why."""
    content, said = UNFIT[name]
    path = tmp_path / "a.wav"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(Rejected, match=said):
        hear(Track(path))


def test_another_language_is_refused() -> None:
    """Its model knows English only, and would hear English words in anything."""
    with pytest.raises(Rejected, match="English only, not de-DE"):
        hear(language="de-DE")


def test_a_run_that_is_cancelled_leaves_no_process(tmp_path: Path) -> None:
    """Minutes of work that nobody waits for any more."""
    path = wav(tmp_path / "long.wav", tone(60, 300) + tone(60, 0))

    async def cancelled() -> None:
        work = asyncio.create_task(PocketSphinx().transcribe([Track(path)], "en-US"))
        await asyncio.wait([work], timeout=0.2)
        work.cancel()
        with pytest.raises(asyncio.CancelledError):
            await work

    asyncio.run(cancelled())  # a process that is still alive would warn when the loop closes
