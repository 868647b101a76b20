"""What can be read with a RingCX token: the sub-accounts, the segments of a window, the transcript of a segment.

Each answers one request from the state of the sandbox alone; rate limits, faults and tokens were dealt with before.
"""

import re
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import msgspec

from connectors.sandbox import replies
from connectors.sandbox.call import Call, World
from connectors.sandbox.doors import refusal_of
from connectors.sandbox.junk import junk_transcript, with_junk_items
from connectors.sandbox.model import Key
from connectors.sandbox.replies import Reply

WINDOW_START = re.compile(r"\d{4}-\d{2}-\d{2} \d{2}:\d{2}:\d{2}")


def admin_accounts(world: World, call: Call) -> Reply:
    """The sub-accounts of the user (spec: `/voice/api/v1/admin/accounts`); denied ones are listed too."""
    config = world.config
    subs = world.sub_accounts.values()
    return replies.ok([replies.account(sub, config.rc_account_id, config.main_account_id) for sub in subs])


def interaction_metadata(world: World, call: Call) -> Reply:
    """The segments that end in a window (spec: `.../interaction-metadata`), as visible now, by end time."""
    if refusal := refusal_of(world, call):
        return refusal
    window, problems = _window(call.body, world.config.max_interval)
    if window is None:
        return replies.error(400, call.uri, call.now_ms, problems)
    seen = world.life.window(call.ids["sub"], *window, call.now_ms)
    return replies.ok(with_junk_items([replies.metadata_item(item) for item in seen], world.config.faults))


def transcript(world: World, call: Call) -> Reply:
    """The transcript of one segment (spec: `.../transcripts/dialogs/.../segments/...`); 404 until it is ready."""
    if refusal := refusal_of(world, call):
        return refusal
    segment = world.life.find(Key(call.ids["sub"], call.ids["dialog"], call.ids["segment"]))
    if segment is None or not world.life.serves(segment, call.now_ms):
        return replies.error(404, call.uri, call.now_ms)
    junk = None if segment.rejected_code is not None else junk_transcript(segment, world.config.faults)
    return replies.transcript(segment) if junk is None else Reply(200, junk)


Problem = tuple[str, str, str]


def _window(body: bytes, max_interval: int) -> tuple[tuple[int, int] | None, list[Problem]]:
    """The window `[start, end)` in epoch milliseconds that a metadata request asks for, or what is wrong with it."""
    try:
        fields = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None, []
    if not isinstance(fields, dict):
        return None, []
    names = ("segmentEndTime", "timeInterval", "timeZone")
    problems: list[Problem] = [(name, "must not be null", "null") for name in names if fields.get(name) is None]
    start, interval, zone = _start(fields.get(names[0])), fields.get(names[1]), _zone(fields.get(names[2]))
    if start is None:
        problems.append((names[0], "must match the format YYYY-MM-DD HH:mm:ss", str(fields.get(names[0]))))
    if not isinstance(interval, int) or isinstance(interval, bool) or not 1 <= interval <= max_interval:
        problems.append((names[1], f"must be an integer between 1 and {max_interval}", str(interval)))
    if zone is None:
        problems.append((names[2], "must be a time zone name", str(fields.get(names[2]))))
    if problems or start is None or not isinstance(interval, int):
        return None, _first_of_each(problems)
    try:
        start_ms = int(start.replace(tzinfo=zone).astimezone(UTC).timestamp()) * 1000
    except (OverflowError, ValueError):
        return None, [(names[0], "is out of range", str(fields[names[0]]))]
    return (start_ms, start_ms + interval * 1000), []


def _first_of_each(problems: list[Problem]) -> list[Problem]:
    return list({name: (name, message, value) for name, message, value in reversed(problems)}.values())[::-1]


def _start(value: object) -> datetime | None:
    if not isinstance(value, str) or not WINDOW_START.fullmatch(value):
        return None
    try:
        return datetime.fromisoformat(value)
    except ValueError:
        return None


def _zone(value: object) -> ZoneInfo | None:
    try:
        return ZoneInfo(value) if isinstance(value, str) and value else None
    except (ValueError, OSError, LookupError):  # a folder of the zone database, an unsafe path, an unknown name
        return None
