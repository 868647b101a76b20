"""What the AI API answers, as this program uses it. Times are ms from the beginning of the audio."""

from dataclasses import dataclass
from datetime import datetime

from connectors.ringcx.records import Problem

IN_PROGRESS, SUCCESS, FAIL = "InProgress", "Success", "Fail"


@dataclass(frozen=True, slots=True)
class Said:
    """One utterance. Speakers are numbered, and known only where they were asked for."""

    start_ms: int
    end_ms: int
    text: str
    speaker_id: str | None = None
    confidence: float | None = None


@dataclass(frozen=True, slots=True)
class Insight:
    """One insight: about an utterance, a speaker or the conversation; `value` is JSON as sent."""

    scope: str
    name: str
    value: str
    speaker_id: str | None = None
    start_ms: int | None = None
    end_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Results:
    """What a job found: utterances by time, insights in the order of the answer, and what could not be understood.

    `utterances` and `insights` are None where the answer is about the other.
    """

    utterances: tuple[Said, ...] | None = None
    insights: tuple[Insight, ...] | None = None
    flaws: tuple[Problem, ...] = ()
    confidence: float | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """A job as its status, or its webhook, tells.

    `error`: why it failed; of a success, why its results cannot be read, and then `raw` is what came. `is_about_audio`:
    the audio could not be had.
    """

    job_id: str
    status: str
    results: Results = Results()
    error: str = ""
    is_about_audio: bool = False
    expires_at: datetime | None = None
    raw: str = ""
