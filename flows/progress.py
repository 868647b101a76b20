"""A run's progress on a terminal: requests done of those planned, transcripts fetched of those flagged, ETA, quota."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from flows.tally import Tally


@contextmanager
def shown(title: str) -> Iterator[Callable[[Tally], None]]:
    """A function that shows the tally it is given; on anything but a terminal it shows nothing."""
    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
    )
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=False) as progress:
        polls = progress.add_task(f"{title}: metadata requests", total=None, note="")
        texts = progress.add_task(f"{title}: transcripts", total=None, note="")

        def show(tally: Tally) -> None:
            progress.update(polls, total=tally.requests_planned, completed=tally.requests_done)
            progress.update(texts, total=max(tally.flagged, tally.fetched), completed=tally.fetched)
            notes = [f"{tally.utterances_loaded:,} utterances stored"]
            notes += [f"{tally.transcripts_not_ready} not ready"] if tally.transcripts_not_ready else []
            progress.update(texts, note=", ".join(notes))
            if tally.troubles:
                progress.update(polls, note=f"[yellow]{len(tally.troubles)} trouble(s)")

        yield show
