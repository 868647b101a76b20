"""What an answer, or none, makes of a segment."""

from datetime import UTC, datetime, timedelta

import pytest

from connectors.errors import ConnectorError, Denied, NotReady, RateLimited, Rejected, Unavailable
from connectors.ringcx.parse import parse_transcript
from flows import outcomes
from flows.outcomes import Claim, Patience

NOON = datetime(2026, 9, 1, 12, tzinfo=UTC)
PATIENCE = Patience(reject_after=3, retention=timedelta(days=90))
KEY = ("1", "d", "s")
PHRASE = b'{"participantId": "p", "timestamp": "1721651880000", "message": "hello"}'


def outcome_of(body: bytes, claim: Claim | None = None) -> outcomes.Outcome:
    """The outcome of an answer with this body."""
    return outcomes.fetched(claim or Claim(KEY, NOON), parse_transcript(body), NOON, PATIENCE, 0.5)


@pytest.mark.parametrize(
    ("body", "state"),
    [
        (b'{"transcript": [%s]}' % PHRASE, "stored"),
        (b'{"transcript": [%s, null]}' % PHRASE, "stored"),
        (b'{"errorCode": "partial", "transcript": [%s]}' % PHRASE, "stored"),
        (b'{"transcript": []}', "empty"),
        (b'{"transcript": null}', "empty"),
        (b'{"errorCode": "soon", "transcript": null}', "pending"),
    ],
)
def test_an_answer_decides_the_state(body: bytes, state: str) -> None:
    """What there is, is kept; what is not there yet, is waited for."""
    assert outcome_of(body).state == state


@pytest.mark.parametrize(
    ("error", "state", "minutes"),
    [
        (NotReady("", status=404), "pending", 5),
        (Denied("", status=403), "pending", 60),
        (RateLimited("", status=429), "pending", 5),
        (Unavailable("", status=503), "pending", 5),
        (Unavailable(""), "pending", 5),
        (Unavailable("", status=200, body="<html>"), "pending", 5),
        (Rejected("", status=400), "pending", 5),
    ],
)
def test_no_answer_is_asked_for_again_at_its_own_time(error: ConnectorError, state: str, minutes: int) -> None:
    """Each on the segment's own clock, none of them at once."""
    outcome = outcomes.failed(Claim(KEY, NOON), error, NOON, PATIENCE, 0.5)
    assert (outcome.state, outcome.next_attempt_at) == (state, NOON + timedelta(minutes=minutes))


def test_a_repeated_never_is_believed_and_quarantined() -> None:
    """Once may be a slip of the platform's; the same for the third time is its answer."""
    claim = Claim(KEY, NOON, attempts=2, error="400 bad.id")
    outcome = outcomes.failed(claim, Rejected("", status=400, code="bad.id", body="{}"), NOON, PATIENCE, 0.5)
    assert outcome.state == "rejected"
    assert outcome.whole is not None
    assert outcome.whole.raw == "{}"


def test_trouble_of_the_platform_is_not_counted_against_the_transcript() -> None:
    """After an outage, everything is asked for at once again, not in half a day."""
    outcome = outcomes.failed(Claim(KEY, NOON, attempts=4), Unavailable("", status=503), NOON, PATIENCE, 0.5)
    assert outcome.row()["transcript_attempts"] == 4


def test_a_transcript_that_is_not_there_when_retention_ends_has_expired() -> None:
    """It will never come: say so, and stop asking."""
    claim = Claim(KEY, NOON - timedelta(days=91), attempts=40)
    assert outcomes.failed(claim, NotReady("", status=404), NOON, PATIENCE, 0.5).state == "expired"
