"""Speech to text on this machine, offline, with the model that comes in pocketsphinx's package. English only.

A track is heard by a process of its own (`listener`), which is killed when the run is cancelled or it takes too long.
Measured on one call of 45 s over the telephone, as mu-law: 0.13 s of CPU time a second of audio, and 69 of 100 words
wrong. Narrower filters, other beams and language weights, and an upper band made up from the lower one were no better:
good for finding out that somebody called about a refund, not for reading.
"""

import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec

from connectors.errors import Rejected, Unavailable
from connectors.speech.audio import look
from connectors.speech.records import Heard, Track, Transcription, by_time

SOURCE = "pocketsphinx"
PATIENCE_S = 60.0  # for starting, and for the slowest machine: as many seconds again as there is audio


class _Line(msgspec.Struct):
    start_ms: int
    end_ms: int
    text: str
    confidence: float


class PocketSphinx:
    """The engine that needs no account. `processes`: tracks heard at once."""

    source = SOURCE

    def __init__(self, processes: int = 1) -> None:
        self._places = asyncio.Semaphore(processes)

    async def transcribe(self, tracks: Sequence[Track], language: str) -> Transcription:
        """Everything that is said in these tracks. Raises Rejected for another language or an unfit file."""
        if language.lower().partition("-")[0] != "en":
            raise Rejected(f"speech: pocketsphinx hears English only, not {language}: choose another engine")
        sounds = [await asyncio.to_thread(look, track.path) for track in tracks]
        audio_ms = max((track.starts_ms + s.duration_ms for track, s in zip(tracks, sounds, strict=True)), default=0)
        heard: list[Heard] = []
        for number, (track, sound) in enumerate(zip(tracks, sounds, strict=True)):
            async with self._places:
                heard += await self._hear(number, track, sound.duration_ms)
        return by_time(heard, audio_ms)

    async def _hear(self, number: int, track: Track, duration_ms: int) -> list[Heard]:
        command = [sys.executable, "-W", "ignore", "-m", "connectors.speech.listener", str(track.path.resolve())]
        pipe, root = asyncio.subprocess.PIPE, Path(__file__).parents[2]
        process = await asyncio.create_subprocess_exec(*command, str(track.channel), stdout=pipe, stderr=pipe, cwd=root)
        try:
            async with asyncio.timeout(PATIENCE_S + 2 * duration_ms / 1000):
                out, said = await process.communicate()
        except TimeoutError:
            raise Unavailable(f"speech: pocketsphinx took too long with {track.path.name}") from None
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        if process.returncode:
            reason = said.decode("utf-8", "replace").strip().rpartition("\n")[2][:300]
            kind = Rejected if process.returncode == 1 else Unavailable
            raise kind(reason or f"speech: pocketsphinx ended with {process.returncode} on {track.path.name}")
        return [_heard(number, track, raw) for raw in out.splitlines()]


def _heard(number: int, track: Track, raw: bytes) -> Heard:
    line = msgspec.json.decode(raw, type=_Line)
    return Heard(
        track.starts_ms + line.start_ms, track.starts_ms + line.end_ms, number, line.text, round(line.confidence, 4)
    )
