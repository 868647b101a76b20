"""The WSS receiver: RingCX connects, shows its token in the handshake, and talks until the call ends.

A refusal is an HTTP status before the upgrade: 401 and 403 are for good, 503 is tried again by RingCX up to 3 times.
A call that we end has a close code: 1008 for what it may not do, 1007 for what we cannot read, 1009 for what is too
large, 1001 when this receiver stops.
"""

import logging
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import parse_qsl, urlsplit

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed, ConnectionClosedError, ConnectionClosedOK
from websockets.frames import CloseCode
from websockets.http11 import Request, Response

from connectors.receivers.bounds import Bounds
from connectors.receivers.door import Door, bare
from connectors.receivers.events import Cause, HungUp
from connectors.receivers.hearing import Hearing
from connectors.receivers.wss_messages import SECRETS, WssDialect

QUIET = logging.Logger("receiver", logging.CRITICAL + 1)  # noqa: LOG001 - websockets logs handshakes with their tokens

STATUS = {Cause.NO_TOKEN: 401, Cause.WRONG_TOKEN: 403, Cause.FULL: 503, Cause.STOPPING: 503}
CLOSE = {
    Cause.MALFORMED: CloseCode.INVALID_DATA,
    Cause.OVERSIZED: CloseCode.MESSAGE_TOO_BIG,
    Cause.UNSUPPORTED: CloseCode.UNSUPPORTED_DATA,
    Cause.FULL: CloseCode.TRY_AGAIN_LATER,
    Cause.STOPPING: CloseCode.GOING_AWAY,
}  # any other: POLICY_VIOLATION
QUEUED = 64  # messages of one call that may wait for us before the network is told to wait


class WssReceiver:
    """What answers a connection."""

    def __init__(self, door: Door) -> None:
        self._door = door

    async def admit(self, connection: ServerConnection, request: Request) -> Response | None:
        """The refusal of a handshake, or None."""
        cause = await self._door.knock("wss", _token(request))
        return connection.respond(STATUS[cause], f"{cause.value}\n") if cause else None

    async def receive(self, connection: ServerConnection) -> None:
        """One call, from the handshake to its end."""
        assert connection.request is not None  # noqa: S101 - there is one after a handshake
        query = {name: value for name, value in _query(connection.request).items() if name.lower() not in SECRETS}
        hearing = Hearing("wss", WssDialect(query), self._door.intake, self._door.bounds)
        try:
            with self._door.entered("wss"):
                await hearing.hear(_messages(connection))
        except HungUp as error:
            await connection.close(CLOSE.get(error.cause, CloseCode.POLICY_VIOLATION), error.cause.value)
        except ConnectionClosed:
            pass  # the intake knows


@asynccontextmanager
async def wss_receiver(door: Door, host: str, port: int, tls: ssl.SSLContext | None) -> AsyncIterator[Server]:
    """A WSS receiver that listens for as long as the block lasts, and then hangs up on whoever still talks."""
    receiver, bounds = WssReceiver(door), door.bounds
    async with serve(
        receiver.receive,
        host,
        port,
        ssl=tls,
        process_request=receiver.admit,
        server_header=None,
        compression=None,  # audio hardly shrinks, and each connection would keep tables
        open_timeout=bounds.handshake_s,
        ping_interval=_ping_s(bounds),
        ping_timeout=_ping_s(bounds),
        close_timeout=2,
        max_size=bounds.message_bytes,
        max_queue=QUEUED,
        logger=QUIET,
    ) as server:
        yield server


def _ping_s(bounds: Bounds) -> float:
    """A connection whose other end is gone is noticed before it counts as idle."""
    return max(bounds.idle_s / 3, 0.1)


async def _messages(connection: ServerConnection) -> AsyncIterator[bytes]:
    """As they come, text or binary. Raises HungUp for one that was too large, ConnectionClosedError for a break."""
    try:
        while True:
            yield await connection.recv(decode=False)
    except ConnectionClosedOK:
        return
    except ConnectionClosedError as error:
        if error.sent is not None and error.sent.code == CloseCode.MESSAGE_TOO_BIG:
            raise HungUp(Cause.OVERSIZED) from None
        if error.sent is not None and error.sent.code == CloseCode.GOING_AWAY:
            raise HungUp(Cause.STOPPING) from None
        raise


def _query(request: Request) -> dict[str, str]:
    return dict(parse_qsl(urlsplit(request.path).query, errors="replace", max_num_fields=100))


def _token(request: Request) -> str:
    """What the caller shows: in `Authorization`, or as `token` or `secret` in the URL, which is ours."""
    headers = request.headers.get_all("Authorization")
    if headers:
        return bare(headers[0])
    query = _query(request)
    return query.get("token") or query.get("secret") or ""
