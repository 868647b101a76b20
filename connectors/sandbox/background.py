"""Work that goes on after an answer: callers and speech jobs, on the loop that serves the requests."""

import asyncio
from collections.abc import Coroutine


class Background:
    """Tasks of one sandbox, kept until they are done; they end with the loop."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    def serves_here(self) -> None:
        """Note the running loop as the one that serves requests."""
        self._loop = asyncio.get_running_loop()

    def begin(self, work: Coroutine[None, None, None]) -> None:
        """Do some work on the loop that served the last request; callable from any thread.

        Raises RuntimeError before the first request.
        """
        if self._loop is None:
            work.close()
            raise RuntimeError("the sandbox has served no request yet, so it has no loop to work on")
        self._loop.call_soon_threadsafe(self._keep, work)

    async def idle(self) -> None:
        """Wait until nothing is under way that was begun before; to be called on the loop that serves requests."""
        await asyncio.sleep(0)  # what was begun just now becomes a task
        while self._tasks:
            await asyncio.wait(self._tasks)

    def _keep(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
