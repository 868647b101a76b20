"""What an attempt at a transcript leads to: the segment's next state, and what goes to the tables. Pure.

fetched                       -> stored, or empty when there was nothing in it
404                           -> pending, asked again later and later; expired when retention has ended
400, errorCode, unreadable    -> pending; the same again at attempt `reject_after` or later: rejected, and quarantined
403                           -> pending, asked again in an hour: permissions get granted
429, 5xx, no answer           -> pending, asked again in five minutes: not the transcript's fault

A transcript that is fetched once more (`Claim.again`) has an answer already, which only another transcript replaces:
whatever else comes, the segment stays as it is.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from connectors.errors import ConnectorError, Denied, NotReady, Rejected
from connectors.ringcx.records import Problem, Transcript, Utterance
from flows import tables
from flows.planning import DENIED_RETRY, FIRST_RETRY, retry_at

Key = tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class Claim:
    """A segment that this run is asking for; `attempts` and `error` are of the attempts before.

    `again`: it is not pending, but somebody wants to have it fetched once more.
    """

    key: Key
    segment_end: datetime
    attempts: int = 0
    error: str | None = None
    again: bool = False


@dataclass(frozen=True, slots=True)
class Patience:
    """When to stop asking: attempts before a repeated never is believed, and how long RingCX keeps transcripts."""

    reject_after: int
    retention: timedelta


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one attempt led to. `in_vain`: the platform, not the transcript, was the reason."""

    claim: Claim
    state: str
    at: datetime
    next_attempt_at: datetime | None = None
    error: str | None = None
    utterances: tuple[Utterance, ...] = ()
    problems: tuple[Problem, ...] = ()
    whole: Problem | None = None  # the transcript itself, when it is the problem
    in_vain: bool = False

    @property
    def leaves_all(self) -> bool:
        """Fetched once more, and no transcript came: what is stored stays."""
        return self.claim.again and not self.utterances

    def row(self) -> dict[str, object]:
        """Its segment's row: the key, where to look for it, and the lifecycle."""
        sub_account_id, dialog_id, segment_id = self.claim.key
        return {
            "sub_account_id": sub_account_id,
            "dialog_id": dialog_id,
            "segment_id": segment_id,
            "segment_end_time": self.claim.segment_end,
            "transcript_state": self.state,
            "transcript_attempts": self.claim.attempts + (not self.in_vain),
            "next_attempt_at": None if self.leaves_all and not self.in_vain else self.next_attempt_at,
            "claimed_by": None,
            "refetch_asked_at": None,
            "transcript_error": self.error,
            "utterance_count": len(self.utterances),
            "quarantined_count": len(self.problems),
            "transcript_at": self.at,
            "transcript_day": self.claim.segment_end.date() if self.state == tables.STORED else None,
        }


def fetched(claim: Claim, transcript: Transcript, now: datetime, patience: Patience, jitter: float) -> Outcome:
    """The outcome of an answer. Lines that came along with an error code are kept: they are what there is."""
    lines = transcript.lines
    if transcript.error_code and not lines.items:
        reason = " ".join(filter(None, ("errorCode", transcript.error_code, transcript.error_message)))
        return _never(claim, reason, transcript.raw, now, patience, jitter)
    state = tables.STORED if lines.items or lines.problems else tables.EMPTY
    return Outcome(claim, state, now, error=transcript.error_code, utterances=lines.items, problems=lines.problems)


def failed(claim: Claim, error: ConnectorError, now: datetime, patience: Patience, jitter: float) -> Outcome:
    """The outcome of no answer."""
    said = str(error.status or "no answer") + (f" {error.code}" if error.code else "")
    if isinstance(error, NotReady):
        if now - claim.segment_end > patience.retention:
            return Outcome(claim, tables.EXPIRED, now, error=said)
        return _later(claim, retry_at(claim.attempts + 1, now, jitter), said, now)
    unreadable = error.status is not None and error.status < 300
    if isinstance(error, Rejected) or unreadable:
        return _never(claim, "unreadable body" if unreadable else said, error.body, now, patience, jitter)
    wait = DENIED_RETRY if isinstance(error, Denied) else FIRST_RETRY
    return _later(claim, now + wait, said, now, in_vain=True)


def _never(claim: Claim, reason: str, raw: str, now: datetime, patience: Patience, jitter: float) -> Outcome:
    if claim.error == reason and claim.attempts + 1 >= patience.reject_after:
        return Outcome(claim, tables.REJECTED, now, error=reason, whole=Problem(0, raw, reason))
    return _later(claim, retry_at(claim.attempts + 1, now, jitter), reason, now)


def _later(claim: Claim, at: datetime, reason: str, now: datetime, *, in_vain: bool = False) -> Outcome:
    return Outcome(claim, tables.PENDING, now, next_attempt_at=at, error=reason, in_vain=in_vain)
