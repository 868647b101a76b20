"""Summaries of a segment: RingCX's own, and the agent's.

Source: `GET /voice/api/v1/summary/accounts/{subAccountId}/segments/{segmentId}/auto` and `/agent`. Their token goes
in a cookie. They name no dialog: of a segment id that repeats, RingCX chooses.
"""

import msgspec

from connectors.ringcx.calling import Call, Caller, part

GROUP = "summaries"
AUTO, AGENT = "auto", "agent"
PERMISSION = (
    "Summaries need 'Enable AI Summaries' on the queue (RingCX Admin > Routing > Voice/Digital Queues & Skills > AI"
    " Tools), and the user access to this sub-account."
)


class Summaries:
    """Reads summaries."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    async def fetch(self, sub_account_id: str, segment_id: str, kind: str) -> str:
        """The text; empty when RingCX has not filled it in. Raises NotReady when there is none."""
        path = f"/voice/api/v1/summary/accounts/{part(sub_account_id)}/segments/{part(segment_id)}/{part(kind)}"
        call = Call(group=GROUP, method="GET", path=path, permission=PERMISSION, by_cookie=True)
        return await self._caller.send(call, read_summary)


def read_summary(body: bytes) -> str:
    """The text of an answer, which is the body itself, or, as its content type has it, a JSON string of it."""
    text = body.decode()
    if text[:1] == text[-1:] == '"' and len(text) > 1:
        try:
            return msgspec.json.decode(body, type=str)
        except msgspec.DecodeError:
            return text
    return text
