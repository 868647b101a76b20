"""Answers of the AI API read: words become utterances, and nothing that comes makes the reader fail."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.answers import UNREADABLE
from connectors.ringcentral.masking import SecretUrl, masked, with_token
from connectors.ringcentral.records import Answer, Said
from connectors.ringcentral.results import parse_answer


def answer(response: object, status: str = "Success", **others: object) -> Answer:
    """A job with this response."""
    return parse_answer(msgspec.json.encode({"jobId": "j", "status": status, "response": response, **others}))


def word(text: str, start: float, end: float, **others: Any) -> dict[str, Any]:
    """One word."""
    return {"word": text, "start": start, "end": end, **others}


def test_words_alone_become_utterances_at_pauses_and_at_another_speaker() -> None:
    """Without diarization, words are all there is; the transcript has their capitals and full stops."""
    words = [word("hello", 0, 0.4, confidence=0.5), word("there", 0.5, 1, confidence=1), word("yes", 2.5, 3)]
    found = answer({"transcript": "Hello there. Yes.", "words": words}).results
    assert found.utterances == (Said(0, 1000, "Hello there.", None, 0.75), Said(2500, 3000, "Yes.", None, None))
    spoken = [word("hi", 0, 1, speakerId="0"), word("you", 1, 2, speakerId=1), word("too", 2, 3, speakerId="1")]
    utterances = answer({"transcript": "Something else altogether, longer.", "words": spoken}).results.utterances
    assert utterances == (Said(0, 1000, "hi", "0"), Said(1000, 3000, "you too", "1"))


def test_a_transcript_without_times_is_one_utterance() -> None:
    """Better than none."""
    assert answer({"transcript": " All of it. ", "confidence": 2}).results.utterances == (Said(0, 0, "All of it."),)


def test_utterances_count_before_words() -> None:
    """With diarization both come, and say the same."""
    both = {"utterances": [{"text": "A b.", "start": 0, "end": 1}], "words": [word("a", 0, 0.5), word("b", 0.5, 1)]}
    assert answer(both).results.utterances == (Said(0, 1000, "A b."),)


@pytest.mark.parametrize("time", ["2026-09-08T12:00:00.000Z", "2026-09-08T14:00:00+02:00"])
def test_the_expiry_is_read_in_utc(time: str) -> None:
    """And one that is no time is none."""
    assert str(answer(None, "InProgress", expirationTime=time).expires_at) == "2026-09-08 12:00:00+00:00"
    assert answer(None, "InProgress", expirationTime="soon").expires_at is None


def test_a_failure_about_the_audio_is_told_from_others() -> None:
    """Audio may be there later; whatever else failed stays so."""
    errors = [{"errorCode": "CAI-104", "message": "gone", "parameterName": "contentUri"}, {"message": "and more"}]
    found = answer({"errors": errors}, "Fail")
    assert (found.error, found.is_about_audio) == ("CAI-104 gone; and more", True)
    assert answer("?", "Fail").error == "the platform gives no reason"


NAMES = "transcript words word utterances text start end speakerId confidence errors utteranceInsights insights"
NAMES += " speakerInsights conversationalInsights values name"
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(NAMES.split()), inner, max_size=6),
    max_leaves=20,
)


@given(JSON, st.sampled_from(["Success", "Fail", "InProgress"]))
def test_no_response_makes_it_fail(response: object, status: str) -> None:
    """What it cannot read it says so, whatever came."""
    found = answer(response, status)
    assert (status == "Success" and not found.error) == (
        found.results.utterances is not None or found.results.insights is not None
    )


@given(st.binary(max_size=60))
def test_no_body_makes_it_fail(body: bytes) -> None:
    """Only errors that everybody who reads bodies expects."""
    try:
        parse_answer(body)
    except UNREADABLE:
        return


def test_secrets_are_masked_however_they_are_written() -> None:
    """Plain, percent-encoded, as JSON may write them; and what only looks alike stays."""
    secret = "s" * 43
    for text in (
        f"https://x/a?access_token={secret}&b=1",
        f"access_token%3D{secret}",
        f"access_token\\u003d{secret}",
        f"https://etl/ringcx/{secret}",
        f"webhook=https%3A%2F%2Fetl%2Fringcx%2F{secret}",
        f"https:\\/\\/etl\\/ringcx\\/{secret}",
    ):
        assert secret not in masked(text)
    assert masked("see /ringcx/status") == "see /ringcx/status"
    url = SecretUrl(f"https://platform.example/ai?webhook={secret}")
    assert secret not in f"{url} {url!r}"
    assert with_token("https://x/a?b#c", "t/1") == "https://x/a?b&access_token=t%2F1#c"
