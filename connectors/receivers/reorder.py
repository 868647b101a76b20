"""Numbered chunks of one channel -> their audio in order. Pure, and bounded whatever comes.

A chunk ahead of its turn waits until those before it have come, or until the newest is `window` numbers ahead: then
what is still missing is given up, and silence of the same length stands in its place, so that time stays right. A
chunk that comes after its place was written is dropped and counted. Numbers that leap too far are left out, until ten
in a row say that counting has begun anew: nobody gets hours of silence for one wrong number.

RingCX does not say where counting begins; its example shows 1. So a stream is taken to begin at 0 or 1 if its first
chunk lies within the window, else with the lowest of its first chunks.
"""

from collections import OrderedDict
from collections.abc import Callable

import msgspec

FARTHEST = 1500  # numbers: 30 s of WSS
SURE = 10  # chunks in a row


class Counts(msgspec.Struct):
    """What came of the chunks of a track: each of `chunks` is in it, or doubled, or late."""

    chunks: int = 0
    missing: int = 0
    reordered: int = 0
    doubled: int = 0
    late: int = 0

    def __add__(self, other: "Counts") -> "Counts":
        """Both together."""
        pairs = zip(msgspec.structs.astuple(self), msgspec.structs.astuple(other), strict=True)
        return Counts(*(a + b for a, b in pairs))


class Reorder:
    """One channel's chunks. `write` is given its audio in order; `silence` makes so many bytes of it."""

    def __init__(self, write: Callable[[bytes], object], silence: Callable[[int], bytes], window: int) -> None:
        self.counts = Counts()
        self._write = write
        self._silence = silence
        self._window = window
        self._next: int | None = None  # None: not begun, the first chunks are held
        self._held: dict[int, bytes] = {}
        self._far: list[tuple[int, bytes]] = []  # a run of numbers that fit nowhere
        self._given_up: OrderedDict[int, None] = OrderedDict()  # the last of them, oldest first
        self._size = 0  # bytes of the last chunk written

    def add(self, seq: int, audio: bytes) -> None:
        """Take a chunk."""
        self.counts.chunks += 1
        expected = self._next
        if seq == expected and not self._held:  # nearly always
            self._put(seq, audio)
        elif seq in self._held:
            self.counts.doubled += 1
        elif expected is None:
            self._hold(seq, audio)
            self._begin(seq)
        elif expected <= seq <= expected + FARTHEST:
            self._hold(seq, audio)
            self._settle()
        elif seq in self._given_up:
            del self._given_up[seq]
            self.counts.late += 1
        elif expected - FARTHEST <= seq < expected:
            self.counts.doubled += 1
        else:
            self._astray(seq, audio)

    def finish(self) -> None:
        """Nothing more comes: write what is held."""
        if self._next is None and self._held:
            self._next = self._first()
        while self._held:
            self._give_up()
        self._leave_out_far()

    def _hold(self, seq: int, audio: bytes) -> None:
        if self._held and seq < max(self._held):
            self.counts.reordered += 1
        self._held[seq] = audio

    def _begin(self, seq: int) -> None:
        """Begin once it is clear with which: 0; or 1, when something else follows; or the lowest of the first ones."""
        if seq == 0 or (1 in self._held and len(self._held) > 1) or len(self._held) > self._window:
            self._next = self._first()
            self._settle()

    def _first(self) -> int:
        lowest = min(self._held)
        return min(lowest, 1) if lowest <= self._window else lowest

    def _settle(self) -> None:
        """Write what has its turn; give up what has been waited for long enough."""
        self._drain()
        while self._held and max(self._held) - (self._next or 0) >= self._window:
            self._give_up()

    def _give_up(self) -> None:
        """Silence up to the first chunk that is there, then on from it."""
        first, expected = min(self._held), self._next or 0
        size = self._size or len(self._held[first])
        is_gap = first - expected <= FARTHEST  # else the first chunks did not belong together
        for seq in range(expected, first) if is_gap else ():
            self.counts.missing += 1
            self._given_up[seq] = None
            self._write(self._silence(size))
        while len(self._given_up) > FARTHEST:
            self._given_up.popitem(last=False)
        self._next = first
        self._drain()

    def _astray(self, seq: int, audio: bytes) -> None:
        """A number that fits nowhere, or the next of a new counting."""
        if self._far and seq != self._far[-1][0] + 1:
            self._leave_out_far()
        self._far.append((seq, audio))
        if len(self._far) < SURE:
            return
        while self._held:
            self._give_up()
        run, self._far = self._far, []
        self._given_up.clear()
        for number, heard in run:
            self._put(number, heard)

    def _leave_out_far(self) -> None:
        self.counts.late += len(self._far)
        self._far.clear()

    def _drain(self) -> None:
        while self._next in self._held:
            self._put(self._next, self._held.pop(self._next))

    def _put(self, seq: int, audio: bytes) -> None:
        if self._far:
            self._leave_out_far()
        self._next = seq + 1
        self._size = len(audio)
        self._write(audio)
