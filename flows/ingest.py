"""The scheduled flow: one incremental pass over every sub-account."""

from prefect import flow

from flows import loading
from flows.loading import Report
from flows.progress import shown
from flows.recording import as_task, publish
from flows.runtime import open_runtime
from flows.settings import load_settings


@flow(name="ingest", persist_result=False, validate_parameters=True)
async def ingest(max_minutes: float | None = None) -> Report:
    """Poll every window that has not been polled, and store all transcripts that are due.

    Args:
        max_minutes: Start nothing new after so many minutes; the next pass goes on from there. None: no end.
    """
    async with open_runtime(load_settings()) as runtime:
        with shown("ingest") as on_progress:
            report = await loading.ingest(runtime, max_minutes=max_minutes, step=as_task, on_progress=on_progress)
        await publish(report)
        return report
