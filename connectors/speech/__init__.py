"""Speech to text: who said what in the audio of a call, by an engine of one's choice.

A *track* is one channel of one WAV file; *heard* is one utterance, in ms from the first sample of the earliest track.
Every engine has `source`, the name that its utterances carry, and `transcribe(tracks, language)`. Knows no table.
"""

from connectors.speech.records import Heard, Track, Transcription

__all__ = ["Heard", "Track", "Transcription"]
