"""Logged-in tokens, shared between processes through one file that only its owner can read.

RingCX's access token lives 5 minutes and may be exchanged 5 times a minute, so processes with the same credentials use
one another's: whoever holds the file's lock may log in, the others wait for it and read what it wrote.
"""

import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
from filelock import AsyncFileLock

from connectors import state


class Tokens(msgspec.Struct, frozen=True, kw_only=True):
    """RingCentral's and RingCX's tokens, each with the epoch second from which it is to be renewed; empty: none."""

    rc_access: str = ""
    rc_good_until: float = 0.0
    access: str = ""
    good_until: float = 0.0
    refresh: str = ""

    def __repr__(self) -> str:
        return f"Tokens(rc_good_until={self.rc_good_until:.0f}, good_until={self.good_until:.0f})"

    def __rich_repr__(self) -> Iterator[tuple[str, float]]:
        yield "rc_good_until", self.rc_good_until
        yield "good_until", self.good_until


class TokenFile:
    """The tokens of one set of credentials."""

    def __init__(self, path: Path) -> None:
        with state.usable(path):
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._path = path
        self._lock = AsyncFileLock(path.with_suffix(".lock"))

    @asynccontextmanager
    async def locked(self) -> AsyncIterator[None]:
        """The right to log in and to write. Raises StateUnavailable."""
        with state.usable(self._path):
            await self._lock.acquire()
        try:
            yield
        finally:
            await self._lock.release()

    def read(self) -> Tokens:
        """What was last written; no tokens when there is nothing, or nothing readable."""
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=Tokens)
        except (OSError, msgspec.DecodeError, UnicodeDecodeError):
            return Tokens()

    def write(self, tokens: Tokens) -> None:
        """Replace the file in one step, readable by its owner only. Raises StateUnavailable."""
        with state.usable(self._path):
            self._write(tokens)

    def _write(self, tokens: Tokens) -> None:
        fresh = self._path.with_suffix(".new")  # one name: whoever writes holds the lock, and may have been killed once
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(msgspec.json.encode(tokens))
        fresh.replace(self._path)
