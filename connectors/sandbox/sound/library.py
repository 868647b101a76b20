"""What a segment sounds like, and what is said in it: real recordings from a folder, or tones.

A *sound* is one recording with its *lines*; a line is one thing that somebody says. The library remembers the audio
that it has handed out, so that speech to text, which is given nothing but audio, can be told what was said in it.
"""

import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from connectors.sandbox.faults import draw
from connectors.sandbox.model import Phrase, Segment
from connectors.sandbox.sound.g711 import decode, encode, mixed, stereo
from connectors.sandbox.sound.tones import tone_pcm
from connectors.sandbox.sound.wav import pcm_of_wav, wav_of_pcm

REMEMBERED = 10_000  # recordings
ROLES = {"agent": "agent", "customer": "contact", "contact": "contact"}
TONE_WORDS = [
    "alpha",
    "bravo",
    "charlie",
    "delta",
    "echo",
    "foxtrot",
    "golf",
    "hotel",
    "india",
    "juliet",
    "kilo",
    "lima",
    "mike",
    "november",
]


class Said(NamedTuple):
    """One thing that is said; without a time (None) it has its share of the audio, by its length."""

    role: str
    text: str
    start_s: float | None = None


class Sound(NamedTuple):
    """One recording: `pcm` is everybody together, or the agent alone if there is `other`, the rest."""

    name: str
    pcm: bytes
    lines: tuple[Said, ...]
    other: bytes = b""

    def wav(self, channels: int) -> bytes:
        """The WAV file: everybody on one channel, or the agent on the left of two."""
        if channels == 2:
            return wav_of_pcm(stereo(self.pcm, self.other or self.pcm), 2)
        return wav_of_pcm(mixed((self.pcm, self.other)) if self.other else self.pcm)


class Library:
    """Sounds by segment; `folder` holds WAV files, some with a transcript (the corpus' JSON) beside them.

    Raises OSError or ValueError when a file in the folder cannot be read.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._sounds = [sound_of(path) for path in sorted(folder.glob("*.wav"))] if folder else []
        self._said: dict[bytes, tuple[Said, ...]] = {}
        for sound in self._sounds:
            self.remember(sound.pcm, sound.lines)

    def of_segment(self, segment: Segment) -> Sound:
        """The sound of a segment: always the same; tones say the segment's own phrases if it has a transcript.

        What a recording from the folder says stays, since many segments may sound like it.
        """
        sound = self.named("/".join(segment.key))
        return sound if self._sounds or not segment.phrases else sound._replace(lines=_spoken(segment))

    def named(self, name: str) -> Sound:
        """A sound for a name: one of the folder's, or two voices in tones, two to four seconds."""
        point = draw(0, "sound", name)
        if self._sounds:
            return self._sounds[int(point * len(self._sounds))]
        seconds = 2 + 2 * point
        words = [TONE_WORDS[int(draw(0, "word", name, at) * len(TONE_WORDS))] for at in range(8)]
        lines = (Said("agent", " ".join(words[:4])), Said("contact", " ".join(words[4:])))
        return Sound(name, tone_pcm(f"{name} agent", seconds), lines, tone_pcm(f"{name} contact", seconds))

    def wav(self, sound: Sound, channels: int) -> bytes:
        """The WAV file of a sound, which is remembered."""
        made = sound.wav(channels)
        self.remember(pcm_of_wav(made), sound.lines)
        return made

    def remember(self, pcm: bytes, lines: Sequence[Said]) -> None:
        """Note what is said in some audio, in PCM, and as it comes back from a telephone line."""
        while len(self._said) >= REMEMBERED:
            self._said.pop(next(iter(self._said)))
        self._said[_digest(pcm)] = self._said[_digest(decode(encode(pcm)))] = tuple(lines)

    def lines(self, wav: bytes) -> tuple[tuple[Said, ...], float]:
        """What is said in a WAV file, and its length in seconds; words that hang on nothing but the audio if unknown.

        Raises ValueError for what is no PCM WAV file.
        """
        pcm = pcm_of_wav(wav)
        digest = _digest(pcm)
        return self._said.get(digest) or Library().named(digest.hex()).lines, len(pcm) / 16000


def _digest(pcm: bytes) -> bytes:
    return hashlib.blake2b(pcm, digest_size=16).digest()


class _Turn(msgspec.Struct):
    role: str
    text: str
    offset_ms: int | None = None


class _Transcript(msgspec.Struct):
    turns: list[_Turn]


def sound_of(path: Path) -> Sound:
    """A WAV file, with the transcript (the corpus' JSON) that is beside it, else words that stand for what is said."""
    beside = path.with_suffix(".json")
    lines: Iterable[Said] = ()
    if beside.exists():
        turns = msgspec.json.decode(beside.read_bytes(), type=_Transcript).turns
        lines = (Said(ROLES.get(turn.role, turn.role), turn.text, _seconds(turn.offset_ms)) for turn in turns)
    sound = Sound(path.stem, pcm_of_wav(path), tuple(lines))
    return sound if sound.lines else sound._replace(lines=Library().named(path.stem).lines)


def _seconds(offset_ms: int | None) -> float | None:
    return None if offset_ms is None else offset_ms / 1000


def _spoken(segment: Segment) -> tuple[Said, ...]:
    def role(phrase: Phrase) -> str:
        return "agent" if phrase.participant_id == segment.participant_id else "contact"

    return tuple(Said(role(phrase), phrase.message) for phrase in segment.phrases)
