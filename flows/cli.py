"""The `ringcx-etl` command line: parse, call, print. Exit codes: 0 done, 1 failed, 2 usage or settings."""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import App, CycloptsError, Parameter
from rich.console import Console
from rich.prompt import Confirm
from rich.text import Text

from connectors.errors import ConnectorError
from flows.loading import Progress, Report
from flows.planning import Forecast
from flows.runtime import Runtime, grid_of, open_lake, open_quotas, open_runtime, quiet_logging
from flows.settings import Settings, SettingsError, load_settings
from flows.windows import Window, horizon
from sinks.errors import LakeError

app = App(
    name="ringcx-etl",
    help="Your contact centre's conversations from RingCX, in tables you own.",
    version=lambda: installed_version("ringcx-etl"),
    help_format="markdown",
)
app.register_install_completion_command(add_to_startup=False)

DONE, FAILED, USAGE = 0, 1, 2
ASK_BEFORE = timedelta(minutes=5)  # a backfill that takes longer
Format = Literal["table", "json", "csv", "parquet"]


def main() -> None:
    """Run the command of `sys.argv` and exit. Errors we know are one message and no traceback."""
    try:
        code = app(exit_on_error=False, print_error=True, result_action="return_value")
    except CycloptsError:
        code = USAGE
    except SettingsError as error:
        code = _complain(error, USAGE)
    except (ConnectorError, LakeError) as error:
        code = _complain(error, FAILED)
    except KeyboardInterrupt:
        code = _complain("interrupted: what was stored is complete, run it again to go on", FAILED)
    sys.exit(code if isinstance(code, int) else DONE)


def _complain(what: object, code: int) -> int:
    Console(stderr=True, soft_wrap=True).print(Text(f"ringcx-etl: {what}", style="red"))
    return code


@app.command
def ingest(*, max_minutes: float | None = None) -> int:
    """Poll what has not been polled yet and store all transcripts that are due: one incremental pass, now.

    Parameters
    ----------
    max_minutes
        Start nothing new after so many minutes; the next pass goes on from there.
    """
    from flows import loading

    return _load("ingest", lambda runtime, show: loading.ingest(runtime, max_minutes=max_minutes, on_progress=show))


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

    span = Window(_utc(start), _utc(end))
    if span.start >= span.end:
        return _complain("--start must be before --end", USAGE)
    settings = _settings()

    async def forecast() -> Forecast:
        async with open_runtime(settings) as runtime:
            return await loading.forecast(runtime, span, sub_account, refetch=refetch)

    cost = asyncio.run(forecast())
    show.forecast(cost)
    asks = sys.stdin.isatty() and not yes and cost.time > ASK_BEFORE
    if dry_run or (asks and not Confirm.ask("Go on?", default=False)):
        return DONE
    return _load(
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

    return _load(
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

    show.upkeep(keep_up(_settings(), dry_run=dry_run))
    return DONE


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

    settings = _settings()
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

    settings = _settings()
    grid = grid_of(settings)
    until = _utc(end) if end else horizon(datetime.now(UTC), grid.step, grid.offset) - grid.step
    with open_lake(settings) as lake:
        proof = check(lake, _utc(start) if start else None, until, grid.step, grid.offset)
    show.proof(proof, json=json)
    return DONE if proof.ok else FAILED


@app.command
def query(
    sql: str, /, *, form: Annotated[Format, Parameter(name="--format")] = "table", output: Path | None = None
) -> int:
    """Run one SELECT on the tables and views, read-only, at any time.

    Parameters
    ----------
    sql
        DuckDB SQL. Tables: segments, utterances, windows, quarantine, runs. Views: conversations, covered.
    form
        How the rows come out.
    output
        A file to write them to, instead of standard output.
    """
    from flows import show

    if form == "parquet" and output is None and sys.stdout.isatty():
        return _complain("Parquet is not for a terminal: name a file with --output, or pipe it", USAGE)
    with open_lake(_settings()) as lake:
        show.rows(lake.query(sql), form, output)
    return DONE


@app.command
def serve(*, max_minutes: float = 13.0) -> int:
    """Run ingest on its schedule in this process, with no worker: after each window, plus the offset.

    With PREFECT_API_URL set, runs are Prefect's: seen, started and cancelled in its UI, backfills too. Without, they
    are plain runs of this process. Ends with Ctrl-C.

    Parameters
    ----------
    max_minutes
        Start nothing new in one pass after so many minutes; the next pass goes on from there.
    """
    from flows import serving

    settings = _settings()
    settings.require_credentials()
    serving.serve(settings, max_minutes)
    return DONE


@app.command
def sandbox(
    *,
    port: int = 8100,
    corpus: Path | None = None,
    days: float = 7.0,
    dialogs_per_hour: float = 60.0,
    transcript_limits: str = "120/60",
    metadata_limits: str = "3/60,9/900",
    penalty_seconds: float = 60.0,
    faults: bool = False,
) -> int:
    """Serve a RingCX of its own on loopback: generated conversations with a live tail, or a corpus. Ends with Ctrl-C.

    Parameters
    ----------
    port
        Port on 127.0.0.1; 0: any free one.
    corpus
        A corpus (.jsonl.gz) to serve instead of generated conversations, laid over the days up to an hour ago.
    days
        How far back its history goes.
    dialogs_per_hour
        Generated dialogs per sub-account.
    transcript_limits
        Transcript requests/seconds that it allows.
    metadata_limits
        Metadata requests/seconds that it allows, per sub-account.
    penalty_seconds
        How long it refuses everything after a limit was passed.
    faults
        With every scripted fault on: late metadata, 404s for a while, 429s, 5xx, resets, cut and malformed answers.
    """
    from connectors.sandbox import SandboxConfig
    from connectors.sandbox.faults import Faults
    from flows import sandboxes

    config = SandboxConfig(
        limits={"transcripts": transcript_limits, "metadata": metadata_limits},
        penalty_seconds=penalty_seconds,
        faults=sandboxes.EVERY_FAULT if faults else Faults(),
    )
    return sandboxes.run(config, port, corpus, days, dialogs_per_hour)


@app.command
def demo() -> int:
    """Run the main job on a sandbox with the platform's real limits, and look at what it loaded."""
    from flows import demonstration

    return demonstration.run()


@app.command
def doctor() -> int:
    """Check settings, credentials, permissions, clock and lake; each line says what to do.

    Costs one metadata and one transcript request per sub-account.
    """
    from flows import show
    from flows.doctor import examine

    settings = _settings()
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

    show.settings(_settings())
    return DONE


def _load(kind: str, call: Callable[[Runtime, Progress], Awaitable[Report]]) -> int:
    """One run with its progress, then what it brought."""
    from flows import show
    from flows.progress import shown

    settings = _settings()

    async def run() -> Report:
        async with open_runtime(settings, in_background=kind != "ingest") as runtime:
            with shown(kind) as on_progress:
                return await call(runtime, on_progress)

    done = asyncio.run(run())
    show.report(done)
    return DONE if done.ok else FAILED


def _settings() -> Settings:
    settings = load_settings()
    quiet_logging(settings.ringcx_log_level)
    return settings


def _utc(instant: datetime) -> datetime:
    return instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)
