"""What a receiver must have heard of a call, from its script alone. Pure."""

from typing import NamedTuple

from connectors.sandbox.callers.deliveries import deliveries
from connectors.sandbox.callers.script import SAMPLES_PER_MS, CallScript, Track, Transport, tracks
from connectors.sandbox.sound.g711 import SILENCE


class Heard(NamedTuple):
    """One track as sent: `audio` with nothing lost, `filled` with silence where a chunk was lost; both are mu-law.

    `chunks` counts different chunks that left, `lost` names those that never did (numbered from 0), `late` and
    `doubled` count those that left after a later one, or twice.
    """

    audio: bytes
    filled: bytes
    chunks: int
    lost: tuple[int, ...]
    late: int
    doubled: int


def truth(script: CallScript, transport: Transport, until_ms: int | None = None) -> dict[str, Heard]:
    """What was sent of each track, by its name; only what was due until `until_ms`, for a call that was cut short.

    An endless call needs `until_ms`; without it, ValueError.
    """
    if script.trouble.endless and until_ms is None:
        raise ValueError("an endless call has no whole truth: say until when")
    sent: list[list[int]] = [[] for _ in tracks(script, transport)]
    for delivery in deliveries(script, transport):
        if (until_ms is not None and delivery.at_ms > until_ms) or delivery.kind in ("quiet", "hang up"):
            break
        if delivery.kind == "chunk":
            sent[delivery.track].append(delivery.number)
    size = script.chunk_bytes(transport)
    return {
        track.name: _heard(track, numbers, size)
        for track, numbers in zip(tracks(script, transport), sent, strict=True)
        if not script.trouble.silent
    }


def chunk(audio: bytes, size: int, number: int) -> bytes:
    """One chunk of some audio, which begins anew after its last chunk."""
    at = number % max(1, -(-len(audio) // size)) * size
    return audio[at : at + size]


def _heard(track: Track, numbers: list[int], size: int) -> Heard:
    there, late, doubled, newest = set[int](), 0, 0, -1
    for number in numbers:
        doubled += number in there
        late += number < newest and number not in there
        there.add(number)
        newest = max(newest, number)
    whole = [chunk(track.audio, size, number) for number in range(newest + 1)]
    filled = (piece if number in there else SILENCE * len(piece) for number, piece in enumerate(whole))
    lost = tuple(number for number in range(newest + 1) if number not in there)
    return Heard(b"".join(whole), b"".join(filled), len(there), lost, late, doubled)


def length_ms(script: CallScript, transport: Transport) -> int:
    """How long the audio of a call is."""
    return max(
        (track.starts_ms + -(-len(track.audio) // SAMPLES_PER_MS) for track in tracks(script, transport)), default=0
    )
