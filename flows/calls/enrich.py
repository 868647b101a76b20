"""The scheduled flow that follows ingest: recordings, summaries and speech to text, as far as they are switched on."""

from prefect import get_run_logger
from prefect.artifacts import acreate_markdown_artifact
from prefect.states import Failed

from flows.calls.enriching import Part, is_on
from flows.calls.enriching import enrich as enrich_all
from flows.direct import direct_flow
from flows.recording import KNOWN, RunFailed, until_due
from flows.runtime import open_runtime
from flows.settings import SettingsError, load_settings
from flows.stopping import stoppable


@direct_flow("enrich")
async def enrich(max_minutes: float | None = 13.0) -> object:
    """Fetch and hear what is switched on (RINGCX_RECORDINGS, RINGCX_SUMMARIES, RINGCX_TRANSCRIBE); else do nothing.

    Args:
        max_minutes: Start nothing new after so many minutes; the next run goes on from there. None: no end.
    """

    async def work() -> list[Part]:
        async with open_runtime(load_settings()) as runtime:
            return await enrich_all(runtime, max_minutes=max_minutes)

    await until_due()
    try:
        if not is_on(load_settings()):
            get_run_logger().info("nothing is switched on")
            return []
        parts = await stoppable(work)
    except (*KNOWN, SettingsError) as error:
        return Failed(message=str(error), data=error)
    page = "\n".join(["## enrich", "", *(line(part) for part in parts)])
    await acreate_markdown_artifact(page, key="enrich", description="What this enrichment brought")
    if troubles := [f"{part.kind}: {trouble}" for part in parts for trouble in part.troubles]:
        reasons = "; ".join(troubles)
        return Failed(message=reasons, data=RunFailed(reasons))
    return parts


def line(part: Part) -> str:
    """A part as a line of the page."""
    troubles = "".join(f"\n  - did not come: {trouble}" for trouble in part.troubles)
    return f"- **{part.kind}**: {part.brought}{troubles}"
