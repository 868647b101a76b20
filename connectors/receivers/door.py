"""Who may come in, over whichever transport: the token that a caller shows, and how many calls there are at once."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from connectors.receivers.bounds import Bounds
from connectors.receivers.events import Cause, HungUp, Origin
from connectors.receivers.ports import Intake


class Door:
    """One for all receivers of a process."""

    def __init__(self, intake: Intake, bounds: Bounds) -> None:
        self.intake = intake
        self.bounds = bounds
        self.is_closing = False
        self._inside = 0
        self._is_empty = asyncio.Event()
        self._is_empty.set()

    @property
    def inside(self) -> int:
        """Calls at this moment."""
        return self._inside

    async def knock(self, origin: Origin, token: str) -> Cause | None:
        """Why this caller may not come in; None: welcome. Refusals are told to the intake."""
        cause = self._turned_away()
        if cause is None and not token:
            cause = Cause.NO_TOKEN
        if cause is None and not await self.intake.accepts(token):
            cause = Cause.WRONG_TOKEN
        if cause is not None:
            self.intake.refused(origin, cause)
        return cause

    @contextmanager
    def entered(self, origin: Origin) -> Iterator[None]:
        """A place for one call. Raises HungUp where there is none, though there was one at the knock."""
        if cause := self._turned_away():
            self.intake.refused(origin, cause)
            raise HungUp(cause)
        self._inside += 1
        self._is_empty.clear()
        try:
            yield
        finally:
            self._inside -= 1
            if not self._inside:
                self._is_empty.set()

    async def emptied(self) -> None:
        """Return once there are no calls."""
        await self._is_empty.wait()

    def _turned_away(self) -> Cause | None:
        if self.is_closing:
            return Cause.STOPPING
        return Cause.FULL if self._inside >= self.bounds.calls else None


def bare(authorization: str) -> str:
    """The token of an `authorization`: RingCX's documents show it bare on gRPC; others send `Bearer <token>`."""
    scheme, _, rest = authorization.strip().partition(" ")
    return rest.strip() if scheme.lower() == "bearer" else authorization.strip()
