"""The daily flow: recent windows once more, for what came late."""

from flows import loading
from flows.direct import direct_flow
from flows.loading import Report
from flows.recording import Recorder, recorded
from flows.runtime import open_runtime
from flows.settings import load_settings


@direct_flow("reconcile")
async def reconcile(days: float = 2.0, max_minutes: float | None = None) -> Report:
    """Read the windows of recent days again, for segments and flags that came after ingest had read them last.

    Args:
        days: How far back. A day is 24 metadata requests per sub-account, sent where ingest leaves room.
        max_minutes: Start nothing new after so many minutes. None: no end.
    """

    async def load(recorder: Recorder) -> Report:
        async with open_runtime(load_settings(), in_background=True) as runtime:
            return await loading.reconcile(
                runtime, days, max_minutes=max_minutes, step=recorder.step, on_progress=recorder.on_progress
            )

    return await recorded("reconcile", load)
