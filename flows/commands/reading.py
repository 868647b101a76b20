"""Commands that read the lake: for analysts and agents."""

import sys
from datetime import datetime
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter, validators
from rich.console import Console
from rich.text import Text

from flows.commands.app import DONE, USAGE, Format, app, complain, ready_settings, utc
from flows.runtime import open_lake


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
        return complain("Parquet is not for a terminal: name a file with --output, or pipe it", USAGE)
    with open_lake(ready_settings()) as lake:
        show.rows(lake.query(sql), form, output)
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
        return complain("the shell has a beginning of its own: read yours with -cmd '.read FILE'", USAGE)
    with open_lake(ready_settings()) as lake:
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

    with open_lake(ready_settings()) as lake:
        if target.endswith(SUFFIX) and "://" not in target:
            if since or tables:
                return complain("a DuckDB file holds everything: leave out --since and --tables", USAGE)
            show.published(publish(lake, Path(target)))
        else:
            show.exported(bring_up(lake, target, tables, utc(since).date() if since else None))
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
        return complain("Parquet is not for a terminal: name a file with --output, or pipe it", USAGE)
    try:
        begin = int(since) if since.isdecimal() else utc(datetime.fromisoformat(since))
    except ValueError:
        return complain(f"--since {since}: give a snapshot's number, or an ISO 8601 time", USAGE)
    with open_lake(ready_settings()) as lake:
        found = read_changes(lake, table, begin)
    show.rows(found.rows, form, output)
    if output:
        print(found.until)
    Console(stderr=True).print(f"{found.rows.num_rows:,} changes since {found.since}; go on with --since {found.until}")
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
    from flows.search import show as show_found
    from flows.search.searching import Filters
    from flows.search.searching import search as look
    from flows.search.terms import SearchError

    filters = Filters(
        since=utc(since) if since else None,
        until=utc(until) if until else None,
        channel=channel.upper() if channel else None,
        agent=agent,
        sub_account=sub_account,
    )
    try:
        with open_lake(ready_settings()) as lake:
            page = look(lake, what, filters, limit=limit, order="newest" if newest else "rank")
    except SearchError as error:
        return complain(error, USAGE)
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

    with open_lake(ready_settings()) as lake:
        serve_forever(lake, port, lambda url: print(f"{url}  (Ctrl-C ends it)", flush=True))
    return DONE


@app.command
def mcp() -> int:
    """Answer agents over the Model Context Protocol, on standard input and output: search, read, query, describe.

    For an MCP client to start, which is told RINGCX_LAKE. Nothing can be written through it.
    """
    from flows.agents import server

    with open_lake(ready_settings()) as lake:
        server.serve(lake)
    return DONE


@app.command
def dictionary() -> int:
    """Print the data dictionary: every table, view and column, with unit and source, as Markdown."""
    from flows.dictionary import markdown

    print(markdown())
    return DONE
