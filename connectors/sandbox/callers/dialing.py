"""Dial whatever an address is: a WebSocket or gRPC."""

from connectors.sandbox.callers.grpc import dial_grpc
from connectors.sandbox.callers.line import Line, Outcome, Stopped, never
from connectors.sandbox.callers.script import CallScript, Transport
from connectors.sandbox.callers.wss import dial_wss


def transport_of(url: str) -> Transport:
    """How a receiver at this address is spoken to; anything but a WebSocket is gRPC."""
    return "wss" if url.partition(":")[0].lower() in ("ws", "wss") else "grpc"


async def dial(script: CallScript, line: Line, stopped: Stopped = never) -> Outcome:
    """Dial by the scheme of the address; see `dial_wss` and `dial_grpc`."""
    return await (dial_wss if transport_of(line.url) == "wss" else dial_grpc)(script, line, stopped)
