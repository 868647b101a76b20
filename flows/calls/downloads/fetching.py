"""One run that fetches items of segments: what is due, a few at a time; what came of it is committed as it goes on.

Kill it anywhere: what was committed is complete, and the rest is asked for again. One run of a kind at a time, by a
lock that a dead process loses. Knows no Prefect.
"""

import asyncio
import hashlib
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from filelock import FileLock, Timeout

from connectors import state
from connectors.errors import Blocked, ConnectorError
from connectors.limits import Limit
from flows.calls.downloads.choice import Choice
from flows.calls.downloads.haul import Arrival, Fetched, Haul, Item, Outcome, arrived, failed
from flows.on_record import DONE, FAILED, on_record, record
from flows.pipeline import unbroken
from flows.planning import sending_time
from flows.runtime import Accounts, Runtime
from flows.settings import SettingsError
from sinks.changes import Change
from sinks.errors import LakeError

ROUND = 2000  # items looked up at once
FLUSH_EVERY, FLUSH_S = 240, 5.0
GIVE_UP_AFTER = 8  # answers in vain in a row before a sub-account's items are left for the next run

Progress = Callable[[Haul], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Errand:
    """What kind of items a run is after: how to find those that are due, to ask for one, and to keep what came."""

    kind: str
    limits: tuple[Limit, ...]
    due_sql: str  # the items that are due at $now, newest first; `$limit` of them
    left_sql: str  # how many are still wanted, due or not
    choice: Choice
    ready_s: float  # how long after its segment's end an item may be there
    attempt: Callable[[Accounts, Item, str], Awaitable[Arrival]]
    changes: Callable[[Sequence[Outcome], str], list[Change]]

    def parameters(self, runtime: Runtime, accounts: Accounts) -> dict[str, object]:
        """What both statements are asked with. Raises SettingsError for a sub-account that is none of these."""
        now = runtime.now()
        chosen = self.choice.parameters(accounts.sub_account_ids, now, now - runtime.patience.retention)
        return {**chosen, "ready_s": self.ready_s}


async def wanted(runtime: Runtime, errand: Errand) -> tuple[int, timedelta]:
    """How many items are due now, and how long they take at the present limits."""
    runtime.lake.create()
    due = _count_due(runtime, errand, errand.parameters(runtime, await runtime.accounts()))
    return due, sending_time(due, [(limit.requests, limit.seconds) for limit in errand.limits])


def _count_due(runtime: Runtime, errand: Errand, parameters: Mapping[str, object]) -> int:
    sql = f"SELECT count(*) AS n FROM ({errand.due_sql})"  # noqa: S608 - the program's own
    everything = {**parameters, "now": runtime.now(), "limit": 2**62}
    return int(runtime.lake.query(sql, everything).to_pylist()[0]["n"])


async def fetch(
    runtime: Runtime,
    errand: Errand,
    *,
    max_minutes: float | None = None,
    on_progress: Progress = lambda haul: None,
) -> Fetched:
    """Ask for everything that is due, newest first, and say in `runs` what came of it.

    Starts nothing new after `max_minutes`; the next run goes on where this one stopped.
    """
    started_at, kind = runtime.now(), errand.kind
    run_id = str(UUID(int=runtime.rng.getrandbits(128), version=4))
    until = None if max_minutes is None else started_at + timedelta(minutes=max_minutes)
    with on_record(runtime, run_id, kind, started_at):
        haul = Haul()
        try:
            async with _alone(runtime, kind):
                accounts = await runtime.accounts()
                parameters = errand.parameters(runtime, accounts)
                haul.wanted = _count_due(runtime, errand, parameters)
                on_progress(haul)
                await Fetching(runtime, errand, accounts, parameters, run_id, haul, on_progress, until).execute()
        except BaseException as error:
            known = isinstance(error, (ConnectorError, LakeError, SettingsError))
            stopped = not isinstance(error, Exception)  # cancelled, or a signal
            haul.troubles.append(str(error) if known else "interrupted" if stopped else type(error).__name__)
            record(runtime, run_id, kind, FAILED, started_at, haul.columns(runtime.http.spent))
            raise
        ends = FAILED if haul.troubles else DONE
        record(runtime, run_id, kind, ends, started_at, haul.columns(runtime.http.spent))
        left = runtime.lake.query(errand.left_sql, parameters).to_pylist()[0]["n"]
        return Fetched(run_id, kind, started_at, runtime.now(), haul, int(left))


@dataclass(eq=False)
class Fetching:
    """A run in progress."""

    runtime: Runtime
    errand: Errand
    accounts: Accounts
    parameters: Mapping[str, object]
    run_id: str
    haul: Haul
    on_progress: Progress
    until: datetime | None = None
    _outcomes: list[Outcome] = field(default_factory=list)
    _in_vain: Counter[str] = field(default_factory=Counter)
    _flushing: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def execute(self) -> None:
        """Round after round until nothing is due. What was fetched is kept, also when this is cancelled."""
        try:
            while items := await unbroken(self._due):
                await self._round(items)
                await self._flush()
                if self._time_is_up() or len(items) < ROUND:
                    return
        finally:
            await asyncio.shield(self._flush())

    def _due(self) -> list[Item]:
        """What is due, but of sub-accounts that are given up. Each attempt makes its item due later, or never."""
        chosen = self.errand.choice.chosen(self.accounts.sub_account_ids)
        accounts = [name for name in chosen if self._in_vain[name] < GIVE_UP_AFTER]
        parameters = {**self.parameters, "accounts": accounts, "now": self.runtime.now(), "limit": ROUND}
        return [_item(row) for row in self.runtime.lake.query(self.errand.due_sql, parameters).to_pylist()]

    async def _round(self, items: list[Item]) -> None:
        waiting = items[::-1]
        try:
            async with asyncio.TaskGroup() as group:
                flusher = group.create_task(self._flush_now_and_then())
                width = self.runtime.settings.ringcx_concurrency
                await asyncio.wait([group.create_task(self._work(waiting)) for _ in range(width)])
                flusher.cancel()
        except BaseExceptionGroup as errors:
            raise _first(errors) from None

    async def _work(self, waiting: list[Item]) -> None:
        while waiting and not self._time_is_up():
            item = waiting.pop()
            if self._in_vain[item.key[0]] >= GIVE_UP_AFTER:
                continue
            outcome = await self._attempt(item)
            self._outcomes.append(outcome)
            self.haul.count(outcome)
            self.on_progress(self.haul)
            if len(self._outcomes) >= FLUSH_EVERY:
                await self._flush()

    async def _attempt(self, item: Item) -> Outcome:
        runtime, account = self.runtime, item.key[0]
        try:
            arrival = await self.errand.attempt(self.accounts, item, self.run_id)
        except Blocked:
            raise
        except ConnectorError as error:
            retention = runtime.patience.retention
            outcome = failed(item, error, runtime.now(), retention, runtime.rng.random())
            self._in_vain[account] = self._in_vain[account] + 1 if outcome.in_vain else 0
            if self._in_vain[account] == GIVE_UP_AFTER:
                self.haul.troubles.append(
                    f"sub-account {account}: {self.errand.kind} are left for the next run after {error}"
                )
            return outcome
        self._in_vain[account] = 0
        return arrived(item, arrival, runtime.now(), runtime.rng.random())

    async def _flush_now_and_then(self) -> None:
        while True:
            await asyncio.sleep(FLUSH_S)
            await self._flush()

    async def _flush(self) -> None:
        """Commit the outcomes so far."""
        async with self._flushing:
            done = self._outcomes.copy()
            if done:
                await unbroken(self._store, done)
                del self._outcomes[: len(done)]

    def _store(self, done: list[Outcome]) -> None:
        changes = self.errand.changes(done, self.run_id)
        self.runtime.lake.commit(changes, f"{self.errand.kind} {self.run_id}: {len(done)} outcomes")

    def _time_is_up(self) -> bool:
        return self.until is not None and self.runtime.now() >= self.until


@asynccontextmanager
async def _alone(runtime: Runtime, kind: str) -> AsyncIterator[None]:
    """One run of a kind at a time: two would ask for the same."""
    lake = hashlib.sha256(runtime.lake.location.catalog.encode()).hexdigest()[:16]
    path = runtime.settings.state_folder / "alone" / f"{kind}-{lake}.lock"
    lock = FileLock(path)
    with state.usable(path):
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            raise SettingsError(f"another run fetches {kind} at the moment; it does this one's work, too") from None
    try:
        yield
    finally:
        lock.release()


def _first(errors: BaseExceptionGroup[BaseException]) -> BaseException:
    """The error that a group of tasks ended by; the others only followed from it."""
    for error in errors.exceptions:
        return _first(error) if isinstance(error, BaseExceptionGroup) else error
    return errors


def _item(row: Mapping[str, object]) -> Item:
    names = ("segment_end", "segment_start", "longest_ms", "kind", "attempts")
    key = (row["sub_account_id"], row["dialog_id"], row["segment_id"])
    return Item(key=key, **{name: row[name] for name in names})  # type: ignore[arg-type]
