"""The flow started by hand: history, window by window, resumable at any point."""

from datetime import UTC, datetime

from flows import loading
from flows.direct import direct_flow
from flows.loading import Report
from flows.recording import Recorder, RunFailed, recorded
from flows.runtime import open_runtime
from flows.settings import load_settings
from flows.windows import Window


@direct_flow("backfill", run_name="{start:%Y-%m-%d %H:%M} to {end:%Y-%m-%d %H:%M}")
async def backfill(
    start: datetime,
    end: datetime,
    sub_accounts: list[str | int] | None = None,
    refetch: bool = False,
    max_minutes: float | None = None,
) -> Report:
    """Poll the windows of `[start, end)` that have not been polled, and store all transcripts that are due.

    Windows already polled are skipped, so running it again goes on where it stopped.

    Args:
        start: Beginning of the history wanted, ISO 8601; without a zone, UTC.
        end: End of it, exclusive. What is not complete yet is left to ingest.
        sub_accounts: Only these sub-accounts. None: all.
        refetch: Also poll and fetch once more what is there; a stored transcript gives way only to another one.
        max_minutes: Start nothing new after so many minutes. None: no end.
    """
    span = Window(*(instant.replace(tzinfo=instant.tzinfo or UTC) for instant in (start, end)))

    async def load(recorder: Recorder) -> Report:
        if span.start >= span.end:
            raise RunFailed("start must be before end")
        async with open_runtime(load_settings(), in_background=True) as runtime:
            return await loading.backfill(
                runtime,
                span,
                only=[str(account) for account in sub_accounts or ()],  # Prefect's command line reads numbers
                refetch=refetch,
                max_minutes=max_minutes,
                step=recorder.step,
                on_progress=recorder.on_progress,
            )

    return await recorded("backfill", load)
