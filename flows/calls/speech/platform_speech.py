"""Segments heard by RingCentral's AI: jobs begun, their answers collected, by webhook or by asking. Knows no Prefect.

Answers come to `webhook`, which runs here where RINGCX_WEBHOOK_URL is set, unless `ringcx-etl webhook` has
its port already. What comes to neither is asked for, at growing pauses. Kill it anywhere: the jobs are on record, and
the next run collects their answers.
"""

import asyncio
import errno
import logging
import secrets
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import date, datetime

from connectors.errors import Blocked, ConnectorError, Denied, NotReady, Rejected, Unavailable, Uncertain
from connectors.ringcentral.ai import ANALYSIS as ANALYZE
from connectors.ringcentral.ai import NOBODY, SPEECH, RingCentralAI, Task
from flows.calls.speech import jobs, platform_answers, platform_jobs
from flows.calls.speech.platform_jobs import Asked, Intent
from flows.calls.speech.webhook import Webhook, public_url, serving
from flows.calls.tables import ANALYSIS, RINGCENTRAL_AI
from flows.outcomes import Key
from flows.pipeline import unbroken
from flows.runtime import Runtime

log = logging.getLogger(__name__)

AT_ONCE = 8  # jobs begun, or asked about, at a time
GIVE_UP_AFTER = 5  # jobs in a row that could not be begun
FIRST_S, LONGEST_S = 5.0, 300.0  # between two questions about the same job; doubled each time
WEBHOOK_S = 60.0  # the first question, where the webhook should have been quicker
LOOK_S, LONGEST_LOOK_S = 1.0, 30.0  # between two looks at what another process may have stored; doubled each time
QUIET_S = 900.0  # without any answer: the rest is the next run's
FORGOTTEN = 3  # questions in a row that find no job, or no answer that can be read


@dataclass(frozen=True, slots=True)
class Wanted:
    """One segment to be heard: when its audio begins, and the day its utterances are stored under.

    `audio_ms`: its length, where it is known. `content_uri`: where the audio is; empty: RingCX's recording.
    """

    key: Key
    started_at: datetime
    segment_day: date
    audio_ms: int | None = None
    content_uri: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Heard:
    """What came of one job, as far as it is known when the run ends."""

    key: Key
    source: str
    state: str
    utterances: int = 0
    error: str | None = None


OnDone = Callable[[Wanted, str], None]


async def hear(
    runtime: Runtime,
    wanted: Sequence[Wanted],
    run_id: str,
    *,
    analyze: bool = False,
    on_done: OnDone = lambda wanted, state: None,
    wait_s: float | None = None,
) -> list[Heard]:
    """Have all of them heard, and with `analyze` analysed, too; store what comes, of earlier runs' jobs as well.

    Returns when every job has ended, after `wait_s`, or after a quarter of an hour in which no answer came. `on_done`
    is called once for each of `wanted` whose jobs have ended, with the state of its speech to text. Raises Blocked and
    Denied, LakeError, and SettingsError for an address that cannot be used; what surely did not begin is due again.
    """
    work = _Work(runtime, run_id, {one.key: one for one in wanted}, on_done, analyze=analyze)
    async with work.receiving():
        await work.begin_all()
        return await work.collect(wait_s)


@dataclass(eq=False)
class _Work:
    runtime: Runtime
    run_id: str
    wanted: dict[Key, Wanted]
    on_done: OnDone
    analyze: bool
    _open: set[Key] = field(default_factory=set)
    _receives: bool = False  # here, or in another process
    _receives_here: bool = False
    _look_s: float = LOOK_S
    _pauses: dict[tuple[Key, str], float] = field(default_factory=dict)
    _due: dict[tuple[Key, str], float] = field(default_factory=dict)  # when each is asked about next, the loop's time
    _vain: Counter[tuple[Key, str]] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        settings = self.runtime.settings
        self._open = set(self.wanted)
        self._news = asyncio.Event()
        self._public_url = ""
        self._ai = RingCentralAI(
            self.runtime.http, self.runtime.auth, settings.ringcentral_base_url, settings.ringcx_base_url
        )

    @asynccontextmanager
    async def receiving(self) -> AsyncIterator[None]:
        """Answers are received here, unless another process does so already."""
        runtime, settings = self.runtime, self.runtime.settings
        async with AsyncExitStack() as stack:
            if settings.ringcx_webhook_url:
                self._public_url = public_url(settings)
                self._receives = True
                webhook = Webhook(runtime.lake, runtime.now, self.run_id, self._news.set)
                try:
                    await stack.enter_async_context(serving(webhook, settings.ringcx_webhook_port))
                    self._receives_here = True
                except OSError as error:
                    if error.errno != errno.EADDRINUSE:
                        raise
                    log.info("webhook elsewhere port=%d", settings.ringcx_webhook_port)
            yield

    # Beginning

    async def begin_all(self) -> None:
        """Begin a job for each that is wanted, unless it has one that has ended or is under way."""
        intents = await self._intents()
        vain = 0
        for start in range(0, len(intents), AT_ONCE):
            vain = await self._begin_some(intents[start : start + AT_ONCE], vain)
            if vain >= GIVE_UP_AFTER:
                log.warning("jobs are left for the next run count=%d", len(intents) - start - AT_ONCE)
                return

    async def _intents(self) -> list[Intent]:
        if not self.wanted:
            return []
        ours = [one.key for one in self.wanted.values() if not one.content_uri]
        account = (await self.runtime.accounts()).rc_account_id if ours else ""
        two_channels = await unbroken(platform_jobs.stereo, self.runtime.lake, ours)
        return [
            Intent(
                key=one.key,
                source=source,
                started_at=one.started_at,
                segment_day=one.segment_day,
                audio_ms=one.audio_ms,
                content_uri=one.content_uri or self._ai.recording_uri(account, *one.key),
                channels=2 if one.key in two_channels else None,
                secret=secrets.token_urlsafe(32),
            )
            for one in self.wanted.values()
            for source in ((RINGCENTRAL_AI, ANALYSIS) if self.analyze else (RINGCENTRAL_AI,))
        ]

    async def _begin_some(self, intents: Sequence[Intent], vain: int) -> int:
        """How many were in vain in a row, with the `vain` before."""
        runtime, lake = self.runtime, self.runtime.lake
        language = runtime.settings.ringcx_transcribe_language
        mine = await unbroken(platform_jobs.intend, lake, intents, self.run_id, runtime.now(), language)
        results = await asyncio.gather(*map(self._begin, mine), return_exceptions=True)
        pairs = list(zip(mine, results, strict=True))
        receipts = [(one, result) for one, result in pairs if isinstance(result, str)]
        await unbroken(platform_jobs.begun, lake, receipts, self.run_id)
        for one, result in pairs:
            vain = 0 if isinstance(result, str) else vain + 1
            if isinstance(result, Exception):
                await self._failed_to_begin(one, result)
        for _, result in pairs:
            if isinstance(result, BaseException) and (
                isinstance(result, (Blocked, Denied, NotReady)) or not isinstance(result, ConnectorError)
            ):
                raise result
        return vain

    async def _begin(self, one: Intent) -> str:
        settings = self.runtime.settings
        webhook = self._public_url + one.path if self._receives else NOBODY
        return await self._ai.submit(
            Task(
                api=ANALYZE if one.source == ANALYSIS else SPEECH,
                content_uri=one.content_uri,
                webhook=webhook,
                language=settings.ringcx_transcribe_language,
                by_channel=one.channels == 2,
            )
        )

    async def _failed_to_begin(self, one: Intent, error: Exception) -> None:
        lake, now, said = self.runtime.lake, self.runtime.now(), str(error)
        if isinstance(error, Uncertain):
            await unbroken(platform_jobs.in_doubt, lake, one, self.run_id, said)
        elif isinstance(error, Rejected):
            await unbroken(platform_jobs.refused, lake, one, self.run_id, now, said)
        elif isinstance(error, ConnectorError):
            await unbroken(platform_jobs.not_begun, lake, [one], self.run_id, now, said)

    # Collecting

    async def collect(self, wait_s: float | None) -> list[Heard]:
        """Wait for the answers, and ask for those that do not come by themselves."""
        clock = asyncio.get_running_loop().time
        end = clock() + (QUIET_S if wait_s is None else wait_s)
        before: set[tuple[Key, str]] = set()
        while True:
            self._news.clear()
            found = await unbroken(self._look)
            self._tell(found)
            waits = [job for job in found if job.state == jobs.SUBMITTED and (job.job_id or self._receives)]
            which = {(job.key, job.source) for job in waits}
            if before - which:
                self._look_s = LOOK_S
                end = end if wait_s is not None else clock() + QUIET_S
            before = which
            if not waits or clock() >= end:
                return [_heard(job) for job in found if job.key in self.wanted]
            await self._ask_or_wait(waits, end)

    def _look(self) -> list[Asked]:
        """The jobs that are under way, and those of this run; whatever ended without a word is put on record so."""
        lake, now = self.runtime.lake, self.runtime.now()
        platform_answers.overdue(lake, now, self.run_id)
        dialogs = sorted({key[1] for key in self.wanted})
        return platform_jobs.asked(lake, "state = 'submitted' OR list_contains(?::VARCHAR[], dialog_id)", [dialogs])

    def _tell(self, found: Sequence[Asked]) -> None:
        """Say what has come to its end since the last time."""
        under_way = {job.key for job in found if job.state == jobs.SUBMITTED}
        speech = {job.key: job.state for job in found if job.source == RINGCENTRAL_AI}
        for key in sorted(self._open - under_way):
            self._open.remove(key)
            self.on_done(self.wanted[key], speech.get(key, jobs.WAITING))

    async def _ask_or_wait(self, waits: Sequence[Asked], end: float) -> None:
        now = asyncio.get_running_loop().time()
        asked = [job for job in waits if job.job_id]
        due = [job for job in asked if self._due_at(job, now) <= now][:AT_ONCE]
        if due:
            results = await asyncio.gather(*map(self._ask, due), return_exceptions=True)
            for result in results:
                if result is not None:
                    raise result
            return
        until = min([end, *(self._due_at(job, now) for job in asked)])
        if not self._receives_here or len(asked) < len(waits):
            until = min(until, now + self._look_s)
            self._look_s = min(2 * self._look_s, LONGEST_LOOK_S)
        with suppress(TimeoutError):
            async with asyncio.timeout_at(until):
                await self._news.wait()

    def _due_at(self, job: Asked, now: float) -> float:
        """When it is asked about next: of an earlier run's, at once."""
        which = job.key, job.source
        if which not in self._due:
            first_s = WEBHOOK_S if self._receives else FIRST_S
            self._due[which] = now + (first_s if job.claimed_by == self.run_id else 0.0)
        return self._due[which]

    async def _ask(self, job: Asked) -> None:
        """Ask how a job is; what it came to is stored."""
        assert job.job_id is not None  # noqa: S101 - chosen by it
        which, lake, runtime = (job.key, job.source), self.runtime.lake, self.runtime
        pause_s = self._pauses.get(which, FIRST_S)
        self._pauses[which] = min(2 * pause_s, LONGEST_S)
        try:
            answer = await self._ai.status(job.job_id)
        except (Blocked, Denied):
            raise
        except ConnectorError as error:
            await self._no_answer(job, error)
        else:
            self._vain[which] = 0
            await unbroken(platform_answers.settle, lake, job, answer, runtime.now(), self.run_id)
        self._due[which] = asyncio.get_running_loop().time() + pause_s

    async def _no_answer(self, job: Asked, error: ConnectorError) -> None:
        is_bad = isinstance(error, Unavailable) and error.status == 200
        if not (is_bad or isinstance(error, (NotReady, Rejected))):
            return  # the platform's trouble, not the job's
        self._vain[job.key, job.source] += 1
        if self._vain[job.key, job.source] < FORGOTTEN and not isinstance(error, Rejected):
            return
        state, said = jobs.FAILED, str(error)
        if isinstance(error, NotReady):
            state, said = jobs.EXPIRED, "RingCentral knows nothing of this job any more"
        body = error.body if is_bad else ""
        lake, now = self.runtime.lake, self.runtime.now()
        await unbroken(platform_answers.give_up, lake, job, now, self.run_id, state, said, body)


def _heard(job: Asked) -> Heard:
    return Heard(job.key, job.source, job.state, job.utterance_count or 0, job.error)
