"""What a receiver keeps on the disk while it runs, so that a crash at any moment loses nothing that had been written.

    <audio>/live/2026-09-01/<recording>.wav     the audio
    <audio>/.receiving/<run>.lock               held while the run lives (`flows.alive`)
    <audio>/.receiving/<run>/<recording>.json   the recording's row, from before its file is made until it is committed
    <audio>/.receiving/<run>/events.jsonl       stream events that are not committed yet

All of it is called by one thread, which is not the event loop's. An OSError leaves everything as it was: the same call
may be made again, and does what is left to do.
"""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec

from flows.calls.receiving.rows import Recording, StreamEvent, stored
from sinks.audio import WavFile, digest
from sinks.durable import flush

EVENTS = "events.jsonl"


def journal(audio: Path) -> Path:
    """Where the runs of an audio folder keep what is not committed."""
    return audio / ".receiving"


class Disk:
    """The disk's side of one run."""

    def __init__(self, audio: Path, run_id: str) -> None:
        self._audio = audio
        self._notes = journal(audio) / run_id
        self._files: dict[str, WavFile] = {}
        self._synced: dict[str, float] = {}
        self._notes.mkdir(parents=True, exist_ok=True, mode=0o750)
        self._events = os.open(self._notes / EVENTS, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o640)
        self._events_size = 0
        self._remembered = 0

    def open(self, recording: Recording) -> None:
        """Note the recording, then make its file."""
        if recording.recording_id in self._files:
            return
        self.note(recording)
        path = self._audio / recording.path
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o750)
        path.unlink(missing_ok=True)  # its name is of this very recording: an attempt that failed half way
        file = WavFile(path, recording.encoding, recording.rate_hz, recording.channels)
        self._files[recording.recording_id] = file

    def append(self, recording_id: str, audio: bytes) -> None:
        """Audio at the end of its file."""
        self._files[recording_id].append(audio)

    def close(self, recording: Recording) -> Recording:
        """The recording with what its file holds, once that is whole, and noted."""
        file = self._files[recording.recording_id]
        sound = file.close()
        done = stored(recording, sound, digest(file.path))
        self.note(done)
        del self._files[recording.recording_id]
        self._synced.pop(recording.recording_id, None)
        return done

    def note(self, recording: Recording) -> None:
        """Note the recording's row, in the place of an earlier one, all at once."""
        path = self._note(recording.recording_id)
        fresh = path.with_suffix(".new")
        fresh.write_bytes(msgspec.json.encode(recording))
        fresh.replace(path)

    def sync(self, now: float, every_s: float) -> None:
        """Have the disk keep, through a power cut, the files that were not for so long."""
        due = [name for name in self._files if now - self._synced.get(name, 0.0) >= every_s]
        for name in due:
            self._files[name].sync()
            if name not in self._synced and (note := self._note(name)).exists():
                flush(note)
                flush(self._files[name].path.parent)
            self._synced[name] = now
        if due:
            flush(self._notes)

    def remember(self, events: Sequence[StreamEvent]) -> None:
        """Keep events until they are committed."""
        lines = b"".join(msgspec.json.encode(event) + b"\n" for event in events)
        os.ftruncate(self._events, self._events_size)  # a part of them, if the disk was full
        left = memoryview(lines)
        while left:
            left = left[os.write(self._events, left) :]
        self._events_size += len(lines)
        self._remembered += len(events)

    def forget(self, recording_ids: Iterable[str], events: int) -> None:
        """These recordings are committed as they ended, and so many events, of all since the run's beginning."""
        for name in recording_ids:
            self._note(name).unlink(missing_ok=True)
        if events == self._remembered and self._events_size:
            os.ftruncate(self._events, 0)
            self._events_size = 0

    def end(self) -> None:
        """Nothing more is written. What is not committed stays for the next run."""
        os.close(self._events)
        if not self._events_size:
            (self._notes / EVENTS).unlink()
        if not any(self._notes.iterdir()):
            self._notes.rmdir()

    def _note(self, recording_id: str) -> Path:
        return self._notes / f"{recording_id}.json"
