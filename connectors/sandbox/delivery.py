"""How an answer leaves the sandbox: whole, or broken on the way as a fault wants it.

Over a real socket uvicorn's transport is closed under the answer. In process, where there is no socket (httpx's
ASGITransport), a broken answer is a ConnectionResetError raised to the caller.
"""

import socket
import struct
from asyncio import Transport
from typing import cast

from starlette.types import Receive, Scope, Send

from connectors.sandbox.faults import Fault
from connectors.sandbox.replies import Reply

TRANSPORT = "connectors.sandbox.transport"  # where the app keeps it in the ASGI scope
NO_LINGER = struct.pack("ii", 1, 0)  # close() then sends RST instead of FIN


async def deliver(reply: Reply, send: Send) -> None:
    """Send the whole answer."""
    headers = [
        (b"content-type", reply.content_type),
        (b"content-length", str(len(reply.body)).encode()),
        *reply.headers,
    ]
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    await send({"type": "http.response.body", "body": reply.body})


async def break_off(reply: Reply, fault: Fault, scope: Scope, receive: Receive) -> None:
    """Break the connection as `fault` says: before the answer, in its headers, or in the middle of its body."""
    transport = cast("Transport | None", scope.get(TRANSPORT))
    if transport is None:
        raise ConnectionResetError(f"the sandbox broke the connection: {fault.name}")
    if fault.reset:
        connection = transport.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, NO_LINGER)
        transport.abort()
    else:
        transport.write(_beginning(reply, in_headers=fault.cut_headers))
        transport.close()
    while (await receive())["type"] != "http.disconnect":  # until uvicorn has noticed too, or it would answer 500
        pass


def _beginning(reply: Reply, *, in_headers: bool) -> bytes:
    head = f"HTTP/1.1 {reply.status} OK\r\ncontent-length: {len(reply.body)}\r\ncontent-type: "
    if in_headers:
        return head.encode()
    return head.encode() + reply.content_type + b"\r\n\r\n" + reply.body[: len(reply.body) // 2]
