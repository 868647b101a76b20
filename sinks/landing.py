"""A file on its way to its place: written aside, flushed, and renamed in one step. It is there whole, or not at all."""

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from sinks import durable
from sinks.errors import LakeUnavailable

PARTS = ".parts"


class Landing:
    """The file as far as it has come: its bytes, and their digest."""

    def __init__(self, part: Path, place: Path) -> None:
        self._part, self._place = part, place
        self._file = part.open("wb")
        self._sha256 = hashlib.sha256()
        self.size = 0

    @property
    def sha256(self) -> str:
        """Of what has been written so far."""
        return self._sha256.hexdigest()

    def write(self, chunk: bytes) -> None:
        """Add to it. Raises LakeUnavailable."""
        with _named(self._place):
            self._file.write(chunk)
        self._sha256.update(chunk)
        self.size += len(chunk)

    def finish(self) -> None:
        """Put it in its place, in the place of what was there; it survives a power cut. Raises LakeUnavailable."""
        with _named(self._place):
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()
            folder = self._place.parent
            is_new = not folder.exists()
            folder.mkdir(parents=True, exist_ok=True)
            self._part.replace(self._place)
            durable.flush(folder)
            if is_new:
                durable.flush(folder.parent)

    def close(self) -> None:
        """Let go, and leave nothing behind that was not finished."""
        with suppress(OSError):  # on a full disk, closing fails as writing did
            self._file.close()
        self._part.unlink(missing_ok=True)


@contextmanager
def landing(top: Path, name: str, mark: str) -> Iterator[Landing]:
    """A file to be `name` below `top`, if it is finished in this block. `mark` tells parallel attempts apart."""
    place, parts = top / name, top / PARTS
    with _named(place):
        parts.mkdir(parents=True, exist_ok=True)
        file = Landing(parts / f"{Path(name).stem}.{mark}", place)
    try:
        yield file
    finally:
        file.close()


def clear_parts(top: Path, before: float) -> None:
    """Remove what killed programs left unfinished and nobody has touched since `before` (epoch seconds)."""
    with _named(top):
        for part in (top / PARTS).glob("*"):
            if part.stat().st_mtime < before:
                part.unlink(missing_ok=True)


@contextmanager
def _named(place: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        said = f"cannot write {error.filename or place}: {error.strerror}; make room there, or check permissions"
        raise LakeUnavailable(said) from error
