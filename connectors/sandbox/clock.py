"""The time of day as the sandbox knows it: any callable that gives epoch seconds, and one that tests can move."""

from collections.abc import Callable

Clock = Callable[[], float]


class ManualClock:
    """A clock that stands still until it is moved forward."""

    def __init__(self, now: float) -> None:
        self.now = now

    def __call__(self) -> float:
        """The current epoch seconds."""
        return self.now

    def advance(self, seconds: float) -> None:
        """Let `seconds` pass at once."""
        self.now += seconds
