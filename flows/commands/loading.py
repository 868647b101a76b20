"""Commands that load: now, history, on a schedule; and what keeps the lake small."""

import asyncio
import sys
from datetime import datetime, timedelta

from rich.prompt import Confirm

from flows.commands.app import DONE, USAGE, app, complain, load, ready_settings, utc
from flows.planning import Forecast
from flows.runtime import open_runtime
from flows.windows import Window

ASK_BEFORE = timedelta(minutes=5)  # a backfill that takes longer


@app.command
def ingest(*, max_minutes: float | None = None) -> int:
    """Poll what has not been polled yet and store all transcripts that are due: one incremental pass, now.

    Parameters
    ----------
    max_minutes
        Start nothing new after so many minutes; the next pass goes on from there.
    """
    from flows import loading

    return load("ingest", lambda runtime, show: loading.ingest(runtime, max_minutes=max_minutes, on_progress=show))


@app.command
def backfill(
    *,
    start: datetime,
    end: datetime,
    sub_account: tuple[str, ...] = (),
    refetch: bool = False,
    dry_run: bool = False,
    yes: bool = False,
    max_minutes: float | None = None,
) -> int:
    """Load history: first what it will cost, then the load. Windows already polled are skipped: run it again to go on.

    Parameters
    ----------
    start
        Beginning of the history wanted, ISO 8601; without a zone, UTC.
    end
        End of it, exclusive. What is not complete yet is left to ingest.
    sub_account
        Only this sub-account; may be given several times.
    refetch
        Also poll and fetch once more what is there; a stored transcript gives way only to another one.
    dry_run
        Only say what it will cost.
    yes
        Do not ask before a long one.
    max_minutes
        Start nothing new after so many minutes.
    """
    from flows import loading, show

    span = Window(utc(start), utc(end))
    if span.start >= span.end:
        return complain("--start must be before --end", USAGE)
    settings = ready_settings()

    async def forecast() -> Forecast:
        async with open_runtime(settings) as runtime:
            return await loading.forecast(runtime, span, sub_account, refetch=refetch)

    cost = asyncio.run(forecast())
    show.forecast(cost)
    asks = sys.stdin.isatty() and not yes and cost.time > ASK_BEFORE
    if dry_run or (asks and not Confirm.ask("Go on?", default=False)):
        return DONE
    return load(
        "backfill",
        lambda runtime, progress: loading.backfill(
            runtime, span, only=sub_account, refetch=refetch, max_minutes=max_minutes, on_progress=progress
        ),
    )


@app.command
def reconcile(*, days: float = 2.0, max_minutes: float | None = None) -> int:
    """Read the windows of recent days once more, for segments and flags that came late.

    Parameters
    ----------
    days
        How far back; a day is 24 metadata requests per sub-account.
    max_minutes
        Start nothing new after so many minutes.
    """
    from flows import loading

    return load(
        "reconcile",
        lambda runtime, show: loading.reconcile(runtime, days, max_minutes=max_minutes, on_progress=show),
    )


@app.command
def maintain(*, dry_run: bool = False) -> int:
    """Keep the lake small: merge small files, expire old snapshots, remove what nobody needs any more.

    Anything may read and write meanwhile. Meant for once a night.

    Parameters
    ----------
    dry_run
        Only say what would be done.
    """
    from flows import show
    from flows.upkeep import maintain as keep_up

    show.upkeep(keep_up(ready_settings(), dry_run=dry_run))
    return DONE


@app.command
def serve(*, max_minutes: float = 13.0) -> int:
    """Keep the schedule in this process, with no worker: ingest after each window, maintain and reconcile each night.

    With PREFECT_API_URL set, runs are Prefect's: seen, started and cancelled in its UI, backfills too. Without, they
    are plain runs of this process. Ends with Ctrl-C.

    Parameters
    ----------
    max_minutes
        Start nothing new in one pass after so many minutes; the next pass goes on from there.
    """
    from flows import serving

    settings = ready_settings()
    settings.require_credentials()
    serving.serve(settings, max_minutes)
    return DONE
