"""The chunks of a segment -> its audio: each channel in order, two channels side by side. Pure, bounded memory.

RingCX gives no time with a chunk, only its number. So both channels of a stereo segment begin together, and one of
which nothing comes while the other goes on for `SKEW_S` is silent for that long.
"""

from connectors.receivers.events import Chunk, Encoding
from connectors.receivers.reorder import Counts, Reorder

SKEW_S = 5
SAMPLE_BYTES: dict[Encoding, int] = {"PCMU": 1, "PCMA": 1, "L16": 2}
SILENCE: dict[Encoding, bytes] = {"PCMU": b"\xff", "PCMA": b"\xd5", "L16": b"\x00"}


class Track:
    """One segment's audio, as it is to be stored; `take` gives what is ready and forgets it."""

    def __init__(self, encoding: Encoding, rate_hz: int, channels: int, window: int) -> None:
        self._sample = SAMPLE_BYTES[encoding]
        self._silence = SILENCE[encoding]
        self._skew = SKEW_S * rate_hz * self._sample
        self._ready = [bytearray() for _ in range(channels)]
        self._orders = [Reorder(channel.extend, self._silent, window) for channel in self._ready]

    def add(self, chunk: Chunk) -> None:
        """Take a chunk of one of the channels there are."""
        self._orders[chunk.channel].add(chunk.seq, chunk.audio)

    def take(self) -> bytes:
        """The audio that is ready, all channels side by side."""
        longest = max(map(len, self._ready))
        for channel in self._ready:
            if longest - len(channel) > self._skew:
                channel.extend(self._silent(longest - self._skew - len(channel)))
        return self._cut(min(map(len, self._ready)))

    def finish(self) -> bytes:
        """All the rest, the channels equally long."""
        for order in self._orders:
            order.finish()
        longest = max(map(len, self._ready))
        for channel in self._ready:
            channel.extend(self._silent(longest - len(channel)))
        return self._cut(longest)

    @property
    def counts(self) -> Counts:
        """Of all channels."""
        return sum((order.counts for order in self._orders), Counts())

    def _cut(self, size: int) -> bytes:
        size -= size % self._sample
        if len(self._ready) == 1:
            taken = bytes(self._ready[0][:size])
        else:
            taken = interleaved([channel[:size] for channel in self._ready], self._sample)
        for channel in self._ready:
            del channel[:size]
        return taken

    def _silent(self, size: int) -> bytes:
        return self._silence * size


def interleaved(channels: list[bytearray], sample: int) -> bytes:
    """Samples of so many bytes, one of each channel in turn; all channels are equally long."""
    step = sample * len(channels)
    frames = bytearray(sum(map(len, channels)))
    for number, channel in enumerate(channels):
        for byte in range(sample):
            frames[number * sample + byte :: step] = channel[byte::sample]
    return bytes(frames)
