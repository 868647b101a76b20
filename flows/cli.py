"""The `ringcx-etl` command line: parse, call, print. Exit codes: 0 done, 1 failed, 2 usage or settings."""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import App, CycloptsError, Parameter, validators
from rich.console import Console
from rich.prompt import Confirm
from rich.text import Text

from connectors.errors import ConnectorError
from flows.loading import Progress, Report
from flows.planning import Forecast
from flows.runtime import Runtime, grid_of, open_lake, open_quotas, open_runtime, quiet_logging
from flows.settings import Settings, SettingsError, load_settings
from flows.windows import Window, horizon
from sinks.errors import LakeError, LocationError

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
    except LocationError as error:
        code = _complain(f"RINGCX_LAKE, RINGCX_DATA_PATH: {error}", USAGE)
    except OSError as error:  # a file that is named on the command line, .env, standard output
        code = _complain(f"{error.filename or 'cannot go on'}: {error.strerror or error}", FAILED)
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
        DuckDB SQL. Begin with the views conversations and turns; `ringcx-etl dictionary` names all there is.
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
    from flows import report_page
    from flows.report import read_figures

    settings = _settings()
    with open_lake(settings) as lake, closing(open_quotas(settings)) as quotas:
        figures = read_figures(lake, quotas, grid_of(settings), datetime.now(UTC), days)
    report_page.write(report_page.page(figures), output)
    print(f"{output}: {figures.days[0]} to {figures.days[-1]}, as of {figures.snapshot.at:%Y-%m-%d %H:%M:%S} UTC")
    return DONE


@app.command
def shell(*arguments: Annotated[str, Parameter(allow_leading_hyphen=True)]) -> int:
    """Become DuckDB's own command line, with the lake attached read-only: tables and views by their bare names, UTC.

    It is your own shell: it cannot change the lake through what is attached, but does with files what you may do.

    Parameters
    ----------
    arguments
        What DuckDB's program takes, handed on as it is: -c "SQL", -json, -csv, -f FILE, a database file of your own.
    """
    from sinks.shell import become_shell

    if "-init" in arguments:
        return _complain("the shell has a beginning of its own: read yours with -cmd '.read FILE'", USAGE)
    with open_lake(_settings()) as lake:
        if sys.stdin.isatty() and not {"-c", "-s", "-f"} & set(arguments):
            hello = f"{lake.location}, read-only. Begin with conversations, turns, agent_daily; SHOW TABLES has all"
            Console(stderr=True, soft_wrap=True).print(Text(hello, style="dim"))
        return become_shell(lake, arguments)


@app.command
def export(
    target: str,
    /,
    *,
    since: datetime | None = None,
    tables: Annotated[tuple[str, ...], Parameter(consume_multiple=True)] = (),
) -> int:
    """Copy the tables out: to a folder of plain Parquet files, or with the views to one DuckDB file. At any time.

    All of it is of one snapshot. In a folder only days that changed since the last export are written anew, a file a
    day; what it has, it keeps. A DuckDB file is built whole, and takes the old one's place in one step.

    Parameters
    ----------
    target
        A folder, s3://bucket/prefix, or a file that ends in .duckdb.
    since
        Of segments and utterances, only days from here on, ISO 8601, UTC.
    tables
        Only these tables. Absent: all.
    """
    from flows import show
    from sinks.export import export as bring_up
    from sinks.publish import SUFFIX, publish

    with open_lake(_settings()) as lake:
        if target.endswith(SUFFIX) and "://" not in target:
            if since or tables:
                return _complain("a DuckDB file holds everything: leave out --since and --tables", USAGE)
            show.published(publish(lake, Path(target)))
        else:
            show.exported(bring_up(lake, target, tables, _utc(since).date() if since else None))
    return DONE


@app.command
def changes(
    table: str,
    /,
    *,
    since: str,
    form: Annotated[Format, Parameter(name="--format")] = "json",
    output: Path | None = None,
) -> int:
    """Say which rows of a table came, went or became others since a snapshot, each once, to load them elsewhere.

    The snapshot to go on from is named on standard error; with --output, it is all that standard output holds.

    Parameters
    ----------
    table
        segments, utterances, windows, quarantine or runs.
    since
        A snapshot, or an ISO 8601 time, UTC: changes after the last snapshot by then.
    form
        How the rows come out.
    output
        A file to write them to, instead of standard output.
    """
    from flows import show
    from sinks.feed import changes as read_changes

    if form == "parquet" and output is None and sys.stdout.isatty():
        return _complain("Parquet is not for a terminal: name a file with --output, or pipe it", USAGE)
    try:
        begin = int(since) if since.isdecimal() else _utc(datetime.fromisoformat(since))
    except ValueError:
        return _complain(f"--since {since}: give a snapshot's number, or an ISO 8601 time", USAGE)
    with open_lake(_settings()) as lake:
        found = read_changes(lake, table, begin)
    show.rows(found.rows, form, output)
    if output:
        print(found.until)
    Console(stderr=True).print(f"{found.rows.num_rows:,} changes since {found.since}; go on with --since {found.until}")
    return DONE


@app.command
def mcp() -> int:
    """Answer agents over the Model Context Protocol, on standard input and output: search, read, query, describe.

    For an MCP client to start, which is told RINGCX_LAKE. Nothing can be written through it.
    """
    from flows import mcp_server

    with open_lake(_settings()) as lake:
        mcp_server.serve(lake)
    return DONE


@app.command
def search(  # noqa: PLR0913 - a command's options
    what: str,
    /,
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    agent: str | None = None,
    channel: str | None = None,
    sub_account: str | None = None,
    limit: Annotated[int, Parameter(validator=validators.Number(gte=1, lte=1000))] = 20,
    newest: bool = False,
    form: Annotated[Literal["table", "json", "csv"], Parameter(name="--format")] = "table",
) -> int:
    """Find conversations by what was said in them, best first, and see where.

    Words, "phrases", beginnings*, AND, OR, NOT and parentheses; what stands side by side must all be there, anywhere in
    the conversation. Case does not matter. Chinese and what else is written without spaces is found inside longer text.

    Parameters
    ----------
    what
        What to look for, as in: 'refund AND (cancel* OR "close my account") -test'.
    since
        Only conversations that began then or later, ISO 8601; without a zone, UTC.
    until
        Only those that began before.
    agent
        Only those with a segment of this agent (id).
    channel
        Only those of this channel: VOICE, DIGITAL, or a type such as EMAIL.
    sub_account
        Only those of this sub-account.
    limit
        So many conversations.
    newest
        The newest first, instead of the best.
    form
        How they come out: csv has a row for each turn shown.
    """
    from flows import show_found
    from flows.search import Filters
    from flows.search import search as look
    from flows.terms import SearchError

    filters = Filters(
        since=_utc(since) if since else None,
        until=_utc(until) if until else None,
        channel=channel.upper() if channel else None,
        agent=agent,
        sub_account=sub_account,
    )
    try:
        with open_lake(_settings()) as lake:
            page = look(lake, what, filters, limit=limit, order="newest" if newest else "rank")
    except SearchError as error:
        return _complain(error, USAGE)
    show_found.page(page, form)
    return DONE


@app.command
def browse(*, port: int = 8200) -> int:
    """Read and search conversations in a browser, on this machine only. Ends with Ctrl-C.

    Parameters
    ----------
    port
        Port on 127.0.0.1; 0: any free one.
    """
    from flows.browse.server import serve_forever

    with open_lake(_settings()) as lake:
        serve_forever(lake, port, lambda url: print(f"{url}  (Ctrl-C ends it)", flush=True))
    return DONE


@app.command
def dictionary() -> int:
    """Print the data dictionary: every table, view and column, with unit and source, as Markdown."""
    from flows.dictionary import markdown

    print(markdown())
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
