"""Recordings of segments: RingCX's own path, and RingCentral's media host as a call log points at it.

Source: ringcx-api.md, *Summaries and recordings*; seed 004 for `access_token` in the address.
"""

import zlib

from connectors.sandbox import replies
from connectors.sandbox.call import Call, World
from connectors.sandbox.doors import refusal_of
from connectors.sandbox.faults import draw
from connectors.sandbox.model import Key, Segment
from connectors.sandbox.replies import WAV, Reply

CONTENT = "/restapi/v1.0/account/~/recording/{id}/content"


def recording(world: World, call: Call) -> Reply:
    """The recording of one segment as a WAV file; 404 without one, until it is ready, and after retention."""
    if refusal := refusal_of(world, call):
        return refusal
    return _wav(world, call, Key(call.ids["sub"], call.ids["dialog"], call.ids["segment"]))


def content(world: World, call: Call) -> Reply:
    """The same by RingCentral's own id of the recording, which `content_path` makes."""
    key = world.recordings.get(call.ids["id"])
    return replies.error(404, call.uri, call.now_ms) if key is None else _wav(world, call, key)


def content_path(world: World, key: Key) -> str:
    """The path of a segment's recording on RingCentral's media host."""
    number = str(10**9 + zlib.crc32("\n".join(key).encode()))
    world.recordings[number] = key
    return CONTENT.format(id=number)


def is_ready(world: World, segment: Segment, now_ms: int) -> bool:
    """Whether the recording of a segment can be had: some minutes after the end, for as long as retention says."""
    if not segment.has_recording or world.life.is_expired(segment, now_ms):
        return False
    soonest_s, latest_s = world.config.recording_s
    wait_s = soonest_s + (latest_s - soonest_s) * draw(world.config.seed, "recording", *segment.key)
    return now_ms >= segment.end_ms + wait_s * 1000


def _wav(world: World, call: Call, key: Key) -> Reply:
    segment = world.life.find(key)
    if segment is None or not is_ready(world, segment, call.now_ms):
        return replies.error(404, call.uri, call.now_ms)
    sound = world.calls.sound(key) or world.sounds.of_segment(segment)
    return Reply(200, world.sounds.wav(sound, world.config.recording_channels), WAV)
