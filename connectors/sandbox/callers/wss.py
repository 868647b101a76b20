"""A caller over a WebSocket: the messages of seeds 001 and 002, and the connection that carries them.

The names of the handshake's query parameters are those of the Start message: the seeds name them in words only.
"""

import asyncio
import logging
from base64 import b64encode
from datetime import UTC, datetime
from urllib.parse import quote, urlencode, urlsplit

import msgspec
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus

from connectors.sandbox.callers.deliveries import Delivery, end_ms
from connectors.sandbox.callers.line import Line, Outcome, Progress, Stopped, never, play, trusting, wait_until
from connectors.sandbox.callers.script import CallScript, Track, tracks
from connectors.sandbox.callers.truth import chunk

ATTEMPTS, PAUSE_S = 3, 0.2
NO_LOG = logging.Logger("callers", logging.CRITICAL + 1)  # noqa: LOG001 - websockets logs handshakes with their tokens
CONNECTED = b'{"event":"Connected","protocol":"AgentSession","version":"1.0.0"}'
MALFORMED = b'{"event":"Media","perspective":"Participant","sequenceId":'


def parameters(script: CallScript) -> dict[str, str | int]:
    """What the handshake's query and the Start message both say of a call."""
    return {
        "callId": script.dialog_id,
        "sessionId": script.segment_id,
        "ani": script.ani,
        "dnis": script.dnis,
        "accountId": script.main_account_id,
        "subaccountId": script.sub_account_id,
        "rcAccountId": script.rc_account_id,
        "agentId": script.agent_id,
        "productType": script.product_type.capitalize(),
        "productId": script.product_id,
    }


def handshake_url(script: CallScript, url: str) -> str:
    """The receiver's address with the call's parameters after whatever query it has."""
    parts = urlsplit(url)
    query = "&".join(filter(None, (parts.query, urlencode(parameters(script), quote_via=quote))))
    return parts._replace(query=query, path=parts.path or "/").geturl()


def start_message(script: CallScript) -> bytes:
    """The Start message."""
    metadata = parameters(script) | {"contentType": "audio/x-mulaw", "sampleRateHertz": 8000}
    return msgspec.json.encode({"event": "Start", "metadata": metadata})


def media_message(perspective: str, sequence: int, audio: bytes) -> bytes:
    """One Media message; put together by hand, because ten thousand leave in a second."""
    return b'{"event":"Media","perspective":"%b","sequenceId":"%d","media":"%b"}' % (
        perspective.encode(),
        sequence,
        b64encode(audio),
    )


def stop_message(script: CallScript, played_ms: int) -> bytes:
    """A Stop message; nothing in it says of which perspective it is."""
    ended = datetime.fromtimestamp(script.began + played_ms / 1000, UTC).replace(microsecond=0)
    metadata = {"duration": round(played_ms / 1000), "end_time": ended.isoformat().replace("+00:00", "Z")}
    return msgspec.json.encode({"event": "Stop", "metadata": metadata})


async def dial_wss(script: CallScript, line: Line, stopped: Stopped = never) -> Outcome:
    """Dial a receiver and play the call; returns when it is over, refused or broken off, and never raises for that.

    A 4xx on the handshake is final, a 5xx is tried up to three times.
    """
    for attempt in range(1, ATTEMPTS + 1):
        try:
            connection = await _connect(script, line)
        except InvalidStatus as refusal:
            status = refusal.response.status_code
            if status < 500 or attempt == ATTEMPTS:
                return Outcome(accepted=False, status=str(status), attempts=attempt, error="refused")
            await asyncio.sleep(PAUSE_S)
        except (OSError, TimeoutError, InvalidHandshake, EOFError) as error:
            return Outcome(accepted=False, status="unreachable", attempts=attempt, error=type(error).__name__)
        else:
            return await _Caller(script, line, stopped, connection).run(attempt)
    raise AssertionError("the last attempt returns")


async def _connect(script: CallScript, line: Line) -> ClientConnection:
    token = f"wrong-{line.token}" if script.trouble.wrong_token else line.token
    return await connect(
        handshake_url(script, line.url),
        ssl=trusting(line.ca) if line.url.startswith("wss:") else None,
        additional_headers={"Authorization": f"Bearer {token}"} if token else None,
        compression=None,
        logger=NO_LOG,
        proxy=None,
        ping_interval=None,  # whether the platform sends pings is unknown; it answers ours
        close_timeout=min(10, line.patience_s),
    )


class _Caller:
    """One call on an open connection."""

    def __init__(self, script: CallScript, line: Line, stopped: Stopped, connection: ClientConnection) -> None:
        self._script, self._line, self._stopped, self._connection = script, line, stopped, connection
        self._tracks = tracks(script, "wss")
        self._size = script.chunk_bytes("wss")
        self._progress = Progress()

    async def run(self, attempt: int) -> Outcome:
        error = ""
        try:
            await self._talk()
        except ConnectionClosed:
            error = "closed by the receiver"
        except _HungUp:
            error = "hung up"
        except _Quiet:
            error = "fell silent"
        except OSError as problem:
            error = type(problem).__name__
        except asyncio.CancelledError:
            self._connection.transport.abort()  # the sandbox ends: it waits for nobody's goodbye
            raise
        finally:
            await self._leave()
        progress = self._progress
        return Outcome(
            accepted=True,
            status="101",
            attempts=attempt,
            close_code=self._connection.close_code,
            sent=dict(progress.sent),
            played_ms=progress.played_ms,
            stopped=progress.stopped,
            error=error,
        )

    async def _talk(self) -> None:
        if self._script.trouble.silent:
            await self._keep_quiet()
        await self._send(CONNECTED)
        await self._send(start_message(self._script))
        await play(self._progress, self._script, "wss", (self._line, self._stopped), self._moment)
        if self._progress.stopped:
            for _ in self._tracks:
                await self._send(stop_message(self._script, self._progress.played_ms))

    async def _moment(self, due: list[Delivery]) -> None:
        """The messages of one moment. Holds and starts are not told on a WebSocket."""
        for delivery in due:
            if delivery.kind == "chunk":
                await self._chunk(self._tracks[delivery.track], delivery.number)
            elif delivery.kind == "stop":
                await self._send(stop_message(self._script, end_ms(self._tracks[delivery.track])))
            elif delivery.kind == "malformed":
                await self._send(MALFORMED)
            elif delivery.kind == "oversized":
                audio = bytes(self._script.trouble.oversized_bytes)
                await self._send(media_message(self._tracks[0].name, 1, audio))
            elif delivery.kind == "quiet":
                self._progress.played_ms = delivery.at_ms
                await self._keep_quiet()
            elif delivery.kind == "hang up":
                self._progress.played_ms = delivery.at_ms
                raise _HungUp

    async def _chunk(self, track: Track, number: int) -> None:
        audio = chunk(track.audio, self._size, number)
        await self._send(media_message(track.name, number + self._script.first_seq, audio))
        self._progress.sent[track.name] = self._progress.sent.get(track.name, 0) + 1

    async def _send(self, message: bytes) -> None:
        await self._connection.send(message, text=True)

    async def _keep_quiet(self) -> None:
        """Hold the line until the receiver has enough of it, or nobody has any patience left."""
        if self._script.trouble.deaf:
            self._connection.transport.pause_reading()  # pings are not answered either
        await wait_until(lambda: self._connection.close_code is not None or self._stopped(), self._line.patience_s)
        raise _Quiet

    async def _leave(self) -> None:
        trouble = self._script.trouble
        if trouble.hang_up_at_ms is not None or trouble.deaf:
            self._connection.transport.abort()
        await self._connection.close()


class _HungUp(Exception):
    pass


class _Quiet(Exception):
    pass
