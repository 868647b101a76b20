"""What is fetched and heard beside transcripts, as far as it is switched on: recordings, summaries, speech to text.

Knows no Prefect.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta

from connectors.errors import ConnectorError
from flows.calls.downloads import recordings, summaries
from flows.calls.downloads.haul import Fetched, said
from flows.calls.speech.transcribing import Transcribed, transcribe
from flows.runtime import Runtime
from flows.settings import Settings, SettingsError
from sinks.errors import LakeError


@dataclass(frozen=True, slots=True)
class Part:
    """One part of an enrichment: what it brought, in a line, and what did not come."""

    kind: str
    brought: str
    troubles: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Nothing stayed away that should have come."""
        return not self.troubles


def is_on(settings: Settings) -> bool:
    """Whether there is anything to do."""
    return settings.ringcx_recordings or settings.ringcx_summaries or settings.ringcx_transcribe


async def enrich(runtime: Runtime, *, max_minutes: float | None = None) -> list[Part]:
    """Everything that is switched on, one after the other; what fails keeps nothing else from being done.

    Starts nothing new after `max_minutes`; the next one goes on from there.
    """
    settings, parts = runtime.settings, []
    end = None if max_minutes is None else runtime.now() + timedelta(minutes=max_minutes)
    steps: list[tuple[bool, str, Callable[[float | None], Awaitable[Part]]]] = [
        (settings.ringcx_recordings, "recordings", lambda left: _fetched(recordings.fetch(runtime, max_minutes=left))),
        (settings.ringcx_summaries, "summaries", lambda left: _fetched(summaries.fetch(runtime, max_minutes=left))),
        (settings.ringcx_transcribe, "transcribe", lambda left: _heard(transcribe(runtime, max_minutes=left))),
    ]
    for wanted, kind, step in steps:
        left = None if end is None else (end - runtime.now()) / timedelta(minutes=1)
        if wanted and (left is None or left > 0):
            parts.append(await _tried(kind, step, left))
    return parts


async def _tried(kind: str, step: Callable[[float | None], Awaitable[Part]], left: float | None) -> Part:
    try:
        return await step(left)
    except (ConnectorError, LakeError, SettingsError) as error:
        return Part(kind, "failed", (str(error),))


async def _fetched(fetching: Awaitable[Fetched]) -> Part:
    done = await fetching
    return Part(done.kind, f"{said(done.haul)}; still to come: {done.left:,}", tuple(done.haul.troubles))


async def _heard(hearing: Awaitable[Transcribed]) -> Part:
    done = await hearing
    heard = done.hearing
    brought = f"{heard.utterances:,} utterances of {heard.done:,} segments, {heard.done_ms / 60_000:,.1f} min of audio"
    return Part("transcribe", f"{brought}; still to come: {done.left:,}", tuple(heard.troubles))
