"""Speech to text: segments that have audio and no transcript, newest first, until the budget is spent.

    look    which segments have audio that nobody has put into words (`flows.calls.speech.hearing`)
    claim   a segment for one engine, so that no other run hears it too (`flows.calls.speech.jobs`)
    hear    an engine at work here; or RingCentral's AI, which answers later (`flows.calls.speech.platform_speech`)
    finish  the job's end and what was heard are one commit

Kill it anywhere: what was committed is complete, and the rest is heard again. Knows no Prefect.
"""

import asyncio
import os
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from uuid import UUID

from connectors.errors import Blocked, ConnectorError, Denied, Rejected
from connectors.speech.pocketsphinx import PocketSphinx
from flows.calls.speech import jobs
from flows.calls.speech.hearing import Candidate, heard_rows
from flows.calls.speech.jobs import Ending
from flows.calls.speech.to_hear import Wish, budget_ms, budgeted, engine_of, waiting
from flows.calls.tables import GOOGLE, RINGCENTRAL_AI
from flows.on_record import DONE, FAILED, on_record, record
from flows.pipeline import unbroken
from flows.ports import Transcriber
from flows.runtime import Runtime
from flows.settings import SettingsError
from flows.tally import Tally
from sinks.errors import LakeError

__all__ = ["Hearing", "Transcribed", "Wish", "transcribe"]

KIND = "transcribe"
GIVE_UP_AFTER = 5  # jobs in vain in a row


@dataclass(slots=True)
class Hearing:
    """How far a run is: segments and ms of audio, of those wanted; ends by state; utterances stored."""

    wanted: int = 0
    wanted_ms: int = 0
    done: int = 0
    done_ms: int = 0
    states: Counter[str] = field(default_factory=Counter)
    utterances: int = 0
    troubles: list[str] = field(default_factory=list)

    def count(self, state: str, audio_ms: int, utterances: int = 0) -> None:
        """Add a job that has come to something, or is asked for."""
        self.done += 1
        self.done_ms += audio_ms
        self.states[state] += 1
        self.utterances += utterances

    def tally(self) -> Tally:
        """As the counts of a run."""
        return Tally(utterances_read=self.utterances, utterances_loaded=self.utterances, troubles=self.troubles)


@dataclass(frozen=True, slots=True)
class Transcribed:
    """What a run did. `left`: segments that are still to be heard by this engine."""

    run_id: str
    engine: str
    started_at: datetime
    finished_at: datetime
    hearing: Hearing
    left: int

    @property
    def ok(self) -> bool:
        """Whether nothing went wrong."""
        return not self.hearing.troubles


Progress = Callable[[Hearing], None]


async def transcribe(
    runtime: Runtime,
    wish: Wish = Wish(),  # noqa: B008 - frozen
    *,
    max_minutes: float | None = None,
    on_progress: Progress = lambda hearing: None,
    transcriber: Transcriber | None = None,
) -> Transcribed:
    """Put audio without a transcript into words, and say in `runs` what came of it.

    `transcriber`: an engine of the caller's own, in the place of the one that is named.
    """
    started_at, engine = runtime.now(), engine_of(runtime, wish, transcriber)
    minutes = wish.max_minutes if max_minutes is None else max_minutes
    until = None if minutes is None else started_at + timedelta(minutes=minutes)
    run_id = str(UUID(int=runtime.rng.getrandbits(128), version=4))
    hearing = Hearing()
    with on_record(runtime, run_id, KIND, started_at):
        try:
            chosen = budgeted(waiting(runtime, wish, engine), budget_ms(runtime, wish))
            hearing.wanted, hearing.wanted_ms = len(chosen), sum(one.audio_ms for one in chosen)
            on_progress(hearing)
            if engine == RINGCENTRAL_AI:
                await _ask(runtime, run_id, chosen, hearing, on_progress, until, analyze=wish.analyze)
            else:
                heard_by = transcriber or _engine(engine)
                await _Local(runtime, run_id, heard_by, hearing, on_progress, until).execute(chosen)
        except BaseException as error:
            known = isinstance(error, (ConnectorError, LakeError, SettingsError))
            stopped = not isinstance(error, Exception)  # cancelled, or a signal
            hearing.troubles.append(str(error) if known else "interrupted" if stopped else type(error).__name__)
            record(runtime, run_id, KIND, FAILED, started_at, hearing.tally().columns(runtime.http.spent))
            raise
        ends = FAILED if hearing.troubles else DONE
        record(runtime, run_id, KIND, ends, started_at, hearing.tally().columns(runtime.http.spent))
        left = len(waiting(runtime, wish, engine))
    return Transcribed(run_id, engine, started_at, runtime.now(), hearing, left)


def _engine(engine: str) -> Transcriber:
    if engine == GOOGLE:
        from connectors.speech.google import GoogleSpeech  # noqa: PLC0415 - an extra that may not be installed

        return GoogleSpeech()
    return PocketSphinx(_width())


def _width() -> int:
    return max(1, (os.cpu_count() or 2) - 1)


@dataclass(eq=False)
class _Local:
    """A run whose engine hears here and now."""

    runtime: Runtime
    run_id: str
    engine: Transcriber
    hearing: Hearing
    on_progress: Progress
    until: datetime | None
    _in_vain: int = 0

    async def execute(self, chosen: Sequence[Candidate]) -> None:
        """A few at a time, newest first. What it claimed and did not end is given back, also when cancelled."""
        left = list(chosen)[::-1]
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(_width()):
                    group.create_task(self._work(left))
        except BaseExceptionGroup as errors:
            raise _first(errors) from None
        finally:
            await asyncio.shield(unbroken(_give_back, self.runtime, self.run_id))

    async def _work(self, left: list[Candidate]) -> None:
        while left and self._in_vain < GIVE_UP_AFTER and not self._time_is_up():
            one = left.pop()
            if await unbroken(self._claim, one):
                await self._hear(one)
                self.on_progress(self.hearing)

    def _claim(self, one: Candidate) -> bool:
        runtime, source = self.runtime, self.engine.source
        language = runtime.settings.ringcx_transcribe_language
        return bool(jobs.claim(runtime.lake, [one], source, self.run_id, runtime.now(), language=language))

    async def _hear(self, one: Candidate) -> None:
        runtime, top = self.runtime, Path(self.runtime.settings.ringcx_audio_path)
        tracks = [voice.track(top, one.began_at) for voice in one.voices]
        try:
            heard = await self.engine.transcribe(tracks, runtime.settings.ringcx_transcribe_language)
        except Blocked:
            raise
        except ConnectorError as error:
            await self._fail(one, error)
            return
        self._in_vain = 0
        rows = heard_rows(one, one.began_at, heard.heard)
        state = jobs.DONE if rows else jobs.EMPTY
        ending = Ending(
            key=one.key,
            source=self.engine.source,
            at=runtime.now(),
            run_id=self.run_id,
            state=state,
            confidence=heard.confidence,
            audio_ms=one.audio_ms,
            utterances=rows,
            day=one.ended_at,
        )
        if await unbroken(jobs.finish, runtime.lake, [ending]):
            self.hearing.count(state, one.audio_ms, len(rows))

    async def _fail(self, one: Candidate, error: ConnectorError) -> None:
        runtime, said = self.runtime, str(error)
        if isinstance(error, (Rejected, Denied)):
            state, source, now = jobs.FAILED, self.engine.source, runtime.now()
            ending = Ending(key=one.key, source=source, at=now, run_id=self.run_id, state=state, error=said)
            await unbroken(jobs.finish, runtime.lake, [ending])
        else:
            self._in_vain += 1
            key, source = one.key, self.engine.source
            state = await unbroken(jobs.put_off, runtime.lake, key, source, runtime.now(), self.run_id, said)
        self.hearing.count(state, one.audio_ms)
        self.hearing.troubles.append(f"segment {one.key[2]} of dialog {one.key[1]}: {said}")

    def _time_is_up(self) -> bool:
        return self.until is not None and self.runtime.now() >= self.until


async def _ask(
    runtime: Runtime,
    run_id: str,
    chosen: Sequence[Candidate],
    hearing: Hearing,
    on_progress: Progress,
    until: datetime | None,
    *,
    analyze: bool,
) -> None:
    """Have RingCentral's AI hear them, and collect what it says of jobs that earlier runs began."""
    from flows.calls.speech.platform_speech import Wanted, hear  # noqa: PLC0415 - only where it is wanted

    def done(wanted: Wanted, state: str) -> None:
        hearing.count(state, wanted.audio_ms or 0)
        on_progress(hearing)

    wanted = [Wanted(one.key, one.began_at, one.ended_at.date(), one.audio_ms) for one in chosen]
    wait_s = None if until is None else max(0.0, (until - runtime.now()).total_seconds())
    await hear(runtime, wanted, run_id, analyze=analyze, on_done=done, wait_s=wait_s)
    rows = (await unbroken(runtime.lake.query, BROUGHT_SQL, [run_id])).to_pylist()
    hearing.utterances += sum(row["utterance_count"] or 0 for row in rows)
    hearing.troubles += [
        f"segment {row['segment_id']} of dialog {row['dialog_id']}: {row['error'] or row['state']}"
        for row in rows
        if row["state"] in (jobs.FAILED, jobs.EXPIRED)
    ]


def _give_back(runtime: Runtime, run_id: str) -> None:
    with suppress(LakeError):  # the claims run out; what ended the run is what should be said
        if changes := jobs.given_back(runtime.lake, [run_id]):
            runtime.lake.commit(changes, f"transcribe {run_id}: give back")


def _first(errors: BaseExceptionGroup[BaseException]) -> BaseException:
    """The error that a group of tasks ended by; the others only followed from it."""
    for error in errors.exceptions:
        return _first(error) if isinstance(error, BaseExceptionGroup) else error
    return errors


BROUGHT_SQL = "SELECT dialog_id, segment_id, state, error, utterance_count FROM jobs WHERE run_id = ?"
