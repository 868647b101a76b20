"""Commands that say how things are: for operators."""

import asyncio
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter, validators

from flows.commands.app import DONE, FAILED, app, ready_settings, utc
from flows.runtime import grid_of, open_lake, open_quotas, open_runtime
from flows.windows import horizon


@app.command
def status(*, json: bool = False) -> int:
    """Show how far each sub-account is, what is still to come, and how the last runs went.

    Parameters
    ----------
    json
        As one JSON object.
    """
    from flows import show
    from flows.status import read_status

    settings = ready_settings()
    with open_lake(settings) as lake, closing(open_quotas(settings)) as quotas:
        found = read_status(lake, quotas, datetime.now(UTC))
    show.status(found, json=json)
    return DONE


@app.command
def verify(*, start: datetime | None = None, end: datetime | None = None, json: bool = False) -> int:
    """Prove that nothing is missing: exit code 0 if so, otherwise 1 and the exact gaps.

    Parameters
    ----------
    start
        Beginning of the time to check, ISO 8601; without a zone, UTC. Absent: where each sub-account's history begins.
    end
        End of it, exclusive. Absent: the last window that should have been polled by now, one pass late at most.
    json
        As one JSON object.
    """
    from flows import show
    from flows.verify import verify as check

    settings = ready_settings()
    grid = grid_of(settings)
    until = utc(end) if end else horizon(datetime.now(UTC), grid.step, grid.offset) - grid.step
    with open_lake(settings) as lake:
        proof = check(lake, utc(start) if start else None, until, grid.step, grid.offset, settings.ringcx_audio_path)
    show.proof(proof, json=json)
    return DONE if proof.ok else FAILED


@app.command
def report(
    *,
    output: Path = Path("report.html"),
    days: Annotated[int, Parameter(validator=validators.Number(gte=1, lte=366))] = 28,
) -> int:
    """Write one HTML page for people: coverage, freshness, volumes, dispositions, talk share, quotas, runs.

    The file needs nothing but a browser: no network, no script. All its figures are of one state of the lake.

    Parameters
    ----------
    output
        The file to write; it is replaced as a whole.
    days
        So many UTC days, today included.
    """
    from flows.report import page
    from flows.report.figures import read_figures

    settings = ready_settings()
    with open_lake(settings) as lake, closing(open_quotas(settings)) as quotas:
        figures = read_figures(lake, quotas, grid_of(settings), datetime.now(UTC), days)
    page.write(page.page(figures), output)
    print(f"{output}: {figures.days[0]} to {figures.days[-1]}, as of {figures.snapshot.at:%Y-%m-%d %H:%M:%S} UTC")
    return DONE


@app.command
def doctor() -> int:
    """Check settings, credentials, permissions, clock and lake; each line says what to do.

    Costs one metadata and one transcript request per sub-account.
    """
    from flows import show
    from flows.doctor import examine

    settings = ready_settings()
    settings.require_credentials()

    async def run() -> bool:
        well = True
        async with open_runtime(settings) as runtime:
            async for finding in examine(runtime):
                show.finding(finding)
                well = well and finding.ok
        return well

    return DONE if asyncio.run(run()) else FAILED


@app.command(name="settings")
def show_settings() -> int:
    """List every setting: its name, its value now, and what it means. Secrets are masked."""
    from flows import show

    show.settings(ready_settings())
    return DONE
