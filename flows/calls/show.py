"""What belongs to calls, as people read it: streams, profiles, what was fetched."""

import sys
from collections.abc import Sequence
from datetime import timedelta

import msgspec
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from connectors.ringcx.profiles import Profile
from flows.calls.downloads.haul import Fetched, said
from flows.calls.enriching import Part
from flows.calls.streams import Stream
from flows.show import harmless, span


def streams(found: Sequence[Stream], *, json: bool = False) -> None:
    """A line each, or as a JSON array; without what concerns only the receiver."""
    if json:
        plain = [_without_digest(msgspec.to_builtins(stream)) for stream in found]
        print(msgspec.json.format(msgspec.json.encode(plain)).decode())
        return
    if not found:
        print("no stream may be running")
        return
    table = Table(box=box.SIMPLE_HEAD)
    for name in ("stream", "state", "sub-account", "dialog", "segment", "asked for", "url", ""):
        table.add_column(name, no_wrap=name in ("stream", "state"))
    for stream in found:
        ids = (stream.sub_account_id, stream.dialog_id, stream.segment_id)
        asked = f"{stream.asked_at:%Y-%m-%d %H:%M:%S}"
        cells = (stream.stream_id, stream.state, *ids, asked, stream.url, stream.error or "")
        table.add_row(*(Text(harmless(cell)) for cell in cells))
    (Console() if sys.stdout.isatty() else Console(width=240)).print(table)


def stream(found: Stream) -> None:
    """One line: its id, which stops it, and its state."""
    what = f"segment {found.segment_id} of " if found.segment_id else ""
    Console(soft_wrap=True, highlight=False).print(
        Text(harmless(f"{found.stream_id} {found.state}: {what}dialog {found.dialog_id} -> {found.url}"))
    )


def profile(found: Profile) -> None:
    """A field a line; of the secret only whether there is one."""
    fields = msgspec.to_builtins(found)
    fields["secret"] = "(set)" if found.secret else "(none)"
    for name, value in fields.items():
        Console(soft_wrap=True, highlight=False).print(Text(f"{name}: {harmless(str(value or ''))}"))


def cost(kind: str, items: int, takes: timedelta) -> None:
    """What a run will ask for, on standard error: standard output is for results."""
    console = Console(stderr=True, soft_wrap=True, highlight=False)
    console.print(f"{kind}: {items:,} to ask for, {span(takes)} at the present limits")


def fetched(done: Fetched) -> None:
    """What a run brought, in a few lines, on standard error."""
    console = Console(stderr=True, soft_wrap=True, highlight=False)
    seconds = (done.finished_at - done.started_at).total_seconds()
    console.print(f"{done.kind}: {said(done.haul)}; still to come: {done.left:,}; {seconds:.0f} s")
    for trouble in done.haul.troubles:
        console.print(Text(harmless(f"  did not come: {trouble}"), style="yellow"))


def enriched(parts: Sequence[Part]) -> None:
    """What each part of an enrichment brought, a line each, on standard error."""
    console = Console(stderr=True, soft_wrap=True, highlight=False)
    for part in parts:
        console.print(Text(harmless(f"{part.kind}: {part.brought}")))
        for trouble in part.troubles:
            console.print(Text(harmless(f"  did not come: {trouble}"), style="yellow"))


def _without_digest(fields: dict[str, object]) -> dict[str, object]:
    return {name: value for name, value in fields.items() if name != "token_digest"}
