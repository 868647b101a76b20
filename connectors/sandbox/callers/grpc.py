"""A caller over gRPC: `Streaming/Stream` of ringcx-api.md, *Call streaming*, one connection for each call."""

import asyncio
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import grpc
import grpc.aio

from connectors.sandbox.callers.deliveries import Delivery
from connectors.sandbox.callers.line import Line, Outcome, Progress, Stopped, never, play, wait_until
from connectors.sandbox.callers.protocol import ENUMS, METHOD, stream_event
from connectors.sandbox.callers.script import CHUNK_MS, SAMPLES_PER_MS, CallScript, Speaker, Track, tracks
from connectors.sandbox.callers.truth import chunk

MALFORMED = b"\x0a\xff\xff\xff"  # a string of 2 million bytes that ends at once
STATUS_S = 0.5
PLAIN = ("grpc", "http")
OPTIONS = (
    ("grpc.use_local_subchannel_pool", 1),  # otherwise all calls of a process share one connection
    ("grpc.max_send_message_length", -1),
    ("grpc.enable_retries", 0),
    ("grpc.enable_http_proxy", 0),
)


def init_message(script: CallScript) -> bytes:
    """DialogInit: the account and the dialog."""
    account = {"id": script.main_account_id, "sub_account_id": script.sub_account_id}
    dialog = {
        "id": script.dialog_id,
        "type": ENUMS["DialogType"]["OUTBOUND" if script.is_outbound else "INBOUND"],
        "ani": script.ani,
        "dnis": script.dnis,
        "language": script.language,
        "attributes": dict(script.attributes),
    }
    init = {"account": account | {"rc_account_id": script.rc_account_id}, "dialog": dialog}
    return _event(script, dialog_init=init)


def start_message(script: CallScript, who: Speaker) -> bytes:
    """SegmentStart: the product, the participant and the format of the audio."""
    ptime = script.chunk_ms or CHUNK_MS["grpc"]
    start = {
        "segment_id": who.segment_id,
        "product": {"id": str(script.product_id), "type": ENUMS["ProductType"][script.product_type]},
        "participant": {"id": who.participant_id, "type": ENUMS["ParticipantType"][who.kind], "name": who.name},
        "audio_format": {"codec": ENUMS["Codec"]["PCMU"], "rate": 8000, "ptime": ptime},
    }
    return _event(script, segment_start=start)


def media_message(script: CallScript, segment_id: str, seq: int, audio: bytes) -> bytes:
    """SegmentMedia: one chunk."""
    content = {"payload": audio, "seq": seq, "duration": len(audio) // SAMPLES_PER_MS}
    return _event(script, segment_media={"segment_id": segment_id, "audio_content": content})


def info_message(script: CallScript, segment_id: str, event: str) -> bytes:
    """SegmentInfo: `hold` or `unhold`."""
    return _event(script, segment_info={"segment_id": segment_id, "event": event})


def stop_message(script: CallScript, segment_id: str) -> bytes:
    """SegmentStop."""
    return _event(script, segment_stop={"segment_id": segment_id})


def _event(script: CallScript, **event: dict[str, Any]) -> bytes:
    made: bytes = stream_event()(session_id=script.session, **event).SerializeToString()
    return made


async def dial_grpc(script: CallScript, line: Line, stopped: Stopped = never) -> Outcome:
    """Dial a receiver and play the call; returns when it is over, refused or broken off, and never raises for that.

    Nothing is tried again: what the platform does after a failure is not documented for gRPC.
    """
    async with _channel(line) as channel:
        return await _Caller(script, line, stopped).run(channel)


def _channel(line: Line) -> grpc.aio.Channel:
    parts = urlsplit(line.url)
    port = parts.port or (80 if parts.scheme in PLAIN else 443)
    target = f"{parts.hostname}:{port}"
    if parts.scheme in PLAIN:
        return grpc.aio.insecure_channel(target, options=OPTIONS)
    roots = None if line.ca is None else Path(line.ca).read_bytes()
    return grpc.aio.secure_channel(target, grpc.ssl_channel_credentials(roots), options=OPTIONS)


class _Caller:
    """One call on a channel."""

    def __init__(self, script: CallScript, line: Line, stopped: Stopped) -> None:
        self._script, self._line, self._stopped = script, line, stopped
        self._tracks = tracks(script, "grpc")
        self._size = script.chunk_bytes("grpc")
        self._progress = Progress()
        self._open: list[str] = []
        self._error = ""
        self._told: grpc.StatusCode | None = None

    async def run(self, channel: grpc.aio.Channel) -> Outcome:
        token = f"wrong-{self._line.token}" if self._script.trouble.wrong_token else self._line.token
        metadata = (("authorization", token),) if token else ()
        self._call = channel.stream_unary(METHOD)(metadata=metadata)
        self._call.add_done_callback(self._note)
        try:
            await self._talk()
            await asyncio.wait_for(asyncio.shield(self._call), self._line.patience_s)
        except (grpc.aio.AioRpcError, asyncio.InvalidStateError):
            self._error = "ended by the receiver"  # its status says why
        except TimeoutError:
            self._error = "no answer"
        except _HungUp:
            self._error = "hung up"
        code = await self._status()
        progress = self._progress
        return Outcome(
            accepted=code is grpc.StatusCode.OK or bool(self._error in ("hung up", "no answer")),
            status=code.name,
            sent=dict(progress.sent),
            played_ms=progress.played_ms,
            stopped=progress.stopped,
            error=self._error,
        )

    def _note(self, call: grpc.aio.Call) -> None:
        """Keep the receiver's status as it comes: a message that was under way then puts INTERNAL in its place."""
        try:
            call.code().send(None)
        except StopIteration as known:
            self._told = self._told if self._is_told() else known.value

    def _is_told(self) -> bool:
        return self._told not in (None, grpc.StatusCode.INTERNAL)

    async def _status(self) -> grpc.StatusCode:
        if self._error != "ended by the receiver":
            self._call.cancel()
        await wait_until(self._is_told, STATUS_S)  # the message may fail first, and the status come after it
        return self._told or await self._call.code()

    async def _talk(self) -> None:
        if self._script.trouble.silent:
            await self._keep_quiet()
        await self._call.write(init_message(self._script))
        await play(self._progress, self._script, "grpc", (self._line, self._stopped), self._moment)
        for segment_id in self._open:
            await self._call.write(stop_message(self._script, segment_id))
        await self._call.done_writing()

    async def _moment(self, due: list[Delivery]) -> None:
        for delivery in due:
            if delivery.kind == "malformed":
                await self._call.write(MALFORMED)
            elif delivery.kind == "oversized":
                audio = bytes(self._script.trouble.oversized_bytes)
                await self._call.write(media_message(self._script, self._tracks[0].name, 1, audio))
            elif delivery.kind == "quiet":
                self._progress.played_ms = delivery.at_ms
                await self._keep_quiet()
            elif delivery.kind == "hang up":
                self._progress.played_ms = delivery.at_ms
                raise _HungUp
            else:
                await self._of_track(self._tracks[delivery.track], delivery)

    async def _of_track(self, track: Track, delivery: Delivery) -> None:
        script, name = self._script, track.name
        if delivery.kind == "chunk":
            audio = chunk(track.audio, self._size, delivery.number)
            await self._call.write(media_message(script, name, delivery.number + script.first_seq, audio))
            self._progress.sent[name] = self._progress.sent.get(name, 0) + 1
        elif delivery.kind == "start" and track.speaker:
            await self._call.write(start_message(script, track.speaker))
            self._open.append(name)
        elif delivery.kind == "stop":
            await self._call.write(stop_message(script, name))
            self._open.remove(name)
        else:
            await self._call.write(info_message(script, name, delivery.kind))

    async def _keep_quiet(self) -> None:
        """Hold the line until the receiver has enough of it, or nobody has any patience left."""
        await wait_until(lambda: self._call.done() or self._stopped(), self._line.patience_s)
        raise _HungUp if not self._call.done() else asyncio.InvalidStateError


class _HungUp(Exception):
    pass
