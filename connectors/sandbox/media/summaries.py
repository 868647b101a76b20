"""Summaries of segments (spec: `/voice/api/v1/summary/...`).

Traps: the token comes in a cookie; the body is raw text although its content type says JSON; and the path has no dialog
although segment ids repeat under other dialogs, so the newest segment answers for all of them.
"""

from connectors.sandbox import replies
from connectors.sandbox.call import Call, World
from connectors.sandbox.faults import draw
from connectors.sandbox.model import Segment
from connectors.sandbox.replies import Reply

NOT_POPULATED_SHARE = 0.05  # made up
QUOTED = 160  # characters


def auto_summary(world: World, call: Call) -> Reply:
    """What the AI says of a segment that has a transcript, once that is there; 404 for the others."""
    segment = _segment(world, call)
    if segment is None or not world.life.serves(segment, call.now_ms) or segment.rejected_code is not None:
        return replies.error(404, call.uri, call.now_ms)
    return Reply(200, summary_of(segment).encode())


def agent_summary(world: World, call: Call) -> Reply:
    """What the agent wrote; 404 if there is no agent or nothing was ever asked of them."""
    segment = _segment(world, call)
    if segment is None or segment.agent_notes is None or world.life.is_expired(segment, call.now_ms):
        return replies.error(404, call.uri, call.now_ms)
    return Reply(200, segment.agent_notes.encode())


def summary_of(segment: Segment) -> str:
    """The text: who said what first and last; empty if nothing was said, and for a few others."""
    is_blank = draw(0, "summary", *segment.key) < NOT_POPULATED_SHARE
    if is_blank or not segment.phrases:
        return ""
    first, last = segment.phrases[0].message[:QUOTED], segment.phrases[-1].message[:QUOTED]
    return f'The conversation began with "{first}" and ended, {len(segment.phrases)} turns later, with "{last}".'


def _segment(world: World, call: Call) -> Segment | None:
    sub = world.sub_accounts.get(call.ids["sub"])
    if sub is None or sub.denied:
        return None
    return world.life.newest(call.ids["sub"], call.ids["segment"], call.now_ms)
