"""Ingest, backfill and reconcile as plain functions: plan, run, say in `runs` what came of it. Know no Prefect."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from connectors.errors import ConnectorError
from flows.on_record import DONE, FAILED, on_record, record
from flows.pipeline import Job, Run, Step, untracked
from flows.planning import Forecast, beyond_retention, plan_backfill, plan_ingest, sending_time
from flows.refetch import ask, asked_at, polled_since, wanted
from flows.runtime import Accounts, Runtime
from flows.settings import SettingsError
from flows.tally import Tally
from flows.windows import Window, cells, floor, horizon, missing, requests
from sinks.errors import LakeError

DEFAULT_HISTORY = timedelta(days=1)
Progress = Callable[[Tally], None]


@dataclass(frozen=True, slots=True)
class Report:
    """What a run did. `pending`: transcripts still to come; `covered`: per sub-account, the last stretch polled."""

    run_id: str
    kind: str
    started_at: datetime
    finished_at: datetime
    tally: Tally
    pending: int
    covered: Mapping[str, Window]

    @property
    def ok(self) -> bool:
        """Whether everything that was asked for came."""
        return not self.tally.troubles


async def ingest(
    runtime: Runtime,
    *,
    max_minutes: float | None = None,
    step: Step[None] = untracked,
    on_progress: Progress = lambda tally: None,
) -> Report:
    """One incremental pass: every window up to the horizon that has not been polled, then all transcripts that are due.

    Starts nothing new after `max_minutes`; the next pass goes on where this one stopped.
    """

    def plan(sub_account_id: str, now: datetime) -> list[Window]:
        start = _history_start(runtime, sub_account_id, now)
        plan = plan_ingest(_covered(runtime, sub_account_id), start, now, runtime.grid)
        # Until it is on record where history begins, oldest first whatever is asked: the first window records it.
        is_on_record = _recorded_start(runtime, sub_account_id) is not None
        return plan[::-1] if runtime.settings.ringcx_newest_first and is_on_record else plan

    return await _load(runtime, "ingest", plan, max_minutes, step, on_progress)


async def backfill(
    runtime: Runtime,
    span: Window,
    *,
    only: Sequence[str] = (),
    refetch: bool = False,
    max_minutes: float | None = None,
    step: Step[None] = untracked,
    on_progress: Progress = lambda tally: None,
) -> Report:
    """Every window of `span` that has not been polled, then all transcripts that are due. Resumable at any point.

    What ingest polls meanwhile is left to it. `only`: these sub-accounts; none named: all. `refetch`: what was polled
    and stored once more, too (`flows.refetch`).
    """

    def plan(sub_account_id: str, now: datetime) -> list[Window]:
        if refetch:
            ask(runtime.lake, sub_account_id, span, now)
        return plan_backfill(_read(runtime, sub_account_id, span, now, refetch=refetch), span, now, runtime.grid)

    return await _load(runtime, "backfill", plan, max_minutes, step, on_progress, only, refetch=refetch)


async def forecast(runtime: Runtime, span: Window, only: Sequence[str] = (), *, refetch: bool = False) -> Forecast:
    """What a backfill of `span` will cost. Asks RingCX for nothing but the accounts."""
    runtime.lake.create()
    accounts, grid, now, settings = await runtime.accounts(), runtime.grid, runtime.now(), runtime.settings
    chosen = _chosen(accounts, only)
    covered = {account: _read(runtime, account, span, now, refetch=refetch) for account in chosen}
    plans = {account: plan_backfill(covered[account], span, now, grid) for account in chosen}
    due = Window(span.start, max(span.start, min(span.end, horizon(now, grid.step, grid.offset))))
    whole = len(cells(due, grid.step))
    todo = {account: len(missing(covered[account], due, grid.step)) for account in chosen}
    seen = {row["sub_account_id"]: row["flagged"] for row in runtime.lake.query(FLAGGED_SQL).to_pylist()}
    if refetch:  # of windows polled before, the very segments are known
        unpolled = {account: len(missing(_covered(runtime, account), due, grid.step)) for account in chosen}
    else:
        unpolled = todo
    known = all(account in seen for account, windows in unpolled.items() if windows)
    again = sum(wanted(runtime.lake, account, span) for account in chosen) if refetch else 0
    new = round(sum(seen[account] * windows for account, windows in unpolled.items() if windows)) if known else 0
    transcripts = again + new if known else None
    metadata_limits = [(limit.requests, limit.seconds) for limit in settings.ringcx_metadata_limits]
    transcript_limits = [(limit.requests, limit.seconds) for limit in settings.ringcx_transcript_limits]
    requests_by_account = {account: len(plan) for account, plan in plans.items()}
    metadata_time = sending_time(max(requests_by_account.values(), default=0), metadata_limits)
    transcript_time = sending_time(transcripts or 0, transcript_limits)
    return Forecast(
        span=span,
        requests=requests_by_account,
        windows=todo,
        windows_done=whole * len(chosen) - sum(todo.values()),
        transcripts=transcripts,
        again=again,
        metadata_time=metadata_time,
        transcript_time=transcript_time,
        beyond_retention=beyond_retention(
            span, now, timedelta(days=settings.ringcx_retention_days), max(metadata_time, transcript_time)
        ),
    )


FLAGGED_SQL = "SELECT sub_account_id, avg(flagged) AS flagged FROM windows GROUP BY sub_account_id"


def _chosen(accounts: Accounts, only: Sequence[str]) -> tuple[str, ...]:
    unknown = sorted(set(only) - set(accounts.sub_account_ids))
    if unknown:
        known = ", ".join(accounts.sub_account_ids)
        raise SettingsError(f"--sub-account {', '.join(unknown)} is none of this user's sub-accounts ({known})")
    return tuple(only) or accounts.sub_account_ids


async def reconcile(
    runtime: Runtime,
    days: float = 2.0,
    *,
    max_minutes: float | None = None,
    step: Step[None] = untracked,
    on_progress: Progress = lambda tally: None,
) -> Report:
    """The windows of the last `days` once more, for what showed up or was flagged after ingest had read them last.

    Never reaches before a sub-account's history; then fetches all transcripts that are due.
    """

    def plan(sub_account_id: str, now: datetime) -> list[Window]:
        grid = runtime.grid
        end = horizon(now, grid.step, grid.offset)
        start = max(end - timedelta(days=days), _history_start(runtime, sub_account_id, now))
        return requests(cells(Window(start, end), grid.step), grid.request)

    return await _load(runtime, "reconcile", plan, max_minutes, step, on_progress)


async def _load(
    runtime: Runtime,
    kind: str,
    plan: Callable[[str, datetime], list[Window]],
    max_minutes: float | None,
    step: Step[None],
    on_progress: Progress,
    only: Sequence[str] = (),
    *,
    refetch: bool = False,
) -> Report:
    started_at = runtime.now()
    run_id = str(UUID(int=runtime.rng.getrandbits(128), version=4))
    with on_record(runtime, run_id, kind, started_at):
        run: Run | None = None
        try:
            accounts: Accounts = await runtime.accounts()
            job = Job(
                run_id=run_id,
                purpose=kind,
                rc_account_id=accounts.rc_account_id,
                plan={account: plan(account, started_at) for account in _chosen(accounts, only)},
                step=runtime.grid.step,
                offset=runtime.grid.offset,
                patience=runtime.patience,
                concurrency=runtime.settings.ringcx_concurrency,
                claim_for=runtime.claim_for,
                until=None if max_minutes is None else started_at + timedelta(minutes=max_minutes),
                refetch=refetch,
                # What ingest polls while another run is at work is ingest's to fetch, at once.
                fetch_before=None if kind == "ingest" else horizon(started_at, runtime.grid.step, runtime.grid.offset),
            )
            run = Run(job, runtime.source, runtime.lake, runtime.clock, step, on_progress, runtime.rng)
            on_progress(run.tally)
            tally = await run.execute()
        except BaseException as error:
            tally = run.tally if run else Tally()
            known = isinstance(error, (ConnectorError, LakeError, SettingsError))
            stopped = not isinstance(error, Exception)  # cancelled, or a signal
            said = str(error) if known else "interrupted" if stopped else type(error).__name__
            tally.troubles.append(said)
            record(runtime, run_id, kind, FAILED, started_at, tally.columns(runtime.http.spent))
            raise
        if not tally.adds_up():
            tally.troubles.append("what was read is not what was loaded, skipped and quarantined: please report this")
        state = FAILED if tally.troubles else DONE
        record(runtime, run_id, kind, state, started_at, tally.columns(runtime.http.spent))
        return Report(
            run_id, kind, started_at, runtime.now(), tally, _pending(runtime), _last_covered(runtime, job.plan.keys())
        )


def _covered(runtime: Runtime, sub_account_id: str) -> list[Window]:
    sql = "SELECT covered_from, covered_until FROM covered WHERE sub_account_id = ? ORDER BY covered_from"
    return [Window(*row.values()) for row in runtime.lake.query(sql, [sub_account_id]).to_pylist()]


def _read(runtime: Runtime, sub_account_id: str, span: Window, now: datetime, *, refetch: bool) -> list[Window]:
    """What a backfill need not poll: what was polled ever, or since it was asked for once more."""
    if not refetch:
        return _covered(runtime, sub_account_id)
    return polled_since(runtime.lake, sub_account_id, asked_at(runtime.lake, sub_account_id, span) or now)


def _history_start(runtime: Runtime, sub_account_id: str, now: datetime) -> datetime:
    """Where this sub-account's history begins: as set, or where its first ingest began, or a day back."""
    return floor(_recorded_start(runtime, sub_account_id) or now - DEFAULT_HISTORY, runtime.grid.step)


def _recorded_start(runtime: Runtime, sub_account_id: str) -> datetime | None:
    """Where history begins, if it is set or its first window has been polled."""
    if runtime.settings.ringcx_start is not None:
        return runtime.settings.ringcx_start
    sql = "SELECT min(window_start) AS first FROM windows WHERE sub_account_id = ? AND purpose = 'ingest'"
    first: datetime | None = runtime.lake.query(sql, [sub_account_id]).to_pylist()[0]["first"]
    return first


def _pending(runtime: Runtime) -> int:
    sql = "SELECT count(*) AS pending FROM segments WHERE transcript_state = 'pending'"
    return int(runtime.lake.query(sql).to_pylist()[0]["pending"])


def _last_covered(runtime: Runtime, sub_account_ids: Iterable[str]) -> dict[str, Window]:
    stretches = {account: _covered(runtime, account) for account in sub_account_ids}
    return {account: windows[-1] for account, windows in stretches.items() if windows}
