"""What is heard: G.711 audio of telephone calls, made from WAV files or from tones, and what is said in it.

*Audio* is 8 kHz, mono: 16-bit little-endian PCM inside the sandbox and in recordings, mu-law (one byte a sample) on the
streams of live calls.
"""

from connectors.sandbox.sound.g711 import SILENCE, decode, encode, mixed
from connectors.sandbox.sound.library import Library, Said, Sound, sound_of
from connectors.sandbox.sound.tones import tone
from connectors.sandbox.sound.wav import mulaw_of_wav, pcm_of_wav, wav_of_pcm

__all__ = [
    "SILENCE",
    "Library",
    "Said",
    "Sound",
    "decode",
    "encode",
    "mixed",
    "mulaw_of_wav",
    "pcm_of_wav",
    "sound_of",
    "tone",
    "wav_of_pcm",
]
