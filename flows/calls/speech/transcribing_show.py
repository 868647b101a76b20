"""Speech to text on a terminal: how far a run is, what it brought, what there is to do."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.text import Text

from flows.calls.speech.hearing import Candidate
from flows.calls.speech.transcribing import Hearing, Transcribed
from flows.show import harmless, span


@contextmanager
def shown() -> Iterator[Callable[[Hearing], None]]:
    """A function that shows how far a run is; on anything but a terminal it shows nothing."""
    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[minutes]}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
    )
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=False) as progress:
        bar = progress.add_task("transcribe", total=None, note="", minutes="")

        def show(hearing: Hearing) -> None:
            total = max(hearing.wanted_ms, hearing.done_ms)
            minutes = f"{hearing.done_ms / 60_000:.1f} of {total / 60_000:.1f} min"
            trouble = f", [yellow]{len(hearing.troubles)} trouble(s)" if hearing.troubles else ""
            note = f"{hearing.utterances:,} utterances{trouble}"
            progress.update(bar, total=total or None, completed=hearing.done_ms, minutes=minutes, note=note)

        yield show


def transcribed(done: Transcribed) -> None:
    """What a run brought."""
    console, hearing = Console(soft_wrap=True, highlight=False), done.hearing
    counts = ", ".join(f"{count:,} {state}" for state, count in sorted(hearing.states.items())) or "nothing to hear"
    seconds = (done.finished_at - done.started_at).total_seconds()
    console.print(f"transcribe ({done.engine}): {counts}; {hearing.done_ms / 60_000:.1f} min of audio, {seconds:.0f} s")
    console.print(f"  {hearing.utterances:,} utterances; {done.left:,} segments still to be heard")
    for trouble in hearing.troubles[:20]:
        console.print(Text(f"  did not come: {harmless(trouble)}", style="yellow"))


def foretold(engine: str, found: Sequence[Candidate], chosen: Sequence[Candidate]) -> None:
    """What there is to hear, and what of it a run would take on."""
    console = Console(soft_wrap=True, highlight=False)
    everything, first = (timedelta(milliseconds=sum(one.audio_ms for one in some)) for some in (found, chosen))
    console.print(f"transcribe ({engine}): {len(found):,} segments to be heard, {span(everything)} of audio")
    console.print(f"  {len(chosen):,} of them within the budget, {span(first)}")
