"""WAV files for tests: tones, silence, and a few seconds of a real call."""

import math
import struct
import warnings
import wave
from pathlib import Path

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)
    import audioop

RATE_HZ = 8000
CALL = Path("/work/shared/corpus/audio/google_commercial_mono_8k.wav")


def tone(seconds: float, hertz: float = 440, loudness: int = 8000) -> bytes:
    """16-bit samples of a tone; 0 hertz: silence."""
    count = round(seconds * RATE_HZ)
    values = (round(loudness * math.sin(2 * math.pi * hertz * n / RATE_HZ)) for n in range(count))
    return struct.pack(f"<{count}h", *values)


def call(start: float, end: float) -> bytes:
    """16-bit samples of the real call between two seconds."""
    with wave.open(str(CALL)) as file:
        file.setpos(round(start * RATE_HZ))
        return bytes(file.readframes(round((end - start) * RATE_HZ)))


def wav(path: Path, *channels: bytes, mulaw: bool = False) -> Path:
    """A WAV file of one or two channels of 16-bit samples, as PCM or as G.711."""
    if len(channels) == 2:
        left, right = (one.ljust(max(map(len, channels)), b"\0") for one in channels)
        samples = audioop.add(audioop.tostereo(left, 2, 1, 0), audioop.tostereo(right, 2, 0, 1), 2)
    else:
        (samples,) = channels
    code, width = (7, 1) if mulaw else (1, 2)
    data = audioop.lin2ulaw(samples, 2) if mulaw else samples
    frame = width * len(channels)
    form = struct.pack("<HHIIHH", code, len(channels), RATE_HZ, RATE_HZ * frame, frame, 8 * width)
    chunks = b"fmt " + struct.pack("<I", len(form)) + form + b"data" + struct.pack("<I", len(data)) + data
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WAVE" + chunks)
    return path
