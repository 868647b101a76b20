"""The scheduled flow: one incremental pass over every sub-account."""

from flows import loading
from flows.direct import direct_flow
from flows.freshness import announce
from flows.loading import Report
from flows.recording import Recorder, recorded
from flows.runtime import open_runtime
from flows.settings import load_settings


@direct_flow("ingest")
async def ingest(max_minutes: float | None = None) -> Report:
    """Poll every window that has not been polled, and store all transcripts that are due.

    Args:
        max_minutes: Start nothing new after so many minutes; the next pass goes on from there. None: no end.
    """

    async def load(recorder: Recorder) -> Report:
        async with open_runtime(load_settings()) as runtime:
            report = await loading.ingest(
                runtime, max_minutes=max_minutes, step=recorder.step, on_progress=recorder.on_progress
            )
            announce(report, runtime.grid)
            return report

    return await recorded("ingest", load)
