"""Jobs of the AI API: audio is fetched, time passes, and the answer is kept and sent to the webhook.

Not documented, and assumed: how long a webhook is tried (`SandboxConfig.webhook_attempts`), and that nothing but 5xx
and silence is tried again.
"""

import asyncio
import uuid
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from connectors.sandbox.ai.results import Utterance, analyze_interaction, speech_to_text, utterances
from connectors.sandbox.config import SandboxConfig
from connectors.sandbox.faults import Faults, draw
from connectors.sandbox.outside import OverHttp
from connectors.sandbox.replies import iso
from connectors.sandbox.sound.library import Said

Lines = Callable[[bytes], tuple[Sequence[Said], float]]
Answer = Callable[[Sequence[Utterance], Mapping[str, Any]], dict[str, Any]]
ANSWERS: dict[str, Answer] = {
    "/ai/audio/v1/async/speech-to-text": speech_to_text,
    "/ai/insights/v1/async/analyze-interaction": analyze_interaction,
}


@dataclass(frozen=True, kw_only=True)
class JobTrouble:
    """What goes wrong with one job; `JobTrouble()` is none.

    `fail`: it fails. `silent`: the webhook is never called. `twice`: it is called twice. `early`: it is called before
    the job's id is told. `expired`: its status is 404 from the beginning, and no webhook is called.
    """

    fail: bool = False
    silent: bool = False
    twice: bool = False
    early: bool = False
    expired: bool = False


@dataclass(kw_only=True, repr=False)
class Job:
    """One job. Its addresses are secrets: they are in nothing that is shown."""

    job_id: str
    api: str
    created_ms: int
    expires_ms: int
    content_uri: str
    webhook: str
    asked: Mapping[str, Any]
    trouble: JobTrouble
    seconds: float
    completed_ms: int | None = None
    status: str = "InProgress"
    response: dict[str, Any] | None = None
    webhook_answers: list[int | None] = field(default_factory=list)  # None: nobody answered

    def shown(self) -> dict[str, Any]:
        """What its status says, and its webhook is told."""
        shown: dict[str, Any] = {
            "jobId": self.job_id,
            "api": self.api,
            "creationTime": iso(self.created_ms),
            "expirationTime": iso(self.expires_ms),
            "status": self.status,
        }
        if self.completed_ms is not None:
            shown |= {"completionTime": iso(self.completed_ms), "response": self.response}
        return shown


class Jobs:
    """All jobs of a sandbox; `script(troubles)` plans trouble for the next ones, from any thread."""

    def __init__(self, config: SandboxConfig) -> None:
        self._config = config
        self._outside = config.outside or OverHttp(config.caller_ca)
        self._jobs: dict[str, Job] = {}
        self._scripted: deque[JobTrouble] = deque()

    def addresses(self) -> set[str]:
        """Every webhook and every address of audio that was given."""
        return {address for job in self._jobs.values() for address in (job.webhook, job.content_uri)}

    def script(self, troubles: Iterable[JobTrouble]) -> None:
        """Let the next jobs have these, in order."""
        self._scripted.extend(troubles)

    def all(self) -> list[Job]:
        """Every job that was accepted, in that order."""
        return list(self._jobs.values())

    def accept(self, api: str, asked: Mapping[str, Any], webhook: str, now_ms: int) -> Job:
        """A new job, which nobody works on yet."""
        number, config = len(self._jobs), self._config
        trouble = self._scripted.popleft() if self._scripted else by_chance(config.faults, number)
        soonest_s, latest_s = config.ai_seconds
        job = Job(
            job_id=str(uuid.uuid4()),
            api=api,
            created_ms=now_ms,
            expires_ms=now_ms + round(config.ai_expires_s * 1000),
            content_uri=str(asked["contentUri"]),
            webhook=webhook,
            asked=asked,
            trouble=trouble,
            seconds=soonest_s + (latest_s - soonest_s) * draw(config.seed, "job seconds", number),
        )
        self._jobs[job.job_id] = job
        return job

    def find(self, job_id: str, now_ms: int) -> Job | None:
        """A job that is not forgotten yet."""
        job = self._jobs.get(job_id)
        return None if job is None or job.trouble.expired or now_ms >= job.expires_ms else job

    async def work(self, job: Job, lines: Lines, now_ms: Callable[[], int]) -> None:
        """Do a job and call its webhook; `lines` says what is said in a recording."""
        await asyncio.sleep(0 if job.trouble.early else job.seconds)
        errors = [_error("CAI-110", "The job could not be processed")] if job.trouble.fail else []
        response: dict[str, Any] = {}
        if not errors:
            response, errors = await self._response(job, lines)
        job.status = "Fail" if errors else "Success"
        job.response = {"errors": errors} if errors else response
        job.completed_ms = now_ms()
        if not (job.trouble.silent or job.trouble.expired):
            for _ in range(2 if job.trouble.twice else 1):
                await self._tell(job)

    async def _response(self, job: Job, lines: Lines) -> tuple[dict[str, Any], list[dict[str, str]]]:
        try:
            status, audio = await self._outside.get(job.content_uri)
        except OSError:
            return {}, [_error("CAI-104", "Parameter [contentUri] cannot be reached", "contentUri")]
        if status != 200:
            return {}, [_error("CAI-104", f"Parameter [contentUri] answers with status {status}", "contentUri")]
        try:
            found = utterances(*lines(audio))
        except ValueError:
            return {}, [_error("CAI-105", "Parameter [contentUri] leads to no audio that can be read", "contentUri")]
        return ANSWERS[job.api](found, job.asked), []

    async def _tell(self, job: Job) -> None:
        body = msgspec.json.encode(job.shown())
        for attempt in range(self._config.webhook_attempts):
            if attempt:
                await asyncio.sleep(self._config.webhook_pause_s)
            try:
                status: int | None = await self._outside.post(job.webhook, body)
            except OSError:
                status = None
            job.webhook_answers.append(status)
            if status is not None and status < 500:
                return


def by_chance(faults: Faults, number: int) -> JobTrouble:
    """The trouble that a job draws by its number."""
    point = draw(faults.seed, "job", number)
    kinds = (
        (faults.job_fail_share, JobTrouble(fail=True)),
        (faults.job_silent_share, JobTrouble(silent=True)),
        (faults.job_twice_share, JobTrouble(twice=True)),
        (faults.job_early_share, JobTrouble(early=True)),
        (faults.job_expired_share, JobTrouble(expired=True)),
    )
    for share, trouble in kinds:
        if point < share:
            return trouble
        point -= share
    return JobTrouble()


def _error(code: str, message: str, parameter: str = "") -> dict[str, str]:
    """One error as the API has it; which code means what is documented for CAI-101 (an invalid parameter) alone."""
    error = {"errorCode": code, "message": message}
    return error | {"parameterName": parameter} if parameter else error
