"""What the receivers need of whoever listens."""

from collections.abc import Callable
from typing import Protocol

from connectors.receivers.events import CallStarted, Cause, Event, Origin

Sink = Callable[[Event], None]


class Intake(Protocol):
    """Takes calls. All of it is called on the event loop's thread, and must not block it."""

    @property
    def is_full(self) -> bool:
        """Whether so much waits to be written that callers have to wait, too."""

    async def room(self) -> None:
        """Return once there is room again."""

    async def accepts(self, token: str) -> bool:
        """Whether a caller who shows this token is welcome; compares in constant time."""

    def begin(self, call: CallStarted) -> Sink:
        """Take a call: what it returns is given every event of it, `CallEnded` last."""

    def refused(self, origin: Origin, cause: Cause) -> None:
        """Take note of a caller who was not let in."""
