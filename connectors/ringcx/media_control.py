"""Media control: start and stop the audio stream of a dialog, or of one segment of it, while it is live.

A request is never sent twice unless it surely was not done: a second start of the same stream would leave it in a
state that nobody knows. Where that is in doubt, `Uncertain` is raised. Source: RingCX *Media Control APIs*.
"""

from dataclasses import dataclass, field

from connectors.errors import ConnectorError, NotReady, Rejected, Uncertain
from connectors.ringcx.calling import Call, Caller, account_path, part

GROUP = "media-control"
PERMISSION = (
    "Media control needs the OAuth scope ReadAccounts, call streaming switched on for the account, and the user access"
    " to the sub-account that owns the dialog: confirm account mapping and streaming access."
)
MEANINGS = {
    400: "RingCX misses the url or the stream id, or cannot read the request",
    404: "the dialog or segment is no longer addressable: start streams while the interaction is active",
    409: "duplicate or conflicting stream state: a start of a stream that runs already, a stop of one that does not, or"
    " another start or stop of it at the same time",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Where a stream belongs; without a segment, to the whole dialog."""

    rc_account_id: str
    sub_account_id: str
    dialog_id: str
    segment_id: str = ""

    @property
    def path(self) -> str:
        """Its streams' path."""
        segment = f"/segments/{part(self.segment_id)}" if self.segment_id else ""
        account = account_path(self.rc_account_id, self.sub_account_id)
        return f"{account}/dialogs/{part(self.dialog_id)}{segment}/streams"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A stream to start: its id, which we choose, where the audio goes, what the receiver is shown, how it sounds."""

    stream_id: str
    url: str = field(repr=False)  # it may carry what only the receiver is to see
    token: str = field(default="", repr=False)
    encoding: str = "PCMU"
    rate_hz: int = 8000
    ptime_ms: int = 20


class MediaControl:
    """Starts and stops streams."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    async def start(self, address: Address, wanted: Wanted) -> None:
        """Return when RingCX has accepted it. Source: `POST .../dialogs/{dialogId}[/segments/{segmentId}]/streams`.

        Raises Uncertain when it may have been accepted; Rejected with status 409 when the stream is there already;
        NotReady when the dialog is over.
        """
        body: dict[str, object] = {
            "url": wanted.url,
            "streamId": wanted.stream_id,
            "properties": {"encoding": wanted.encoding, "rate": wanted.rate_hz, "ptime": wanted.ptime_ms},
        }
        if wanted.token:
            body["token"] = wanted.token
        await self._send("POST", address.path, f"the start of stream {wanted.stream_id}", body)

    async def stop(self, address: Address, stream_id: str) -> None:
        """Return when RingCX has accepted it. Source: `DELETE` of the start's path and `/{streamId}`.

        Raises as `start`; NotReady when the dialog, and so the stream, is over.
        """
        await self._send("DELETE", f"{address.path}/{part(stream_id)}", f"the stop of stream {stream_id}")

    async def _send(self, method: str, path: str, what: str, body: object = None) -> None:
        call = Call(group=GROUP, method=method, path=path, permission=PERMISSION, body=body)
        try:
            await self._caller.send(call, lambda _: None, once=True)
        except (Rejected, NotReady, Uncertain) as error:
            raise _explained(error, what) from None


def _explained(error: ConnectorError, what: str) -> ConnectorError:
    """The same error, in words that say what to do."""
    if isinstance(error, Uncertain):
        said = f"{what} got no clear answer ({error}): it may have been done or not. See `ringcx-etl stream list`;"
        said += " `ringcx-etl stream stop` ends it, and starting it once more tells whether it runs"
    else:
        meaning = MEANINGS.get(error.status or 0, "RingCX will not do this")
        said = f"{what} was refused: {meaning} ({error})"
    kind = type(error)
    return kind(said, group=error.group, status=error.status, code=error.code, body=error.body)
