"""Callers: they dial a receiver, as RingCX does, and play a call to it, over a WebSocket or over gRPC.

A *script* is all of a call, known beforehand: who speaks when, and what goes wrong on the way. A *track* is one line of
audio on a connection: a *perspective* on a WebSocket, a participant's segment on gRPC. A *chunk* is what one message
carries of it. The truth about a call is computed from its script alone, so that what a receiver has kept can be
compared with what was sent.
"""

from connectors.sandbox.callers.dialing import dial
from connectors.sandbox.callers.grpc import dial_grpc
from connectors.sandbox.callers.line import Line, Outcome, never
from connectors.sandbox.callers.script import CallScript, Speaker, Track, Trouble, tracks
from connectors.sandbox.callers.truth import Heard, truth
from connectors.sandbox.callers.wss import dial_wss

__all__ = [
    "CallScript",
    "Heard",
    "Line",
    "Outcome",
    "Speaker",
    "Track",
    "Trouble",
    "dial",
    "dial_grpc",
    "dial_wss",
    "never",
    "tracks",
    "truth",
]
