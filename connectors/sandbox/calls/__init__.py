"""Live calls: who is talking now, streams of them that media control starts and stops, and what remains of them.

    call = sandbox.calls.begin(LiveCall(dialog_id="d", speakers=two_voices("s", agent=audio, contact=audio)))
    ...  # POST .../dialogs/d/segments/s/streams lets a caller dial
    call.end()

It keeps the audio of a call in memory as long as the sandbox runs.
"""

from connectors.sandbox.calls.live import LiveCalls
from connectors.sandbox.calls.ongoing import LiveCall, Ongoing, Stream, two_voices

__all__ = ["LiveCall", "LiveCalls", "Ongoing", "Stream", "two_voices"]
