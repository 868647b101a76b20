"""A process that hears one track with pocketsphinx and prints a JSON line for each utterance.

    python -m connectors.speech.listener FILE CHANNEL

A process of its own, because pocketsphinx holds Python's lock while it decodes (0.6 s at a time in a call), and because
one can be killed at any moment. Speech is cut at silence, and after `LONGEST_S` where there is none, such as music: so
memory does not grow with the length of a call.
"""

import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
from pocketsphinx import Config, Decoder, Endpointer

from connectors.errors import ConnectorError
from connectors.speech.audio import pieces

RATE_HZ = 16_000  # what the model of the package was trained on
LONGEST_S = 20.0


class Line(msgspec.Struct):
    """One utterance of the track, in ms from its first sample."""

    start_ms: int
    end_ms: int
    text: str
    confidence: float


def stretches(path: Path, channel: int) -> Iterator[tuple[float, bytes]]:
    """Where somebody speaks: since when (seconds), and the samples."""
    ears = Endpointer(sample_rate=RATE_HZ)
    spoken, begins = bytearray(), 0.0
    for frame in _frames(path, channel, ears.frame_bytes):
        speech = ears.process(frame) if len(frame) == ears.frame_bytes else ears.end_stream(frame)
        if speech is None:
            continue
        if not spoken:
            begins = max(begins, ears.speech_start)  # after a cut, speech began earlier than what is still to be heard
        spoken += speech
        if not ears.in_speech or len(spoken) >= LONGEST_S * 2 * RATE_HZ:
            yield begins, bytes(spoken)
            begins += len(spoken) / (2 * RATE_HZ)
            spoken.clear()
    if spoken:
        yield begins, bytes(spoken)


def listen(path: Path, channel: int) -> Iterator[Line]:
    """What is said in the track, stretch by stretch; those in which no word was made out are left out."""
    decoder = Decoder(Config(samprate=RATE_HZ, loglevel="FATAL"))
    for begins, samples in stretches(path, channel):
        decoder.start_utt()
        decoder.process_raw(samples, full_utt=True)  # whole, so that its loudness is known from the start
        decoder.end_utt()
        found = decoder.hyp()
        if found is not None and found.hypstr:
            ends = begins + len(samples) / (2 * RATE_HZ)
            # The model gives the probability of all words at once; a word's is comparable between utterances.
            confidence = min(1.0, max(0.0, found.prob)) ** (1 / len(found.hypstr.split()))
            yield Line(round(begins * 1000), round(ends * 1000), found.hypstr, confidence)


def _frames(path: Path, channel: int, size: int) -> Iterator[bytes]:
    """The track in frames of that size; the last one is shorter, and may be empty."""
    rest = b""
    for piece in pieces(path, channel, RATE_HZ):
        rest += piece
        whole = len(rest) // size * size
        for place in range(0, whole, size):
            yield rest[place : place + size]
        rest = rest[whole:]
    yield rest


def main() -> int:
    """Print the lines as they are heard. Exit code 1 with the reason on standard error where the file is unfit."""
    try:
        for line in listen(Path(sys.argv[1]), int(sys.argv[2])):
            sys.stdout.write(msgspec.json.encode(line).decode() + "\n")
            sys.stdout.flush()
    except ConnectorError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
