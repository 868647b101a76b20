"""WAV files as engines want them: one channel as 16-bit samples, a piece at a time."""

import warnings
from collections.abc import Iterator
from pathlib import Path

from connectors.answers import BadBody
from connectors.errors import Rejected
from connectors.wav import HEAD_BYTES, Wav, read_wav

with warnings.catch_warnings():  # deprecated in 3.11 and 3.12, gone in 3.13: audioop-lts takes its place there
    warnings.simplefilter("ignore", DeprecationWarning)
    import audioop

WIDTH = {"L16": 2, "PCMU": 1, "PCMA": 1}


def look(path: Path) -> Wav:
    """What the file holds. Raises Rejected for what is no WAV file that we can read, or is not there."""
    try:
        with path.open("rb") as file:
            return read_wav(file.read(HEAD_BYTES), path.stat().st_size)
    except OSError as error:
        raise Rejected(f"speech: {path.name} cannot be read ({error.strerror}); is RINGCX_AUDIO_PATH right?") from None
    except BadBody as error:
        raise Rejected(f"speech: {path.name} is {error}") from None


def pieces(path: Path, channel: int, rate_hz: int, seconds: float = 1.0) -> Iterator[bytes]:
    """One channel as 16-bit samples (little endian) at `rate_hz`, about so many seconds at a time."""
    sound, state = look(path), None
    if not 0 <= channel < sound.channels:
        raise Rejected(f"speech: {path.name} has no channel {channel}")
    frame = WIDTH[sound.encoding] * sound.channels
    left = sound.audio_bytes // frame * frame
    with path.open("rb") as file:
        file.seek(sound.audio_at)
        while left and (raw := file.read(min(left, int(sound.rate_hz * seconds) * frame))):
            left -= len(raw)
            samples = _samples(raw[: len(raw) // frame * frame], sound, channel)
            if sound.rate_hz != rate_hz:
                samples, state = audioop.ratecv(samples, 2, 1, sound.rate_hz, rate_hz, state)
            yield samples


def loudness(samples: bytes) -> int:
    """Root mean square of 16-bit samples."""
    return audioop.rms(samples, 2)


def _samples(raw: bytes, sound: Wav, channel: int) -> bytes:
    """One channel of interleaved samples, 16 bits each."""
    if sound.encoding == "L16":
        return audioop.tomono(raw, 2, 1 - channel, channel) if sound.channels == 2 else raw
    one = raw[channel :: sound.channels]
    return audioop.ulaw2lin(one, 2) if sound.encoding == "PCMU" else audioop.alaw2lin(one, 2)
