"""Results as people and programs read them: tables on a terminal, or JSON, CSV and Parquet."""

import io
import sys
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import BinaryIO, Literal

import msgspec
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from connectors.limits import Limit
from flows.doctor import Finding
from flows.loading import Report
from flows.planning import Forecast
from flows.settings import Settings
from flows.status import QuotaStatus, Status
from flows.upkeep import Upkeep
from flows.verify import Proof
from sinks.export import Exported
from sinks.maintenance import Size
from sinks.publish import Published

Format = Literal["table", "json", "csv", "parquet"]
SHOWN_ROWS, FILE_WIDTH = 1000, 240
CONTROL_SIGNS = {code: chr(0x2400 + code) for code in range(32) if chr(code) not in "\t\n"}
CONTROL_SIGNS |= dict.fromkeys(range(0x7F, 0xA0), "\N{REPLACEMENT CHARACTER}")


def rows(result: pa.Table, form: Format, output: Path | None) -> None:
    """A query's result, to a file or to standard output. Text goes out as it is: no markup, no escapes of its own."""
    if form == "table" and output is None:
        _terminal_table(result)
    elif output is None:
        sys.stdout.flush()
        _write(result, form, sys.stdout.buffer)
    else:
        with output.open("wb") as file:
            _write(result, form, file)


def _write(result: pa.Table, form: Format, file: BinaryIO) -> None:
    plain = plain_json(result)
    if form == "csv":
        pyarrow.csv.write_csv(plain, file)
    elif form == "parquet":
        pyarrow.parquet.write_table(plain, file, compression="zstd")
    elif form == "json":
        file.write(msgspec.json.format(msgspec.json.encode(plain.to_pylist(), enc_hook=str)) + b"\n")
    else:
        text = io.TextIOWrapper(file, encoding="utf-8")
        Console(file=text, width=FILE_WIDTH).print(_table(plain))
        text.flush()
        text.detach()


def plain_json(result: pa.Table) -> pa.Table:
    """The same with JSON columns as the text they are: not every reader knows Arrow's JSON type."""
    for index, column in enumerate(result.schema):
        if isinstance(column.type, pa.JsonType):
            result = result.set_column(index, column.name, result.column(index).cast(pa.string()))
    return result


def _console() -> Console:
    """Standard output; as wide as its content when nobody watches."""
    return Console() if sys.stdout.isatty() else Console(width=FILE_WIDTH)


def _terminal_table(result: pa.Table) -> None:
    console = _console()
    console.print(_table(plain_json(result.slice(0, SHOWN_ROWS))))
    more = result.num_rows - SHOWN_ROWS
    if more > 0:
        console.print(f"... and {more:,} more rows: --format csv, json or parquet shows them all", style="dim")


def _table(result: pa.Table) -> Table:
    table = Table(box=box.SIMPLE_HEAD)
    for column in result.schema:
        is_text = pa.types.is_string(column.type)  # text gives way when the terminal is too narrow, the rest does not
        justify: Literal["left", "right"] = "right" if pa.types.is_integer(column.type) else "left"
        table.add_column(column.name, justify=justify, no_wrap=not is_text)
    for row in result.to_pylist():
        table.add_row(*(Text(_cell(value)) for value in row.values()))
    return table


def _silence(quota: QuotaStatus) -> str:
    return f" (silent for {quota.silent_s:.0f} s after a 429)" if quota.silent_s else ""


def _cell(value: object) -> str:
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M:%S}"
    return "" if value is None else harmless(str(value))


def harmless(text: str) -> str:
    """Text from outside for a terminal: control characters as the signs that stand for them."""
    return text.translate(CONTROL_SIGNS)


def status(found: Status, *, json: bool = False) -> None:
    """The status at a glance, or as one JSON object."""
    if json:
        print(msgspec.json.format(msgspec.json.encode(found.plain())).decode())
        return
    console = _console()
    console.print(f"as of {found.as_of:%Y-%m-%d %H:%M:%S} UTC: {found.utterances:,} utterances")
    accounts = Table("sub-account", "watermark", "behind", "segments", "by transcript state", box=box.SIMPLE_HEAD)
    for account in found.sub_accounts:
        states = ", ".join(f"{name} {count:,}" for name, count in account.states.items())
        minutes = f"{account.behind_s / 60:.0f} min"
        watermark = f"{account.watermark:%Y-%m-%d %H:%M}"
        accounts.add_row(account.sub_account_id, watermark, minutes, f"{account.segments:,}", states)
    console.print(accounts)
    ages = ", ".join(f"{count:,} {age}" for age, count in found.pending.items() if count) or "none"
    console.print(f"transcripts still to come: {ages}")
    console.print(f"expired: {found.expired:,}; in quarantine: {found.quarantined:,}")
    for kind, of_state in found.downloads.items():
        console.print(f"{kind}: " + ", ".join(f"{count:,} {state}" for state, count in of_state.items()))
    for stream in found.streams:
        what = f"stream {stream['stream_id']} {stream['state']} since {_cell(stream['asked_at'])} UTC"
        where = f"dialog {stream['dialog_id']}, segment {stream['segment_id'] or 'all'}"
        console.print(Text(harmless(f"may be running: {what}: {where} -> {stream['url']}"), style="yellow"))
    for gap in found.gaps:
        line = (
            f"gap: sub-account {gap['sub_account_id']} from {_cell(gap['gap_from'])} to {_cell(gap['gap_until'])} UTC"
        )
        console.print(Text(line, style="red"))
    used = (f"{q.group} {q.used} of {q.requests} in {q.seconds:g} s{_silence(q)}" for q in found.quotas)
    console.print("quota used: " + ", ".join(used))
    runs = Table("last runs", "began", "state", "segments", "transcripts", "utterances", "", box=box.SIMPLE_HEAD)
    for run in found.runs:
        began = f"{run['started_at']:%Y-%m-%d %H:%M:%S}"
        counts = (_cell(run[name]) for name in ("segments_loaded", "transcripts_stored", "utterances_loaded"))
        runs.add_row(str(run["kind"]), began, str(run["state"]), *counts, Text(_cell(run["error"])))
    console.print(runs)


def settings(current: Settings) -> None:
    """Every setting with its value and meaning."""
    table = Table("setting", "value", "meaning", box=box.SIMPLE_HEAD)
    for name, field in type(current).model_fields.items():
        table.add_row(name.upper(), Text(_setting(getattr(current, name))), field.description)
    _console().print(table)


def _setting(value: object) -> str:
    if isinstance(value, tuple):
        return ",".join(f"{v.requests}/{v.seconds:g}" if isinstance(v, Limit) else str(v) for v in value)
    return "" if value is None else str(value)


def proof(found: Proof, *, json: bool = False) -> None:
    """The checks, a line each, and what is wrong below; or all of it as one JSON object."""
    if json:
        print(msgspec.json.format(msgspec.json.encode(found.plain())).decode())
        return
    console = _console()
    console.print(f"{found.span.start:%Y-%m-%d %H:%M} to {found.span.end:%Y-%m-%d %H:%M} UTC")
    for check in found.checks:
        mark = Text("ok  ", style="green") if check.ok else Text("FAIL", style="red")
        counts = f"{check.looked_at:,} looked at" + ("" if check.ok else f", {check.found:,} wrong")
        console.print(Text.assemble(mark, " ", (check.name, "bold"), f": {counts}"))
        for item in check.wrong:
            console.print(Text("       " + ", ".join(f"{name} {_cell(value)}" for name, value in item.items())))


def finding(found: Finding) -> None:
    """One line of the doctor's."""
    mark = "[green]ok  [/green]" if found.ok else "[red]FAIL[/red]"
    line = Text.assemble(Text.from_markup(mark), " ", (found.check, "bold"), ": ", found.said)
    Console(soft_wrap=True).print(line)


def forecast(cost: Forecast) -> None:
    """What a backfill will cost, on standard error: standard output is for results."""
    console = Console(stderr=True, soft_wrap=True, highlight=False)
    console.print(f"backfill {cost.span.start:%Y-%m-%d %H:%M} to {cost.span.end:%Y-%m-%d %H:%M} UTC")
    for account, requests in cost.requests.items():
        windows = cost.windows[account]
        console.print(f"  sub-account {account}: {windows:,} windows with {requests:,} metadata requests")
    wanted = "an unknown number of" if cost.transcripts is None else f"about {cost.transcripts:,}"
    again = f", {cost.again:,} of them once more" if cost.again else ""
    console.print(f"  {wanted} transcripts{again}; {cost.windows_done:,} windows are there already")
    console.print(
        f"  at the present limits: metadata {span(cost.metadata_time)}, transcripts {span(cost.transcript_time)}"
    )
    if cost.beyond_retention:
        gone = (
            f"{span(cost.beyond_retention)} of it is older than RINGCX_RETENTION_DAYS, or will be when its turn comes"
        )
        console.print(Text(f"  {gone}: RingCX may have deleted those transcripts", style="yellow"))


def span(length: timedelta) -> str:
    """A length of time in its two largest units."""
    hours, rest = divmod(round(length.total_seconds()), 3600)
    days, hours = divmod(hours, 24)
    return f"{days} d {hours} h" if days else f"{hours} h {rest // 60} min" if hours else f"{rest} s"


def upkeep(done: Upkeep) -> None:
    """What a maintenance did to each table, and what it removed; of a dry run, what it would."""
    did, console = done.did, _console()
    sizes = {name: (did.before[name], did.after[name]) for name in did.before}
    sizes["all"] = (sum(did.before.values(), Size()), sum(did.after.values(), Size()))
    after = "would be" if did.dry_run else "after"
    table = Table("table", box=box.SIMPLE_HEAD)
    for name in ("files", after, "size", "at most" if did.dry_run else "after"):
        table.add_column(name, justify="right", no_wrap=True)
    for name, (was, now) in sizes.items():
        table.add_row(name, f"{was.files:,}", f"{now.files:,}", _bytes(was.bytes), _bytes(now.bytes))
    console.print(table)
    to = "to be " if did.dry_run else ""
    console.print(
        f"{to}expired: {did.snapshots_expired:,} snapshots; {to}removed: {did.files_removed:,} old files,"
        f" {did.orphans_removed:,} orphans; {done.seconds:.1f} s",
        highlight=False,
    )
    for path in did.strangers:
        console.print(Text(f"not ours, in the lake's folder: {path}; no orphan is removed until it is moved", "yellow"))


def exported(done: Exported) -> None:
    """What a folder of Parquet files holds now, and what of it is new."""
    _copied(done.rows, done.bytes, done.snapshot_id, done.snapshot_at)
    _console().print(f"{done.written:,} files written, {done.removed:,} removed", highlight=False)


def published(done: Published) -> None:
    """What a DuckDB file holds now."""
    _copied(done.rows, done.bytes, done.snapshot_id, done.snapshot_at)


def _copied(rows: Mapping[str, int], size: int, snapshot_id: int, snapshot_at: datetime) -> None:
    counts = ", ".join(f"{count:,} {name}" for name, count in rows.items())
    at = f"{snapshot_at.astimezone(UTC):%Y-%m-%d %H:%M:%S}"
    _console().print(f"snapshot {snapshot_id} of {at} UTC: {counts}; {_bytes(size)}", highlight=False)


def _bytes(count: float) -> str:
    units = ["B", "kB", "MB", "GB", "TB"]
    while count >= 1000 and len(units) > 1:
        count, units = count / 1000, units[1:]
    return f"{count:.3g} {units[0]}"


def report(done: Report) -> None:
    """What a run brought, in a few lines."""
    tally, console = done.tally, Console(stderr=True, soft_wrap=True, highlight=False)
    seconds = (done.finished_at - done.started_at).total_seconds()
    console.print(
        f"{done.kind}: {tally.windows_polled} windows with {tally.requests_done} requests, {seconds:.0f} s\n"
        f"  segments   read {tally.segments_read:,} = loaded {tally.segments_loaded:,} + skipped"
        f" {tally.segments_skipped:,} + quarantined {tally.segments_quarantined:,}\n"
        f"  utterances read {tally.utterances_read:,} = loaded {tally.utterances_loaded:,} + skipped"
        f" {tally.utterances_skipped:,} + quarantined {tally.utterances_quarantined:,}"
        f" (of {tally.transcripts_stored:,} transcripts)\n"
        f"  still to come: {done.pending:,} transcripts"
    )
    if tally.transcripts_rejected or tally.transcripts_expired:
        gone = f"rejected {tally.transcripts_rejected:,}, expired {tally.transcripts_expired:,} transcripts"
        console.print(Text(f"  will not come: {gone}", style="yellow"))
    if tally.transcripts_left:
        console.print(f"  fetched once more in vain: {tally.transcripts_left:,} transcripts; what is stored stays")
    for name, count in sorted(tally.unknown_fields.items()):
        console.print(f"  new field {name}, {count:,} times: kept in extra")
    for trouble in tally.troubles:
        console.print(Text(f"  did not come: {trouble}", style="yellow"))
