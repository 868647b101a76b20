"""Streams started and stopped, and on record before anything is asked for. Knows no Prefect.

    starting   asked for; no answer yet, or this program was killed before it came
    started    RingCX said that it starts
    stopping   its stop was asked for, as `starting`
    stopped    RingCX said that it stops, or that its dialog is over
    refused    RingCX said no: nothing runs
    unknown    no clear answer: it may run or not

Everything but the last two but one may run. The row is committed before the request goes out, so whatever happens then,
what may still be running can be listed and stopped. No request is sent twice unless it surely was not done.
"""

import hashlib
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime

import msgspec
import pyarrow as pa
from filelock import AsyncFileLock, Timeout

from connectors import state
from connectors.errors import ConnectorError, NotReady, Uncertain
from connectors.ringcx.media_control import Address, MediaControl, Wanted
from flows.calls import addresses
from flows.calls.tables import STREAMS
from flows.ports import Store
from flows.runtime import Runtime
from flows.settings import SettingsError
from sinks.changes import Upsert

STARTING, STARTED, STOPPING, STOPPED = "starting", "started", "stopping", "stopped"
REFUSED, UNKNOWN = "refused", "unknown"
MAY_RUN = (STARTING, STARTED, STOPPING, UNKNOWN)
IN_DOUBT = (STARTING, STOPPING, UNKNOWN)

TURN_WITHIN_S = 60.0  # how long one waits for another start or stop of the same stream
DIGESTS_KEPT = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamRequest:
    """What to stream, where to, and how. Empty: the only sub-account, `RINGCX_RECEIVE_URL`, a token made for it."""

    dialog_id: str
    segment_id: str = ""
    sub_account_id: str = ""
    url: str = field(default="", repr=False)
    token: str = field(default="", repr=False)
    encoding: str = "PCMU"
    rate_hz: int = 8000
    ptime_ms: int = 20


class Stream(msgspec.Struct, frozen=True, kw_only=True):
    """A row of `streams`: see there."""

    stream_id: str
    sub_account_id: str
    dialog_id: str
    segment_id: str
    state: str
    url: str
    encoding: str
    rate_hz: int
    ptime_ms: int
    asked_at: datetime
    token_digest: str | None = None
    started_at: datetime | None = None
    stopped_at: datetime | None = None
    error: str | None = None

    @property
    def may_run(self) -> bool:
        """Whether audio may be flowing, for all that is known."""
        return self.state in MAY_RUN


def stream_id(sub_account_id: str, dialog_id: str, segment_id: str, url: str) -> str:
    """The same for the same stream, whoever asks: a digest, so that no id of the platform's has to fit a path."""
    place = f"{sub_account_id}\0{dialog_id}\0{segment_id}\0{url}"
    return f"etl-{hashlib.sha256(place.encode()).hexdigest()[:16]}"


async def start(runtime: Runtime, request: StreamRequest) -> Stream:
    """Start a stream, or find that it runs already; its row as it is then.

    Raises SettingsError for an address that cannot be used, and the errors of `connectors.errors`: Uncertain when
    nobody can say whether it runs. The row says so, too.
    """
    _check_ids(request)
    runtime.lake.create()
    url = addresses.usable(request.url or runtime.settings.ringcx_receive_url)
    accounts = await runtime.accounts()
    account = only(request.sub_account_id, accounts.sub_account_ids)
    name = stream_id(account, request.dialog_id, request.segment_id, url)
    address = Address(
        rc_account_id=accounts.rc_account_id,
        sub_account_id=account,
        dialog_id=request.dialog_id,
        segment_id=request.segment_id,
    )
    token = request.token or secrets.token_urlsafe(32)
    wanted = Wanted(
        stream_id=name,
        url=addresses.with_ids(url, address),
        token=token,
        encoding=request.encoding,
        rate_hz=request.rate_hz,
        ptime_ms=request.ptime_ms,
    )
    async with _turn(runtime, name):
        before = find(runtime.lake, name)
        asked = _asked(before, address, wanted, runtime.now())
        _store(runtime.lake, asked)
        try:
            await MediaControl(runtime.caller).start(address, wanted)
        except ConnectorError as error:
            after = _not_started(asked, before, error, runtime.now())
            _store(runtime.lake, after)
            if error.status == 409 and after.state == STARTED and before and before.state in IN_DOUBT:
                return after
            raise
        digest = _digest(token)
        return _store(
            runtime.lake, _now(asked, state=STARTED, started_at=runtime.now(), token_digest=digest, error=None)
        )


async def stop(runtime: Runtime, name: str) -> Stream:
    """Stop a stream of ours, whatever is known of it; its row as it is then. One whose dialog is over has stopped.

    Raises SettingsError for one that is not on record, and the errors of `connectors.errors`.
    """
    accounts = await runtime.accounts()
    async with _turn(runtime, name):
        before = find(runtime.lake, name)
        if before is None:
            raise SettingsError(f"stream {name} was never asked for here: `ringcx-etl stream list --all` names all")
        address = Address(
            rc_account_id=accounts.rc_account_id,
            sub_account_id=before.sub_account_id,
            dialog_id=before.dialog_id,
            segment_id=before.segment_id,
        )
        _store(runtime.lake, _now(before, state=STOPPING))
        try:
            await MediaControl(runtime.caller).stop(address, name)
        except NotReady as error:
            return _store(runtime.lake, _now(before, state=STOPPED, stopped_at=runtime.now(), error=str(error)))
        except ConnectorError as error:
            doubt = isinstance(error, Uncertain) or error.status == 409
            _store(runtime.lake, _now(before, state=UNKNOWN if doubt else before.state, error=str(error)))
            raise
        return _store(runtime.lake, _now(before, state=STOPPED, stopped_at=runtime.now(), error=None))


async def stop_all(
    runtime: Runtime, on_each: Callable[[Stream, ConnectorError | None], None] = lambda stream, error: None
) -> list[Stream]:
    """Stop everything that may run. Those that may still run afterwards; each is told of, with its error."""
    left = []
    for stream in streams(runtime.lake):
        try:
            on_each(await stop(runtime, stream.stream_id), None)
        except ConnectorError as error:
            left.append(stream)
            on_each(stream, error)
    return left


def streams(store: Store, *, ended: bool = False) -> list[Stream]:
    """The streams that may run, or all of them; latest first."""
    rows = store.query(f"{SELECT} WHERE ? OR list_contains(?, state) ORDER BY asked_at DESC", [ended, list(MAY_RUN)])
    return msgspec.convert(rows.to_pylist(), list[Stream])


def find(store: Store, name: str) -> Stream | None:
    """The stream of that id, if it was ever asked for."""
    rows = msgspec.convert(store.query(f"{SELECT} WHERE stream_id = ?", [name]).to_pylist(), list[Stream])
    return rows[0] if rows else None


def accepts(store: Store, token: str) -> bool:
    """Whether this is the token of a stream that may run. It need not be kept anywhere: its digest is enough."""
    sql = "SELECT count(*) AS n FROM streams WHERE list_contains(?, state)"
    sql += " AND list_contains(string_split(token_digest, ' '), ?)"
    return bool(token) and store.query(sql, [list(MAY_RUN), _digest(token)]).to_pylist()[0]["n"] > 0


SELECT = f"SELECT {', '.join(Stream.__struct_fields__)} FROM streams"  # noqa: S608 - its own columns


def _asked(before: Stream | None, address: Address, wanted: Wanted, now: datetime) -> Stream:
    """The row of a stream that is about to be started; of one that may run, with the tokens that it may be shown."""
    digests = [_digest(wanted.token)]
    if before and before.may_run:
        digests += [digest for digest in (before.token_digest or "").split() if digest not in digests]
    return Stream(
        stream_id=wanted.stream_id,
        sub_account_id=address.sub_account_id,
        dialog_id=address.dialog_id,
        segment_id=address.segment_id,
        state=STARTING,
        url=addresses.bare(wanted.url),
        encoding=wanted.encoding,
        rate_hz=wanted.rate_hz,
        ptime_ms=wanted.ptime_ms,
        token_digest=" ".join(digests[:DIGESTS_KEPT]),
        asked_at=now,
    )


def _not_started(asked: Stream, before: Stream | None, error: ConnectorError, now: datetime) -> Stream:
    """The row after a start that did not go through."""
    said, was_in_doubt = str(error), before is not None and before.state in IN_DOUBT
    if isinstance(error, Uncertain):
        return _now(asked, state=UNKNOWN, error=said)
    if before is None or not before.may_run:
        return _now(asked, state=REFUSED, error=said)
    if isinstance(error, NotReady):
        return _now(before, state=STOPPED, stopped_at=now, error=said)
    if error.status == 409 and was_in_doubt:
        return _now(before, state=STARTED, started_at=before.started_at or now, error=None)
    return _now(before, state=UNKNOWN if was_in_doubt else before.state, error=said)


def _store(store: Store, stream: Stream) -> Stream:
    rows = pa.Table.from_pylist([msgspec.structs.asdict(stream)], STREAMS.schema)
    store.commit([Upsert(STREAMS, rows)], f"stream {stream.stream_id}: {stream.state}")
    return stream


def _now(stream: Stream, **changes: object) -> Stream:
    return msgspec.structs.replace(stream, **changes)


@asynccontextmanager
async def _turn(runtime: Runtime, name: str) -> AsyncIterator[None]:
    """One start or stop of a stream at a time, on this machine: together they leave a state that nobody knows."""
    folder = runtime.settings.state_folder / "streams"
    lock = AsyncFileLock(folder / f"{hashlib.sha256(name.encode()).hexdigest()[:32]}.lock", timeout=TURN_WITHIN_S)
    with state.usable(folder):
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        try:
            await lock.acquire()
        except Timeout:
            raise SettingsError(f"stream {name}: another start or stop of it is under way; try again") from None
    try:
        yield
    finally:
        await lock.release()


def _check_ids(request: StreamRequest) -> None:
    given = {"dialog": request.dialog_id, "--segment": request.segment_id, "--sub-account": request.sub_account_id}
    for name, value in given.items():
        if any("\ud800" <= sign <= "\udfff" for sign in value):  # bytes of a command line that are no text
            raise SettingsError(f"{name}: is not text")
    if not request.dialog_id:
        raise SettingsError("dialog: name the dialog to stream")


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def only(given: str, known: tuple[str, ...]) -> str:
    """The sub-account that is meant: the one that is named, or the only one. Raises SettingsError."""
    if given:
        return given
    if len(known) > 1:
        raise SettingsError(f"sub-account: name the one that owns the dialog ({', '.join(known)})")
    return known[0]
