"""Which runs on this machine are alive: each holds the lock of a file of its own for as long as it lasts.

The system lets go of the locks of a process that dies, so a file that nobody holds is a killed run's. No time-out, no
heartbeat, and no process id that another process may have by now. Knows no lake: what a death means is the caller's.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from connectors import state


class LiveRuns:
    """The runs that share a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @contextmanager
    def living(self, run_id: str) -> Iterator[None]:
        """This run is alive for as long as the block lasts. One that ends with an error counts as killed."""
        path = self._folder / f"{run_id}.lock"
        lock = FileLock(path)
        with state.usable(path):
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            lock.acquire()
        try:
            yield
            with state.usable(path):
                path.unlink(missing_ok=True)  # while it is held, so that nobody takes the end for a death
        finally:
            lock.release()

    @contextmanager
    def dead(self) -> Iterator[list[str]]:
        """Ids of the killed runs, which nobody else is told meanwhile; forgotten when the block ends without error."""
        with ExitStack() as held:
            paths = []
            for path in sorted(self._folder.glob("*.lock")):
                with state.usable(path), suppress(Timeout):
                    held.enter_context(FileLock(path, timeout=0))
                    paths.append(path)
            yield [path.stem for path in paths]
            for path in paths:
                path.unlink(missing_ok=True)
