"""The order in which a call's messages leave: by time, track by track, with what trouble does to the chunks. Pure."""

from collections.abc import Iterator
from heapq import merge
from typing import Literal, NamedTuple

from connectors.sandbox.callers.script import SAMPLES_PER_MS, CallScript, Track, Transport, Trouble, tracks
from connectors.sandbox.faults import draw

Kind = Literal["start", "chunk", "hold", "unhold", "stop", "malformed", "oversized", "quiet", "hang up"]
FATE = ("lost", "late", "doubled", "")
BEFORE, DURING, AFTER = 0, 1, 2  # within one moment


class Delivery(NamedTuple):
    """One message, `at_ms` of the call; `number` counts the chunks of a track from 0, whatever becomes of them."""

    at_ms: int
    order: int
    track: int
    kind: Kind
    number: int = 0


def deliveries(script: CallScript, transport: Transport) -> Iterator[Delivery]:
    """Everything that is sent, in its order; without an end if the call is endless, and cut short if it hangs up."""
    trouble, lines = script.trouble, tracks(script, transport)
    ways = [_track(script, transport, index, track) for index, track in enumerate(lines)]
    length_ms = max((end_ms(track) for track in lines), default=0)
    for delivery in merge(*ways, _events(trouble, length_ms)):
        yield delivery
        if delivery.kind == "hang up":
            return


def end_ms(track: Track) -> int:
    """When the audio of a track is over."""
    return track.starts_ms + -(-len(track.audio) // SAMPLES_PER_MS)


def fate(trouble: Trouble, track: str, number: int, last: int) -> str:
    """What becomes of one chunk: `lost`, `late`, `doubled`, or nothing."""
    if number in (0, last):
        return ""
    point = draw(trouble.seed, "chunk", track, number)
    for kind, share in zip(FATE, (trouble.lost_share, trouble.late_share, trouble.doubled_share), strict=False):
        if point < share:
            return kind
        point -= share
    return ""


def _track(script: CallScript, transport: Transport, index: int, track: Track) -> Iterator[Delivery]:
    """One track's own messages, in their order."""
    yield Delivery(track.starts_ms, BEFORE, index, "start")
    holds = track.speaker.holds if track.speaker else ()
    told = [Delivery(begin, BEFORE, index, "hold") for begin, _ in holds]
    told += [Delivery(end, BEFORE, index, "unhold") for _, end in holds]
    yield from merge(_chunks(script, transport, index, track), sorted(told))
    if not script.trouble.endless:
        yield Delivery(max([end_ms(track), *(end for _, end in holds)]), AFTER, index, "stop")


def _chunks(script: CallScript, transport: Transport, index: int, track: Track) -> Iterator[Delivery]:
    size, trouble = script.chunk_bytes(transport), script.trouble
    step_ms, count = size // SAMPLES_PER_MS, -(-len(track.audio) // size)
    is_troubled = bool(trouble.lost_share or trouble.late_share or trouble.doubled_share)
    late: list[tuple[int, int]] = []  # (due after chunk, its number)
    number = 0
    while number < count or (trouble.endless and count):
        at_ms = track.starts_ms + number * step_ms
        last = -1 if trouble.endless else count - 1
        what = fate(trouble, track.name, number, last) if is_troubled else ""
        if what == "late":
            late.append((min(number + trouble.late_by, count - 2 if last >= 0 else number + trouble.late_by), number))
        elif what != "lost":
            yield Delivery(at_ms, DURING, index, "chunk", number)
        if what == "doubled":
            yield Delivery(at_ms, DURING, index, "chunk", number)
        while late and late[0][0] <= number:
            yield Delivery(at_ms, DURING, index, "chunk", late.pop(0)[1])
        number += 1


def _events(trouble: Trouble, length_ms: int) -> list[Delivery]:
    """What goes wrong with the connection as a whole, in the order of time."""
    hang_up_ms = length_ms if trouble.hang_up_at_ms == -1 else trouble.hang_up_at_ms
    moments: list[tuple[int | None, Kind]] = [
        (trouble.malformed_at_ms, "malformed"),
        (trouble.oversized_at_ms, "oversized"),
        (trouble.quiet_after_ms, "quiet"),
        (hang_up_ms, "hang up"),
    ]
    return sorted(Delivery(at_ms, DURING, 1 << 20, kind) for at_ms, kind in moments if at_ms is not None)
