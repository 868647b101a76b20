"""What an engine is given and what it gives back."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Track:
    """One channel (from 0) of a WAV file, and how long after the earliest of its fellows it begins. ms."""

    path: Path
    channel: int = 0
    starts_ms: int = 0


@dataclass(frozen=True, slots=True)
class Heard:
    """One utterance: between which ms of the whole (`starts_ms` of its track included), in which track, how surely."""

    start_ms: int
    end_ms: int
    track: int
    text: str
    confidence: float | None = None


@dataclass(frozen=True, slots=True)
class Transcription:
    """Everything that was heard, by time. `audio_ms`: how much audio there was, the longest track."""

    heard: tuple[Heard, ...]
    audio_ms: int

    @property
    def confidence(self) -> float | None:
        """The mean of its utterances'; None where the engine gave none."""
        known = [one.confidence for one in self.heard if one.confidence is not None]
        return sum(known) / len(known) if known else None


def by_time(heard: list[Heard], audio_ms: int) -> Transcription:
    """The utterances of all tracks in the order in which they began."""
    return Transcription(tuple(sorted(heard, key=lambda one: (one.start_ms, one.track, one.end_ms))), audio_ms)
