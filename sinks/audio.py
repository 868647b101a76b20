"""Audio -> WAV files that a crash cannot spoil. G.711 and PCM as they came, one channel or two.

The header is written with the file, and again after every write, when the audio that it speaks of is there: a file of
a killed process is a whole WAV file that may have a little more audio at its end than it says. `repair` makes that
audio part of it.

Source: Microsoft's *Multiple channel audio data and WAVE files*, *WAVEFORMATEX*; a `fact` chunk is wanted of all
formats but PCM.
"""

import hashlib
import os
import struct
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from sinks.durable import flush

PCM, ALAW, MULAW = 1, 6, 7
FORMATS = {"L16": (PCM, 2), "PCMA": (ALAW, 1), "PCMU": (MULAW, 1)}  # encoding -> format tag, bytes of a sample
LARGEST = 2**32 - 1024  # bytes of audio in a WAV file: its sizes have 32 bits


class AudioError(Exception):
    """A file that is no WAV file of ours, or that has no room for more; the message names it."""


@dataclass(frozen=True, slots=True)
class Sound:
    """What a WAV file holds."""

    encoding: str
    rate_hz: int
    channels: int
    audio_bytes: int
    size_bytes: int

    @property
    def duration_ms(self) -> int:
        """How long it takes to play."""
        return self.audio_bytes * 1000 // (self.rate_hz * self.channels * FORMATS[self.encoding][1])


class WavFile:
    """A WAV file that grows. Raises FileExistsError where there is one already, OSError when the disk fails."""

    def __init__(self, path: Path, encoding: str, rate_hz: int, channels: int) -> None:
        self.path = path
        self._format = (encoding, rate_hz, channels)
        self._start = len(header(*self._format, 0))
        self._audio_bytes = 0
        self._handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o640)
        self._head()

    @property
    def sound(self) -> Sound:
        """What is in it now."""
        size = self._start + self._audio_bytes
        return Sound(*self._format, self._audio_bytes, size + size % 2)

    def append(self, audio: bytes) -> None:
        """Whole frames at its end. After an OSError the same audio may be given again: it takes the same place."""
        if self._audio_bytes + len(audio) > LARGEST:
            raise AudioError(f"{self.path.name} is full: a WAV file holds 4 GB")
        _write(self._handle, audio, self._start + self._audio_bytes)
        self._audio_bytes += len(audio)
        self._head()

    def sync(self) -> None:
        """Have the disk keep what was appended, also through a power cut."""
        os.fsync(self._handle)

    def close(self) -> Sound:
        """Make it whole and durable, its folder's entry included."""
        if self._handle >= 0:
            if self._audio_bytes % 2:
                _write(self._handle, b"\0", self._start + self._audio_bytes)
            os.fsync(self._handle)
            os.close(self._handle)
            self._handle = -1
            flush(self.path.parent)
        return self.sound

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _head(self) -> None:
        _write(self._handle, header(*self._format, self._audio_bytes), 0)


def header(encoding: str, rate_hz: int, channels: int, audio_bytes: int) -> bytes:
    """Everything before the audio: 44 bytes for PCM, 58 for G.711."""
    tag, sample = FORMATS[encoding]
    frame = sample * channels
    layout = struct.pack("<HHIIHH", tag, channels, rate_hz, rate_hz * frame, frame, 8 * sample)
    if tag == PCM:
        chunks = b"fmt " + struct.pack("<I", len(layout)) + layout
    else:
        chunks = b"fmt " + struct.pack("<I", len(layout) + 2) + layout + b"\0\0"
        chunks += b"fact" + struct.pack("<II", 4, audio_bytes // frame)
    body = 4 + len(chunks) + 8 + audio_bytes + audio_bytes % 2
    return b"RIFF" + struct.pack("<I", body) + b"WAVE" + chunks + b"data" + struct.pack("<I", audio_bytes)


def describe(path: Path) -> Sound:
    """What a file of ours says that it holds. Raises AudioError, OSError."""
    return _read(path)[0]


def repair(path: Path) -> Sound:
    """Make a file of a killed process whole: what it holds is what is on the disk, up to the last whole frame.

    A file that is whole stays as it is. Raises AudioError for what is no WAV file of ours, OSError.
    """
    sound, start = _read(path)
    on_disk = path.stat().st_size
    if on_disk == sound.size_bytes:
        return sound
    frame = FORMATS[sound.encoding][1] * sound.channels
    audio = max(on_disk - start, 0) // frame * frame
    handle = os.open(path, os.O_RDWR)
    try:
        os.ftruncate(handle, start + audio + audio % 2)
        _write(handle, header(sound.encoding, sound.rate_hz, sound.channels, audio), 0)
        os.fsync(handle)
    finally:
        os.close(handle)
    return _read(path)[0]


def digest(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _read(path: Path) -> tuple[Sound, int]:
    """What the header says, and where the audio begins."""
    with path.open("rb") as file:
        head = file.read(64)
    formats = {tag: name for name, (tag, _) in FORMATS.items()}
    if len(head) < 44 or head[:4] != b"RIFF" or head[8:16] != b"WAVEfmt " or head[20] not in formats:
        raise AudioError(f"{path} is no WAV file of ours: it has no header that we know")
    channels, rate_hz = struct.unpack_from("<HI", head, 22)
    encoding = formats[head[20]]
    start = len(header(encoding, rate_hz, channels, 0))
    if head[start - 8 : start - 4] != b"data" or not channels or not rate_hz:
        raise AudioError(f"{path} is no WAV file of ours: its header is laid out in another way")
    audio_bytes = int.from_bytes(head[start - 4 : start], "little")
    return Sound(encoding, rate_hz, channels, audio_bytes, start + audio_bytes + audio_bytes % 2), start


def _write(handle: int, content: bytes, place: int) -> None:
    """All of it, at that place; the disk may take a part at a time."""
    left = memoryview(content)
    while left:
        done = os.pwrite(handle, left, place)
        left, place = left[done:], place + done
