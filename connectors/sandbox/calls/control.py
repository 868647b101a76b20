"""Media control: streams of live dialogs and segments are started and stopped (seed 000, *Media Control APIs*).

Not documented, and assumed: a stream id may be used again once its stream is over; it may run once in a sub-account; a
start is answered before anything is dialled; a stop of a stream that does not run, or not at that level, is a conflict.
"""

import msgspec

from connectors.sandbox import replies
from connectors.sandbox.call import Call, World
from connectors.sandbox.calls.ongoing import Ongoing, Stream
from connectors.sandbox.doors import refusal_of
from connectors.sandbox.replies import Reply

ACCEPTED = Reply(200, b"", replies.TEXT)


class Properties(msgspec.Struct, frozen=True):
    """How the audio is asked for (spec: `AudioStreamProperties`); free-form, only `ptime` changes what is sent."""

    encoding: str | None = None
    rate: int | None = None
    ptime: int | None = None


class Start(msgspec.Struct, frozen=True, rename="camel"):
    """The body of a start (spec: `StartStreamRequestDTO`)."""

    url: str | None = None
    stream_id: str | None = None
    token: str | None = None
    properties: Properties | None = None


def start_stream(world: World, call: Call) -> Reply:
    """Start a stream of a dialog, or of one segment if the path names one: 200 with an empty body."""
    if refusal := refusal_of(world, call):
        return refusal
    try:
        start = msgspec.json.decode(call.body, type=Start)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return replies.error(400, call.uri, call.now_ms)
    missing = [(name, "must not be blank", "") for name in ("url", "streamId") if not _value(start, name)]
    if missing or not start.url or not start.stream_id:
        return replies.error(400, call.uri, call.now_ms, missing)
    ongoing = _addressed(world, call)
    if ongoing is None:
        return replies.error(404, call.uri, call.now_ms)
    if world.calls.is_running(call.ids["sub"], start.stream_id):
        return replies.error(409, call.uri, call.now_ms)
    segment_id = call.ids.get("segment")
    script, token = ongoing.script(segment_id, _ptime(start)), start.token or ""
    stream = Stream(start.stream_id, segment_id, script, start.url, token)
    world.calls.stream(ongoing, stream, start.url, token)
    return ACCEPTED


def stop_stream(world: World, call: Call) -> Reply:
    """Stop a stream at the level at which it was started: 200 with an empty body."""
    if refusal := refusal_of(world, call):
        return refusal
    ongoing = _addressed(world, call)
    if ongoing is None:
        return replies.error(404, call.uri, call.now_ms)
    stream = ongoing.running(call.ids["stream"])
    if stream is None or stream.segment_id != call.ids.get("segment"):
        return replies.error(409, call.uri, call.now_ms)
    stream.is_stopping = True
    return ACCEPTED


def _addressed(world: World, call: Call) -> Ongoing | None:
    """The live call of the path; None if it is over, was never there, or has no such segment."""
    ongoing = world.calls.live(call.ids["sub"], call.ids["dialog"])
    segment_id = call.ids.get("segment")
    if ongoing is None or segment_id is None:
        return ongoing
    own = {who.segment_id for who in ongoing.live.speakers if who.kind != "CONTACT"}
    return ongoing if segment_id in own else None


def _value(start: Start, name: str) -> str | None:
    return start.url if name == "url" else start.stream_id


def _ptime(start: Start) -> int | None:
    ptime = start.properties.ptime if start.properties else None
    return ptime if ptime is not None and 1 <= ptime <= 1000 else None
