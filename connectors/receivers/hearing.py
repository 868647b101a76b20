"""One call heard from its first message to its end, whichever way it comes: bounds, and what happens at each of them.

A transport gives the messages as they come and says how the call ended; what the intake is told always ends with
`CallEnded`, also when the task is cancelled.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable
from typing import Protocol

from connectors.receivers.bounds import Bounds
from connectors.receivers.events import (
    CallEnded,
    CallStarted,
    Cause,
    Chunk,
    Event,
    HungUp,
    Malformed,
    Origin,
    SegmentStarted,
    Trouble,
)
from connectors.receivers.ports import Intake, Sink

REARM_S = 0.5  # a time-out is moved this often at most, not with each of 10,000 chunks a second


class Dialect(Protocol):
    """One call's messages as events: pure, with a memory of the call."""

    @property
    def is_complete(self) -> bool:
        """Whether a call that ends now has ended properly."""

    def events(self, message: bytes) -> Iterable[Event]:
        """What a message says. Raises Malformed, HungUp."""


class Hearing:
    """One call."""

    def __init__(self, origin: Origin, dialect: Dialect, intake: Intake, bounds: Bounds) -> None:
        self._origin: Origin = origin
        self._dialect = dialect
        self._intake = intake
        self._bounds = bounds
        self._sink: Sink | None = None
        self._malformed = 0
        self._segments = 0
        self._notes = 0

    async def hear(self, messages: AsyncIterator[bytes]) -> None:
        """Every message until there are no more. Raises HungUp when a bound is passed; what `messages` raises."""
        cause: str | None = "the receiver ended"
        try:
            await self._in_time(messages)
            cause = None if self._dialect.is_complete else "the connection ended before the call"
        except HungUp as error:
            cause = error.cause.value
            if self._sink is None:
                self._intake.refused(self._origin, error.cause)
            raise
        except Exception as error:
            cause = f"the connection broke: {type(error).__name__}"
            raise
        finally:
            if self._sink is not None:
                self._sink(CallEnded(cause))

    async def _in_time(self, messages: AsyncIterator[bytes]) -> None:
        loop, bounds = asyncio.get_running_loop(), self._bounds
        armed = loop.time()
        end = armed + bounds.call_s
        try:
            async with asyncio.timeout_at(min(armed + bounds.idle_s, end)) as limit:
                async for message in messages:
                    self._take(message)
                    if self._intake.is_full:
                        limit.reschedule(end)  # it is we who are slow
                        await self._intake.room()
                        armed = 0.0
                    if (now := loop.time()) - armed > REARM_S:
                        limit.reschedule(min(now + bounds.idle_s, end))
                        armed = now
        except TimeoutError:
            raise HungUp(Cause.TOO_LONG if loop.time() >= end else Cause.IDLE) from None

    def _take(self, message: bytes) -> None:
        if len(message) > self._bounds.message_bytes:
            raise HungUp(Cause.OVERSIZED)
        try:
            for event in self._dialect.events(message):
                self._tell(event)
        except Malformed as error:
            self._malformed += 1
            self._tell(Trouble("malformed", str(error)))
            if self._malformed > self._bounds.malformed:
                raise HungUp(Cause.MALFORMED) from None

    def _tell(self, event: Event) -> None:
        if self._sink is None:
            if isinstance(event, CallStarted):
                self._sink = self._intake.begin(event)
            return
        if type(event) is not Chunk:
            if isinstance(event, SegmentStarted):
                self._segments += 1
                if self._segments > self._bounds.segments:
                    raise HungUp(Cause.TOO_MANY_SEGMENTS)
            self._notes += 1
            if self._notes > self._bounds.notes:
                return
        self._sink(event)
