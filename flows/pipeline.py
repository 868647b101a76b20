"""One run: polls windows, fetches the transcripts that are due, and commits both with their progress.

    poll    one metadata request; its segments, windows and problems are committed at once, together
    claim   take pending segments that are due, for a while, so that no other run asks for them too
    fetch   one transcript request; a few are in flight at a time
    flush   commit what was fetched: every few seconds, or few hundred transcripts

Polls of different sub-accounts, fetches and commits overlap. Kill it anywhere: what was committed is complete, and the
rest is asked for again. Knows no Prefect: a flow passes `step`, which makes a task of each poll and each flush.
"""

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TypeVar

import pyarrow as pa

from connectors.errors import Blocked, ConnectorError, Denied, NotReady
from flows import outcomes, tables
from flows.claims import given_back
from flows.columns import INSTANT
from flows.outcomes import Claim, Outcome, Patience
from flows.ports import Source, Store
from flows.tally import Tally
from flows.windows import Window, cells
from sinks.changes import Append, Change, Upsert

T = TypeVar("T")
Step = Callable[[str, Callable[[], Awaitable[T]]], Awaitable[T]]

CLAIM = 240  # transcripts claimed at once: two minutes at the documented limit
FLUSH_EVERY, FLUSH_S = 240, 5.0
HEAD_START_S = 5.0  # how long the first polls keep older transcripts waiting
GIVE_UP_AFTER = 8  # answers in vain in a row before a sub-account's transcripts are left for the next run


@dataclass(frozen=True, slots=True)
class Job:
    """What a run is to do. `claim_for`: how long a claim keeps other runs away; `until`: start nothing new after it."""

    run_id: str
    purpose: str
    rc_account_id: str
    plan: Mapping[str, Sequence[Window]]  # sub-account -> requests, in order
    step: timedelta
    offset: timedelta
    patience: Patience
    concurrency: int = 8
    claim_for: timedelta = timedelta(minutes=10)
    until: datetime | None = None
    refetch: bool = False  # also what is not pending, but asked for once more
    fetch_before: datetime | None = None  # only transcripts of segments that ended before it


async def untracked(name: str, work: Callable[[], Awaitable[T]]) -> T:
    """A step that nobody records."""
    del name
    return await work()


@dataclass(eq=False)
class Run:
    """A run in progress; `tally` says how far it is, `on_progress` is called whenever that has changed."""

    job: Job
    source: Source
    store: Store
    clock: Callable[[], float]
    step: Step[None] = untracked
    on_progress: Callable[[Tally], None] = lambda tally: None
    rng: random.Random = field(default_factory=random.Random)  # jitter, not a secret
    tally: Tally = field(default_factory=Tally)

    def __post_init__(self) -> None:
        self._due: asyncio.Queue[Claim] = asyncio.Queue(maxsize=CLAIM)
        self._outcomes: list[Outcome] = []
        self._news = asyncio.Event()  # segments may have become due, or polling has ended
        self._polling = True
        self._unheard = {account for account, requests in self.job.plan.items() if requests}
        self._flushing = asyncio.Lock()
        self._claims = 0
        self._in_vain: Counter[str] = Counter()
        self.tally.requests_planned = sum(map(len, self.job.plan.values()))

    async def execute(self) -> Tally:
        """Do it all. Raises what cannot be worked around (login refused, lake unavailable); the rest is in `troubles`.

        Claims that came to nothing are given back, even when cancelled.
        """
        try:
            async with asyncio.TaskGroup() as group:
                polls = [group.create_task(self._poll_all(*item)) for item in self.job.plan.items()]
                group.create_task(self._fetch_all())
                await asyncio.gather(*polls)
                self._polling = False
                self._news.set()
        except BaseExceptionGroup as errors:
            raise _first(errors) from None
        finally:
            await asyncio.shield(self._give_back())
        return self.tally

    # Polling

    async def _poll_all(self, sub_account_id: str, requests: Sequence[Window]) -> None:
        for window in requests:
            if self._time_is_up():
                return
            if window.end + self.job.offset > self._now():
                self._trouble(f"sub-account {sub_account_id}, {window} and later: the clock was set back; run again")
                return
            try:
                await self.step(f"poll {sub_account_id} {window}", partial(self._poll, sub_account_id, window))
            except Blocked:
                raise
            except (Denied, NotReady) as error:
                self._trouble(f"sub-account {sub_account_id}: {error}")
                return
            except ConnectorError as error:
                self._trouble(f"sub-account {sub_account_id}, {window} and later: {error}; the next run asks again")
                return

    async def _poll(self, sub_account_id: str, window: Window) -> None:
        job, tally, asked_at = self.job, self.tally, self._now()
        page = await self.source.metadata(job.rc_account_id, sub_account_id, window.start, window.end)
        segments = [listing.segment for listing in page.items]
        covered = cells(window, job.step)
        bad = tables.quarantine_rows("segment", (sub_account_id, None, None), page.problems, asked_at, job.run_id)
        rows = tables.segment_rows(page.items, asked_at)
        polled = tables.window_rows(sub_account_id, covered, segments, asked_at, job.purpose, job.run_id)
        written = await unbroken(
            self.store.commit,
            [
                Upsert(tables.SEGMENTS, rows, update=tables.UPDATE_FROM_METADATA),
                Upsert(tables.WINDOWS, polled, update=tables.UPDATE_WINDOW),
                Upsert(tables.QUARANTINE, tables.quarantine_table(bad), update={}),
            ],
            f"{job.purpose} {job.run_id}: poll {sub_account_id} {window}",
        )
        loaded = written["segments"].changed if "segments" in written else 0
        tally.requests_done += 1
        tally.windows_polled += len(covered)
        tally.flagged += sum(bool(segment.has_transcript) for segment in segments)
        tally.segments_read += len(page.items) + len(page.problems)
        tally.segments_loaded += loaded
        tally.segments_skipped += len(page.items) - loaded
        tally.segments_quarantined += len(page.problems)
        tally.unknown_fields.update(page.unknown_fields)
        self._news.set()
        self._unheard.discard(sub_account_id)
        self.on_progress(tally)

    # Fetching

    async def _fetch_all(self) -> None:
        workers = [asyncio.create_task(self._work()) for _ in range(self.job.concurrency)]
        flusher = asyncio.create_task(self._flush_now_and_then())
        claimer = asyncio.create_task(self._claim_all())
        everyone = [claimer, flusher, *workers]
        try:
            # A worker or the flusher ends before the claimer only by failing, and then all must end.
            await asyncio.wait(everyone, return_when=asyncio.FIRST_COMPLETED)
            if claimer.done() and not claimer.exception():
                for _ in workers:
                    await self._due.put(_END)
                await asyncio.gather(*workers)
                async with self._flushing:  # a store that is cancelled is committed, but not counted
                    flusher.cancel()
        finally:
            for task in everyone:
                task.cancel()
            results = await asyncio.gather(*everyone, return_exceptions=True)
        for result in results:
            if isinstance(result, BaseException) and not isinstance(result, asyncio.CancelledError):
                raise result
        await self._flush()

    async def _claim_all(self) -> None:
        """Claim until nothing is due and nothing more can become so.

        First what the first polls bring: what was claimed before would be fetched before it.
        """
        with suppress(TimeoutError):
            async with asyncio.timeout(HEAD_START_S):
                while self._unheard and self._polling:
                    self._news.clear()
                    await self._news.wait()
        while not self._time_is_up():
            self._news.clear()
            polling = self._polling
            claims = await unbroken(self._claim)
            for claim in claims:
                await self._due.put(claim)
            if not claims:
                if not polling:
                    return
                await self._news.wait()

    def _claim(self) -> list[Claim]:
        """Take up to `CLAIM` segments that are due, newest first. Another run may be quicker for some of them."""
        now, job = self._now(), self.job
        open_accounts = [account for account in job.plan if self._in_vain[account] < GIVE_UP_AFTER]
        due = self.store.query(DUE_SQL, [job.refetch, now, open_accounts, job.fetch_before, CLAIM])
        if not due.num_rows:
            return []
        self._claims += 1
        claim = f"{job.run_id}/{self._claims}"
        lease = pa.repeat(pa.scalar(now + job.claim_for, INSTANT), due.num_rows)
        rows = due.append_column("next_attempt_at", lease)
        rows = rows.append_column("claimed_by", pa.repeat(claim, due.num_rows))
        taken = Upsert(
            tables.SEGMENTS,
            rows,
            update={"next_attempt_at": "s.next_attempt_at", "claimed_by": "s.claimed_by"},
            insert=False,
            keep=f"NOT ({DUE}) OR t.next_attempt_at > TIMESTAMPTZ '{now.isoformat()}'",
            near="segment_end_time",
        )
        self.store.commit([taken], f"{job.purpose} {job.run_id}: claim")
        mine = self.store.query(CLAIMED_SQL, [claim]).to_pylist()
        return [
            Claim(
                (row["sub_account_id"], row["dialog_id"], row["segment_id"]),
                row["segment_end_time"],
                row["transcript_attempts"],
                row["transcript_error"],
                again=row["transcript_state"] != tables.PENDING,
            )
            for row in mine
        ]

    async def _work(self) -> None:
        while (claim := await self._due.get()) is not _END:
            if self._time_is_up() or self._in_vain[claim.key[0]] >= GIVE_UP_AFTER:
                continue  # given back at the end
            outcome = await self._attempt(claim)
            self._outcomes.append(outcome)
            self.tally.fetched += 1
            self.tally.transcripts_not_ready += outcome.state == tables.PENDING and not outcome.claim.again
            self.on_progress(self.tally)
            if len(self._outcomes) >= FLUSH_EVERY:
                await self._flush()

    async def _attempt(self, claim: Claim) -> Outcome:
        sub_account_id, dialog_id, segment_id = claim.key
        job = self.job
        try:
            transcript = await self.source.transcript(job.rc_account_id, sub_account_id, dialog_id, segment_id)
        except Blocked:
            raise
        except ConnectorError as error:
            outcome = outcomes.failed(claim, error, self._now(), job.patience, self.rng.random())
            self._count_in_vain(sub_account_id, outcome, error)
            return outcome
        self._in_vain[sub_account_id] = 0
        self.tally.unknown_fields.update(transcript.lines.unknown_fields)
        return outcomes.fetched(claim, transcript, self._now(), job.patience, self.rng.random())

    def _count_in_vain(self, sub_account_id: str, outcome: Outcome, error: ConnectorError) -> None:
        self._in_vain[sub_account_id] = self._in_vain[sub_account_id] + 1 if outcome.in_vain else 0
        if self._in_vain[sub_account_id] == GIVE_UP_AFTER:
            self._trouble(f"sub-account {sub_account_id}: transcripts are left for the next run after {error}")

    # Committing

    async def _flush_now_and_then(self) -> None:
        while True:
            await asyncio.sleep(FLUSH_S)
            await self._flush()

    async def _flush(self) -> None:
        """Commit the outcomes so far, transcripts and states together."""
        async with self._flushing:
            done = self._outcomes.copy()
            if done:
                await self.step(f"store {len(done)} outcomes", partial(self._store, done))

    async def _store(self, done: list[Outcome]) -> None:
        del self._outcomes[: len(done)]  # not before: a step that is cancelled before it begins loses nothing
        job, tally = self.job, self.tally
        left = [outcome for outcome in done if outcome.leaves_all]
        done = [outcome for outcome in done if not outcome.leaves_all]
        bad = []
        for outcome in done:
            bad += tables.quarantine_rows("utterance", outcome.claim.key, outcome.problems, outcome.at, job.run_id)
            whole = [outcome.whole] if outcome.whole else []
            bad += tables.quarantine_rows("transcript", outcome.claim.key, whole, outcome.at, job.run_id)
        # A claim that ran out before its turn may have been taken twice: an answer beats a wait.
        final = {o.claim.key: o for o in sorted(done, key=lambda o: o.state != tables.PENDING)}.values()
        changes: list[Change] = []
        for again in (False, True):
            some = [outcome for outcome in final if outcome.claim.again == again]
            rows = tables.outcome_rows(outcome.row() for outcome in some)
            said = tables.utterance_rows((o.claim.key, o.claim.segment_end, o.utterances) for o in some)
            keep = "t.refetch_asked_at IS NULL" if again else f"t.transcript_state NOT IN {UNFINISHED}"
            changes += [
                Upsert(
                    tables.SEGMENTS,
                    rows,
                    update=tables.UPDATE_FROM_TRANSCRIPT,
                    insert=False,
                    keep=keep,
                    near="segment_end_time",
                ),
                Append(tables.UTTERANCES, said, under=tables.SEGMENTS, replace=again, alike=("source",)),
            ]
        written = await unbroken(
            self.store.commit,
            [
                *changes,
                Upsert(
                    tables.SEGMENTS,
                    tables.outcome_rows(outcome.row() for outcome in left),
                    update=tables.UPDATE_LEFT,
                    insert=False,
                    near="segment_end_time",
                ),
                Upsert(tables.QUARANTINE, tables.quarantine_table(bad), update={}),
            ],
            f"{job.purpose} {job.run_id}: {len(done) + len(left)} transcripts",
        )
        lines = sum(len(outcome.utterances) for outcome in done)
        bad_lines = sum(len(outcome.problems) for outcome in done)
        loaded = written["utterances"].inserted if "utterances" in written else 0
        tally.transcripts_stored += sum(outcome.state in (tables.STORED, tables.EMPTY) for outcome in done)
        tally.transcripts_rejected += sum(outcome.state == tables.REJECTED for outcome in done)
        tally.transcripts_left += sum(not outcome.in_vain for outcome in left)
        tally.transcripts_expired += sum(outcome.state == tables.EXPIRED for outcome in done)
        tally.utterances_read += lines + bad_lines
        tally.utterances_loaded += loaded
        tally.utterances_skipped += lines - loaded
        tally.utterances_quarantined += bad_lines
        self.on_progress(tally)

    async def _give_back(self) -> None:
        """Keep what was fetched, and make due again what was claimed and not asked for."""
        await self._flush()
        await unbroken(self._release)

    def _release(self) -> None:
        if changes := given_back(self.store, [self.job.run_id]):
            self.store.commit(changes, f"{self.job.purpose} {self.job.run_id}: give back")

    def _trouble(self, said: str) -> None:
        self.tally.troubles.append(said)
        self.on_progress(self.tally)

    def _time_is_up(self) -> bool:
        return self.job.until is not None and self._now() >= self.job.until

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self.clock(), UTC)


_END = Claim(("", "", ""), datetime.min.replace(tzinfo=UTC))

UNFINISHED = (tables.ABSENT, tables.PENDING)
DUE = "t.transcript_state = 'pending' OR t.refetch_asked_at IS NOT NULL"
DUE_SQL = """
    SELECT sub_account_id, dialog_id, segment_id, segment_end_time FROM segments
    WHERE (transcript_state = 'pending' OR (refetch_asked_at IS NOT NULL AND ?)) AND next_attempt_at <= ?
        AND list_contains(?, sub_account_id) AND segment_end_time < coalesce(?, TIMESTAMPTZ 'infinity')
    ORDER BY transcript_state <> 'pending', segment_end_time DESC LIMIT ?
"""
CLAIMED_SQL = """
    SELECT
        sub_account_id, dialog_id, segment_id, segment_end_time, transcript_state, transcript_attempts, transcript_error
    FROM segments WHERE claimed_by = ?
    ORDER BY transcript_state <> 'pending', segment_end_time DESC
"""


async def unbroken(work: Callable[..., T], *arguments: object) -> T:
    """What `work` returns, from a thread; when cancelled, only after the thread has ended, so that nothing goes on."""
    running = asyncio.ensure_future(asyncio.to_thread(work, *arguments))
    try:
        return await asyncio.shield(running)
    finally:
        await asyncio.wait([running])
        if not running.cancelled():
            running.exception()  # seen: where cancelled, nobody else looks, and asyncio would print it


def _first(errors: BaseExceptionGroup[BaseException]) -> BaseException:
    """The error that a group of tasks ended by; the others only followed from it."""
    for error in errors.exceptions:
        return _first(error) if isinstance(error, BaseExceptionGroup) else error
    return errors
