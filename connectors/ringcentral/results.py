"""Answers of the AI API read: a job's status, what was said, what was made of it. Pure.

An item that cannot be understood is a flaw of its own, and the others are kept. Source: seed 004 and the documentation
of the AI API (async speech-to-text, analyze-interaction, job status).
"""

import math
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from itertools import groupby
from typing import Annotated, Literal, TypeVar

import msgspec

from connectors.answers import UNREADABLE, BadBody
from connectors.ringcentral.insights import Speaker, insights_of, read_place
from connectors.ringcentral.masking import masked
from connectors.ringcentral.records import FAIL, SUCCESS, Answer, Results, Said
from connectors.ringcx.records import Problem

T = TypeVar("T")

PAUSE_MS = 800  # of words without utterances: a longer one ends an utterance
RAW_CHARS = 10_000  # kept of what could not be understood

Items = list[msgspec.Raw]


class _Job(msgspec.Struct, rename="camel"):
    job_id: Annotated[str, msgspec.Meta(min_length=1, max_length=512)]
    status: Literal["InProgress", "Success", "Fail"]
    response: msgspec.Raw = msgspec.Raw(b"null")
    expiration_time: str | None = None


class _Failure(msgspec.Struct, rename="camel"):
    error_code: str | None = None
    message: str | None = None
    parameter_name: str | None = None


class _Failed(msgspec.Struct):
    errors: list[_Failure] = []


class _OfSpeakers(msgspec.Struct):
    insights: Items | None = None


class _Response(msgspec.Struct, rename="camel"):
    transcript: str | None = None
    confidence: float | None = None
    words: Items | None = None
    utterances: Items | None = None
    utterance_insights: Items | None = None
    speaker_insights: _OfSpeakers | None = None
    conversational_insights: Items | None = None


class _Word(msgspec.Struct, rename="camel"):
    text: str = msgspec.field(name="word")
    speaker_id: Speaker = None
    confidence: float | None = None


class _Utterance(msgspec.Struct, rename="camel"):
    text: str
    speaker_id: Speaker = None
    confidence: float | None = None


def parse_answer(body: bytes) -> Answer:
    """A job as a body of its status, or of its webhook, tells. Raises an msgspec error for one that is about no job."""
    job = msgspec.json.decode(body, type=_Job)
    expires_at = _instant(job.expiration_time)
    if job.status == FAIL:
        said, is_about_audio = _failure(bytes(job.response))
        return Answer(job.job_id, job.status, Results(), said, is_about_audio, expires_at)
    if job.status != SUCCESS:
        return Answer(job.job_id, job.status, expires_at=expires_at)
    try:
        return Answer(job.job_id, job.status, _results(bytes(job.response)), expires_at=expires_at)
    except UNREADABLE as error:
        said = f"its results cannot be read ({error})"
    return Answer(job.job_id, job.status, error=said, expires_at=expires_at, raw=raw_of(body))


def raw_of(body: bytes) -> str:
    """A body as it may be kept: text of bounded length, without secrets."""
    text = body[: 4 * RAW_CHARS].decode("utf-8", "replace").replace("\0", "\ufffd")
    return masked(text)[:RAW_CHARS]


def _results(response: bytes) -> Results:
    answer = msgspec.json.decode(response, type=_Response)
    flaws: list[Problem] = []
    said = _speech(answer, flaws)
    per_speaker = answer.speaker_insights.insights if answer.speaker_insights else None
    insights = insights_of(answer.utterance_insights, per_speaker, answer.conversational_insights, flaws)
    if said is None and insights is None:
        raise BadBody("neither words nor insights")
    if flaws and not (said or insights):
        raise BadBody(f"none of {len(flaws)} items can be understood, the first: {flaws[0].reason}")
    kept = [Problem(position=one.position, raw=raw_of(one.raw.encode()), reason=one.reason) for one in flaws]
    return Results(said, insights, tuple(kept), _share(answer.confidence))


def _speech(answer: _Response, flaws: list[Problem]) -> tuple[Said, ...] | None:
    """What was said, by time: utterances, or else words put together until a pause or another speaker."""
    if answer.utterances is None and answer.words is None and answer.transcript is None:
        return None
    written = (answer.transcript or "").split()
    if answer.utterances:
        said = _each(answer.utterances, _utterance, flaws)
    elif answer.words:
        said = list(_by_pauses(_each(answer.words, _word, flaws), written))
    else:
        said = [Said(0, 0, " ".join(written), None, _share(answer.confidence))]
    kept = (one for one in said if one.text.strip())
    return tuple(sorted(kept, key=lambda one: (one.start_ms, one.end_ms)))


def _each(items: Items, read: Callable[[bytes], T], flaws: list[Problem]) -> list[T]:
    found: list[T] = []
    for position, raw in enumerate(items):
        try:
            found.append(read(bytes(raw)))
        except UNREADABLE as error:
            flaws.append(Problem(position=position, raw=bytes(raw).decode("utf-8", "replace"), reason=str(error)))
    return found


def _utterance(raw: bytes) -> Said:
    one = msgspec.json.decode(raw, type=_Utterance)
    return _said(raw, one.text, one.confidence)


def _word(raw: bytes) -> Said:
    one = msgspec.json.decode(raw, type=_Word)
    return _said(raw, one.text, one.confidence)


def _said(raw: bytes, text: str, confidence: float | None) -> Said:
    speaker_id, start_ms, end_ms = read_place(raw)
    if start_ms is None or end_ms is None or end_ms < start_ms:
        raise BadBody("it has no beginning or no end, or ends before it begins")
    return Said(start_ms, end_ms, text, speaker_id, _share(confidence))


def _by_pauses(words: Sequence[Said], written: Sequence[str]) -> Iterator[Said]:
    """Words put together; as the transcript writes them, where it has as many."""
    texts = written if len(written) == len(words) else [one.text for one in words]
    pairs = sorted(zip(words, texts, strict=True), key=lambda pair: pair[0].start_ms)
    for _, run in groupby(zip(_numbered([word for word, _ in pairs]), pairs, strict=True), key=lambda item: item[0]):
        together = [pair for _, pair in run]
        heard = [word for word, _ in together]
        known = [word.confidence for word in heard if word.confidence is not None]
        sure = sum(known) / len(known) if known else None
        text = " ".join(text for _, text in together)
        yield Said(heard[0].start_ms, max(word.end_ms for word in heard), text, heard[0].speaker_id, sure)


def _numbered(words: Sequence[Said]) -> Iterator[int]:
    """The number of the utterance that each word is part of."""
    number = 0
    for place, one in enumerate(words):
        before = words[place - 1]
        if place and (one.speaker_id != before.speaker_id or one.start_ms - before.end_ms > PAUSE_MS):
            number += 1
        yield number


def _failure(response: bytes) -> tuple[str, bool]:
    """What a failed job says, and whether it is about its audio."""
    try:
        errors = msgspec.json.decode(response, type=_Failed).errors
    except UNREADABLE:
        errors = []
    said = "; ".join(" ".join(filter(None, (one.error_code, one.message))) for one in errors)
    is_about_audio = any(one.parameter_name == "contentUri" for one in errors)
    return masked(said)[:500] or "the platform gives no reason", is_about_audio


def _share(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) and 0 <= value <= 1 else None


def _instant(text: str | None) -> datetime | None:
    try:
        found = datetime.fromisoformat(text) if text else None
        return found.astimezone(UTC) if found and found.tzinfo else None
    except (ValueError, OverflowError):
        return None
