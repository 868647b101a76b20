"""How a receiver tells what it does: where it listens, a line that lives on a terminal, what came of it in the end."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from rich.console import Console
from rich.live import Live
from rich.text import Text

from flows.calls.receiving.intake import Tally
from flows.calls.receiving.receiver import Listening, Received, Show
from flows.calls.receiving.recovery import Recovered


@contextmanager
def shown() -> Iterator[Show]:
    """What to tell a run to show. On anything but a terminal, troubles only, each when it begins and when it ends."""
    console = Console(stderr=True, soft_wrap=True, highlight=False)
    out = Console(soft_wrap=True, highlight=False)
    said = ""
    with Live(console=console, refresh_per_second=2, transient=True) as live:

        def listening(where: Listening) -> None:
            out.print(f"listening at {where.wss} and {where.grpc}; Ctrl-C ends it")

        def progress(tally: Tally, trouble: str) -> None:
            nonlocal said
            if trouble != said:
                said = trouble
                console.print(Text(trouble or "the trouble is over", style="yellow" if trouble else "green"))
            if console.is_terminal:
                live.update(Text(f"live: {tally.live_calls} calls, {tally.live_segments} segments; {line(tally)}"))

        yield Show(listening, progress)


def line(tally: Tally) -> str:
    """What was heard in all, in one line."""
    counts = tally.counts
    heard = timedelta(seconds=round(tally.audio_s))
    chunks = f"{counts.chunks:,} chunks, {counts.missing:,} missing, {counts.late:,} late, {counts.doubled:,} doubled"
    return f"{tally.calls:,} calls, {tally.segments:,} segments, {heard} of audio ({chunks}), {tally.refused:,} refused"


def recovered(what: Recovered) -> None:
    """What killed receivers had left."""
    console = Console(soft_wrap=True, highlight=False)
    console.print(
        f"after {what.runs} receivers that were killed or could not commit:"
        f" {what.cut} recordings marked cut, {what.complete} complete ones committed"
    )


def ended(received: Received) -> None:
    """What a run heard in all."""
    console = Console(soft_wrap=True, highlight=False)
    if received.recovered and received.recovered.runs:
        recovered(received.recovered)
    tally = received.tally
    console.print(f"receive: {line(tally)}; {tally.complete:,} segments complete, {tally.cut:,} cut")
    if received.uncommitted:
        console.print(f"not committed yet: {received.uncommitted}; `ringcx-etl receive --recover` does it")
