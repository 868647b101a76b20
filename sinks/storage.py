"""Where an export goes: a folder, or a prefix in an object store. Each file appears whole, or not at all."""

import io
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import BinaryIO, Protocol

import pyarrow.fs
from filelock import FileLock, Timeout

from sinks.errors import ExportError, LocationError
from sinks.s3 import s3_access

LOCK, UNFINISHED = ".export.lock", ".unfinished"

Fill = Callable[[BinaryIO], object]


class Storage(Protocol):
    """Files by their path from the top, with slashes."""

    def sizes(self) -> dict[str, int]:
        """Every file and its bytes; ours of an export that is under way are left out."""

    def read(self, path: str) -> bytes:
        """What a file holds."""

    def write(self, path: str, fill: Fill) -> int:
        """Put a file there, in place of what was there. Its bytes."""

    def remove(self, path: str) -> None:
        """Take a file away."""

    def locked(self) -> AbstractContextManager[None]:
        """The right to write there, alone, where that can be had. ExportError if somebody else has it."""


def open_storage(target: str) -> Storage:
    """What `target` names: s3://bucket/prefix or a folder, which need not be there yet."""
    if target.startswith("s3://"):
        return Bucket(target)
    if "://" in target:
        raise ExportError(f"{target} is of a kind we do not know: give a folder, s3://bucket/prefix or a file .duckdb")
    return Folder(Path(target))


class Folder:
    """On a disk: a file is written under another name, flushed, and then renamed."""

    def __init__(self, top: Path) -> None:
        self._top = top

    def sizes(self) -> dict[str, int]:
        """As of now."""
        if not self._top.exists():
            return {}
        if not self._top.is_dir():
            raise ExportError(f"{self._top} is a file: name a folder, or a file that ends in .duckdb")
        files = (file for file in self._top.rglob("*") if file.is_file() and not file.name.endswith(UNFINISHED))
        return {file.relative_to(self._top).as_posix(): file.stat().st_size for file in files if file.name != LOCK}

    def read(self, path: str) -> bytes:
        """All of it."""
        return (self._top / path).read_bytes()

    def write(self, path: str, fill: Fill) -> int:
        """Through a file beside it, which is gone if anything fails."""
        file = self._top / path
        file.parent.mkdir(parents=True, exist_ok=True)
        unfinished = file.with_name(f".{file.name}{UNFINISHED}")
        try:
            with unfinished.open("wb") as sink:
                fill(sink)
                sink.flush()
                os.fsync(sink.fileno())
                size = sink.tell()
            unfinished.replace(file)
        except BaseException:
            unfinished.unlink(missing_ok=True)
            raise
        return size

    def remove(self, path: str) -> None:
        """And its folder, if that is empty then."""
        file = self._top / path
        file.unlink(missing_ok=True)
        if not any(file.parent.iterdir()):
            file.parent.rmdir()

    @contextmanager
    def locked(self) -> Iterator[None]:
        """By a file lock in it, which a dead process loses."""
        self._top.mkdir(parents=True, exist_ok=True)
        with alone(self._top / LOCK, self._top):
            yield


@contextmanager
def alone(lock: Path, target: Path) -> Iterator[None]:
    """This lock, or ExportError at once: two exports to one place help nobody."""
    try:
        with FileLock(lock, timeout=0):
            yield
    except Timeout as error:
        raise ExportError(f"another export to {target} is under way: wait for it") from error


class Bucket:
    """In an object store: an object is there when its upload is complete."""

    def __init__(self, target: str) -> None:
        self._prefix = target.removeprefix("s3://").strip("/")
        try:
            access = s3_access()
        except LocationError as error:
            raise ExportError(f"{target}: {error}") from error
        self._files = pyarrow.fs.S3FileSystem(
            access_key=access.key_id,
            secret_key=access.secret,
            session_token=access.token or None,
            region=access.region,
            scheme=access.scheme,
            endpoint_override=access.endpoint or None,
        )

    def sizes(self) -> dict[str, int]:
        """As of now."""
        everything = pyarrow.fs.FileSelector(self._prefix, recursive=True, allow_not_found=True)
        files = [found for found in self._files.get_file_info(everything) if found.type == pyarrow.fs.FileType.File]
        return {found.path.removeprefix(self._prefix + "/"): found.size for found in files}

    def read(self, path: str) -> bytes:
        """All of it."""
        with self._files.open_input_stream(f"{self._prefix}/{path}") as source:
            return bytes(source.read())

    def write(self, path: str, fill: Fill) -> int:
        """Through memory: a stream that breaks off would be closed, and so complete."""
        content = io.BytesIO()
        fill(content)
        with self._files.open_output_stream(f"{self._prefix}/{path}") as sink:
            sink.write(content.getbuffer())
        return content.tell()

    def remove(self, path: str) -> None:
        """There are no folders."""
        self._files.delete_file(f"{self._prefix}/{path}")

    def locked(self) -> AbstractContextManager[None]:
        """S3 locks nothing: one export at a time is up to whoever schedules them."""
        return nullcontext()
