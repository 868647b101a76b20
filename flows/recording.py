"""How a run shows in Prefect: a task for each poll and each store, its progress, and a page that says what came.

Nothing here is needed to load: a run whose progress cannot be shown goes on.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import UTC, datetime
from typing import cast
from uuid import UUID

import httpx
from prefect import get_run_logger, task
from prefect.artifacts import acreate_markdown_artifact, acreate_progress_artifact, aupdate_progress_artifact
from prefect.cache_policies import NO_CACHE
from prefect.exceptions import Pause, PrefectException
from prefect.runtime import flow_run
from prefect.states import Failed

from connectors.errors import ConnectorError
from flows.loading import Report
from flows.progress import shown
from flows.settings import SettingsError
from flows.stopping import stoppable
from flows.tally import Tally
from sinks.errors import LakeError

PROGRESS_S = 10.0
KNOWN = (ConnectorError, LakeError)  # their message says it all: they are shown without a traceback


class RunFailed(Exception):
    """A run that could not get everything it was asked for; what it got is stored."""


async def recorded(kind: str, load: Callable[["Recorder"], Awaitable[Report]]) -> Report:
    """What `load` brought, shown. A run that did not get everything ends Failed with the reason, and no traceback.

    Raises Prefect's signals where the run is cancelled or suspended (`flows.stopping`).
    """
    await until_due()
    try:
        with shown(kind) as show:
            recorder = Recorder(kind, show)
            report = await stoppable(lambda: load(recorder))
            await recorder.finish()
    except (*KNOWN, SettingsError, RunFailed) as error:
        return _failed(str(error), error)
    await acreate_markdown_artifact(markdown(report), key=kind, description=f"What this {kind} brought")
    get_run_logger().info(one_line(report))
    if report.ok:
        return report
    reasons = "; ".join(report.tally.troubles)
    return _failed(reasons, RunFailed(reasons))


async def until_due() -> None:
    """Return once the run is due.

    Prefect rounds its own wait to whole seconds: a run may begin half a second early, before its window is due.
    """
    while (early := flow_run.scheduled_start_time - datetime.now(UTC)).total_seconds() > 0:
        await asyncio.sleep(early.total_seconds())


class Recorder:
    """Shows one run as it goes: `step` and `on_progress` are what `flows.loading` asks for."""

    def __init__(self, kind: str, show: Callable[[Tally], None]) -> None:
        self._kind = kind
        self._show = show
        self._tally = Tally()
        self._artifact: UUID | None = None
        self._due = time.monotonic() + PROGRESS_S  # a run that is over by then needs no progress bar

    def on_progress(self, tally: Tally) -> None:
        """Show it on the terminal now, and in the UI after the next step."""
        self._tally = tally
        self._show(tally)

    async def step(self, name: str, work: Callable[[], Awaitable[None]]) -> None:
        """Run a step as a task run of that name. Never retried here: `connectors.http` has retried already."""
        known: list[Exception] = []
        begun = False

        @task(
            name=name.partition(" ")[0], task_run_name=name.replace("{", "(").replace("}", ")"), cache_policy=NO_CACHE
        )
        async def step() -> object:
            nonlocal begun
            begun = True
            try:
                await work()
            except KNOWN as error:
                known.append(error)
                return Failed(message=str(error))
            return None

        try:
            await step()
        except Pause:  # a suspended run is refused its tasks, also the last one, which stores what was fetched
            if not begun:
                await work()
        if known:
            raise known[0]
        if time.monotonic() >= self._due:
            self._due = time.monotonic() + PROGRESS_S
            await self._publish(percent(self._tally))

    async def finish(self) -> None:
        """Leave no bar behind that stands still below its end."""
        if self._artifact:
            await self._publish(100.0)

    async def _publish(self, progress: float) -> None:
        said = f"{self._kind}: {self._tally.utterances_loaded:,} utterances stored"
        with suppress(httpx.HTTPError, PrefectException):  # the server is away for a moment: a load goes on without it
            if self._artifact is None:
                self._artifact = await acreate_progress_artifact(progress, description=said)
            else:
                await aupdate_progress_artifact(self._artifact, progress, description=said)


def percent(tally: Tally) -> float:
    """Requests done of those known to be wanted; falls back a little whenever a poll finds new transcripts."""
    done, wanted = tally.requests_done + tally.fetched, tally.requests_planned + max(tally.flagged, tally.fetched)
    return 100.0 * min(done / wanted, 1.0) if wanted else 0.0


def one_line(report: Report) -> str:
    """What was read and where it went, for the log."""
    t = report.tally
    return (
        f"{report.kind} run_id={report.run_id} windows={t.windows_polled} requests={t.requests_done}"
        f" segments_read={t.segments_read} loaded={t.segments_loaded} skipped={t.segments_skipped}"
        f" quarantined={t.segments_quarantined} transcripts={t.transcripts_stored} pending={report.pending}"
        f" utterances_read={t.utterances_read} loaded={t.utterances_loaded} skipped={t.utterances_skipped}"
        f" quarantined={t.utterances_quarantined}"
    )


def markdown(report: Report) -> str:
    """The report as a page: what came, what is still to come, how far each sub-account is covered."""
    t = report.tally
    seconds = (report.finished_at - report.started_at).total_seconds()
    covered = (f"| {name} | {w.start:%Y-%m-%d %H:%M} | {w.end:%Y-%m-%d %H:%M} |" for name, w in report.covered.items())
    page = f"""
## {report.kind} {report.started_at:%Y-%m-%d %H:%M} UTC

| | read | loaded | skipped | quarantined |
|---|---:|---:|---:|---:|
| segments | {t.segments_read} | {t.segments_loaded} | {t.segments_skipped} | {t.segments_quarantined} |
| utterances | {t.utterances_read} | {t.utterances_loaded} | {t.utterances_skipped} | {t.utterances_quarantined} |

**{t.transcripts_stored}** transcripts stored, **{report.pending}** still to come;
{t.windows_polled} windows polled with {t.requests_done} requests; {seconds:.0f} s.

| sub-account | covered without a gap from | until (UTC) |
|---|---|---|
"""
    lines = [page.strip(), *covered]
    if t.unknown_fields:
        lines += [
            "",
            "New fields (kept in `extra`): " + ", ".join(f"`{name}`" for name in sorted(t.unknown_fields)),
        ]
    if t.troubles:
        lines += ["", "### Did not come", "", *(f"- {trouble}" for trouble in t.troubles)]
    return "\n".join(lines)


def _failed(reasons: str, error: Exception) -> Report:
    # A state that a flow returns becomes the run's; whoever called the flow directly gets the error raised.
    return cast("Report", Failed(message=reasons, data=error))
