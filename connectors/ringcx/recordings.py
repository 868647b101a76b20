"""Recordings: a segment's audio, as RingCX streams it. Source: `GET .../recordings/dialogs/{d}/segments/{s}`."""

from typing import TypeVar

from connectors.http import Take
from connectors.ringcx.calling import Call, Caller, account_path, part

T = TypeVar("T")

GROUP = "recordings"
PERMISSION = (
    "Recordings need the recording switched on in the queue (RingCX Admin > Routing > Voice queues & skills > Recording"
    " settings), the OAuth scope ReadAccounts, and the user access to this sub-account."
)


class Recordings:
    """Reads recordings."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    async def fetch(self, rc_account_id: str, sub_account_id: str, dialog_id: str, segment_id: str, take: Take[T]) -> T:
        """What `take` makes of the WAV file, chunk by chunk.

        Raises NotReady until RingCX has it, 10 to 15 minutes after the segment's end, and after its retention.
        """
        path = f"{account_path(rc_account_id, sub_account_id)}/recordings/dialogs/{part(dialog_id)}"
        path += f"/segments/{part(segment_id)}"
        call = Call(group=GROUP, method="GET", path=path, permission=PERMISSION, accept="audio/wav")
        return await self._caller.receive(call, take)
