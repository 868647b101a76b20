"""Commands that fetch what belongs to segments beside their transcripts: recordings, summaries."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from cyclopts import Parameter

from flows.calls.downloads.choice import Choice
from flows.calls.downloads.haul import Fetched, Haul
from flows.commands.app import DONE, FAILED, app, ready_settings, utc
from flows.commands.calls import run_with
from flows.runtime import Runtime


@Parameter(name="*")
@dataclass(frozen=True, slots=True)
class Segments:
    """Which segments.

    Parameters
    ----------
    start
        Only segments that ended from then on, ISO 8601; without a zone, UTC. Absent: as far back as RingCX keeps any.
    end
        Only segments that ended before it.
    sub_account
        Only this sub-account; may be given several times.
    agent
        Only this agent, by participant id; may be given several times.
    channel
        Only this channel type or class; may be given several times.
    min_seconds
        Only segments that lasted so long.
    """

    start: datetime | None = None
    end: datetime | None = None
    sub_account: tuple[str, ...] = ()
    agent: tuple[str, ...] = ()
    channel: tuple[str, ...] = ()
    min_seconds: float = 0.0

    @property
    def choice(self) -> Choice:
        """The same, as the downloads want it."""
        return Choice(
            start=utc(self.start) if self.start else None,
            end=utc(self.end) if self.end else None,
            sub_accounts=self.sub_account,
            agents=self.agent,
            channels=self.channel,
            min_seconds=self.min_seconds,
        )


ALL = Segments()


@app.command
def recordings(*, segments: Segments = ALL, max_minutes: float | None = None, dry_run: bool = False) -> int:
    """Download the recordings of segments, as WAV files below RINGCX_AUDIO_PATH; each once. Run it again to go on.

    Parameters
    ----------
    max_minutes
        Start nothing new after so many minutes.
    dry_run
        Only say what it will cost.
    """
    from flows.calls.downloads import recordings

    choice = segments.choice
    return _fetch(
        "recordings",
        lambda runtime: recordings.wanted(runtime, choice),
        lambda runtime, show: recordings.fetch(runtime, choice, max_minutes=max_minutes, on_progress=show),
        dry_run=dry_run,
    )


@app.command
def summaries(*, segments: Segments = ALL, max_minutes: float | None = None, dry_run: bool = False) -> int:
    """Fetch the summaries of segments, RingCX's own and the agent's. Run it again to go on.

    Parameters
    ----------
    max_minutes
        Start nothing new after so many minutes.
    dry_run
        Only say what it will cost.
    """
    from flows.calls.downloads import summaries

    choice = segments.choice
    return _fetch(
        "summaries",
        lambda runtime: summaries.wanted(runtime, choice),
        lambda runtime, show: summaries.fetch(runtime, choice, max_minutes=max_minutes, on_progress=show),
        dry_run=dry_run,
    )


def _fetch(
    kind: str,
    wanted: Callable[[Runtime], Awaitable[tuple[int, timedelta]]],
    fetch: Callable[[Runtime, Callable[[Haul], None]], Awaitable[Fetched]],
    *,
    dry_run: bool,
) -> int:
    """First what it costs, then the load with its progress, then what it brought."""
    from flows.calls import show as show_calls
    from flows.progress import shown_items

    async def run(runtime: Runtime) -> Fetched | None:
        show_calls.cost(kind, *await wanted(runtime))
        if dry_run:
            return None
        with shown_items(kind, lambda: quota_used(runtime, kind)) as on_progress:
            return await fetch(runtime, on_progress)

    done = run_with(ready_settings(), run)
    if done is None:
        return DONE
    show_calls.fetched(done)
    return DONE if done.ok else FAILED


def quota_used(runtime: Runtime, group: str) -> str:
    """How much of a group's limits all processes have used: `35 of 120 in 60 s`."""
    quota = runtime.quotas[group]
    used = (f"{quota.used(limit.seconds)} of {limit.requests} in {limit.seconds:g} s" for limit in quota.limits)
    return f"quota {', '.join(used)}"
