"""How a run shows in Prefect: a task for each poll and each store, and an artifact that says what came."""

from collections.abc import Awaitable, Callable

from prefect import task
from prefect.artifacts import acreate_markdown_artifact
from prefect.cache_policies import NO_CACHE

from flows.loading import Report


class RunFailed(Exception):
    """A run that could not get everything it asked for; what it got is stored."""


async def as_task(name: str, work: Callable[[], Awaitable[None]]) -> None:
    """Run a step as a task run of that name. Never retried here: `connectors.http` has retried already."""

    @task(name=name.partition(" ")[0], task_run_name=name.replace("{", "(").replace("}", ")"), cache_policy=NO_CACHE)
    async def step() -> None:
        await work()

    await step()


async def publish(report: Report) -> None:
    """Put the report in the UI. Raises RunFailed if something that was asked for did not come."""
    await acreate_markdown_artifact(markdown(report), key=report.kind, description=f"What this {report.kind} brought")
    if not report.ok:
        raise RunFailed("; ".join(report.tally.troubles))


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
