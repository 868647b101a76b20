"""A run's progress on a terminal: requests done of those planned, transcripts fetched of those flagged, ETA."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from flows.calls.downloads.haul import Haul
from flows.calls.downloads.haul import said as said_of
from flows.tally import Tally


@contextmanager
def shown(title: str) -> Iterator[Callable[[Tally], None]]:
    """A function that shows the tally it is given; on anything but a terminal it shows nothing."""
    with _bars() as progress:
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


@contextmanager
def shown_items(title: str, quota: Callable[[], str]) -> Iterator[Callable[[Haul], None]]:
    """The same for items that are fetched one by one; `quota` says what of it is used."""
    with _bars() as progress:
        bar = progress.add_task(title, total=None, note="")

        def show(haul: Haul) -> None:
            trouble = f", [yellow]{len(haul.troubles)} trouble(s)" if haul.troubles else ""
            note = f"{said_of(haul)}; {quota()}{trouble}"
            progress.update(bar, total=max(haul.wanted, haul.done), completed=haul.done, note=note)

        yield show


def _bars() -> Progress:
    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
    )
    return Progress(*columns, console=console, disable=not console.is_terminal, transient=False)
