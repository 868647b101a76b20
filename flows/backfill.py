"""The flow started by hand: history, window by window, resumable at any point."""

from datetime import UTC, datetime

from prefect import flow

from flows import loading
from flows.loading import Report
from flows.progress import shown
from flows.recording import as_task, publish
from flows.runtime import open_runtime
from flows.settings import load_settings
from flows.windows import Window


@flow(name="backfill", persist_result=False, validate_parameters=True)
async def backfill(start: datetime, end: datetime, max_minutes: float | None = None) -> Report:
    """Poll the windows of `[start, end)` that have not been polled, and store all transcripts that are due.

    Windows already polled are skipped, so running it again goes on where it stopped.

    Args:
        start: Beginning of the history wanted, ISO 8601; without a zone, UTC.
        end: End of it, exclusive. What is not complete yet is left to ingest.
        max_minutes: Start nothing new after so many minutes. None: no end.
    """
    span = Window(*(instant.replace(tzinfo=instant.tzinfo or UTC) for instant in (start, end)))
    async with open_runtime(load_settings()) as runtime:
        with shown("backfill") as on_progress:
            report = await loading.backfill(
                runtime, span, max_minutes=max_minutes, step=as_task, on_progress=on_progress
            )
        await publish(report)
        return report
