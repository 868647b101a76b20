"""WAV files in memory and on disk."""

import io
import wave
from pathlib import Path

from connectors.sandbox.sound.g711 import RATE_HZ, as_telephone, decode, encode

PCM, MULAW = 1, 7


def pcm_of_wav(source: Path | bytes) -> bytes:
    """The audio of a WAV file (PCM or mu-law) as 8 kHz, 16-bit, mono PCM.

    Raises ValueError for what is no such file, OSError for a file that cannot be read.
    """
    content = source if isinstance(source, bytes) else source.read_bytes()
    try:
        with wave.open(io.BytesIO(_readable(content))) as file:
            audio = file.readframes(file.getnframes())
            width, channels, rate_hz = file.getsampwidth(), file.getnchannels(), file.getframerate()
    except (wave.Error, EOFError) as error:
        raise ValueError(f"no WAV file of PCM or mu-law: {error}") from error
    audio = audio[: len(audio) - len(audio) % (width * channels)]
    if _format(content) == MULAW:
        audio, width = decode(audio), 2
    return as_telephone(audio, width=width, channels=channels, rate_hz=rate_hz)


def _format(content: bytes) -> int:
    """What the samples are; 0 if there is no format where nearly every WAV file has it."""
    return int.from_bytes(content[20:22], "little") if content[12:16] == b"fmt " else 0


def _readable(content: bytes) -> bytes:
    """The file as Python's parser takes it, which knows PCM alone: mu-law under the name of 8-bit PCM."""
    return content[:20] + PCM.to_bytes(2, "little") + content[22:] if _format(content) == MULAW else content


def mulaw_of_wav(source: Path | bytes) -> bytes:
    """The audio of a WAV file as 8 kHz mu-law; raises as `pcm_of_wav`."""
    return encode(pcm_of_wav(source))


def wav_of_pcm(pcm: bytes, channels: int = 1) -> bytes:
    """A WAV file of 8 kHz, 16-bit PCM."""
    target = io.BytesIO()
    with wave.open(target, "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(2)
        file.setframerate(RATE_HZ)
        file.writeframes(pcm)
    return target.getvalue()
