"""The transcript endpoint: when it answers, and for which ids."""

from collections.abc import Callable
from urllib.parse import quote

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from connectors.sandbox import FixedAccount, ManualClock, Sandbox, SandboxConfig, SubAccount, simple_segment

Open = Callable[[SandboxConfig], tuple[httpx.Client, Sandbox]]
TEN = 1_788_256_800.0
UNLIMITED = {"transcripts": ""}


def path(dialog_id: str, segment_id: str) -> str:
    """The path of a transcript, every piece percent-encoded; dots too, or httpx would walk up at an id that is `..`."""
    pieces = (quote(piece, safe="").replace(".", "%2E") for piece in (dialog_id, segment_id))
    root = "/voice/api/cx/integration/v1/accounts/980634004/sub-accounts/99999999"
    return f"{root}/transcripts/dialogs/{next(pieces)}/segments/{next(pieces)}"


def test_a_transcript_is_a_404_until_it_is_ready(open_sandbox: Open, clock: ManualClock) -> None:
    """About five minutes pass between the end of a segment and its transcript."""
    segment = simple_segment("d", "s", TEN, ready_ms=int(clock.now * 1000) + 1000)
    client, _ = open_sandbox(SandboxConfig(account=FixedAccount([segment])))
    assert client.get(path("d", "s")).status_code == 404
    clock.advance(1)
    assert client.get(path("d", "s")).json()["transcript"][0]["message"] == "Hello, how can I help you?"


def test_a_transcript_ends_with_the_retention_of_its_account(open_sandbox: Open, clock: ManualClock) -> None:
    """After that it is never available again."""
    account = FixedAccount([simple_segment("d", "s", TEN)], [SubAccount("99999999", data_retention_days=1)])
    client, _ = open_sandbox(SandboxConfig(account=account))
    statuses = []
    for moment in (TEN + 86_399, TEN + 86_400):
        clock.now = moment
        statuses.append(client.get(path("d", "s")).status_code)
    assert statuses == [200, 404]


def test_a_segment_without_lines_may_have_an_empty_transcript(open_sandbox: Open) -> None:
    """200 with no phrases is an answer, not an error."""
    segment = simple_segment("d", "s", TEN, lines=(), flag_ms=0, ready_ms=0)
    client, _ = open_sandbox(SandboxConfig(account=FixedAccount([segment])))
    answer = client.get(path("d", "s"))
    assert (answer.status_code, answer.json()["transcript"]) == (200, [])


def test_the_same_segment_id_under_two_dialogs_is_two_transcripts(open_sandbox: Open) -> None:
    """A segment id alone identifies nothing."""
    segments = [simple_segment(dialog, "s", TEN, lines=[("agent", f"in {dialog}")]) for dialog in ("a", "b")]
    client, _ = open_sandbox(SandboxConfig(account=FixedAccount(segments)))
    answers = [client.get(path(dialog, "s")).json()["transcript"][0]["message"] for dialog in ("a", "b")]
    assert answers == ["in a", "in b"]


@pytest.mark.parametrize(
    "odd", ["a/b", "/", "..", "../..", "a?b=c", "a#b", "50%", "%2F", "'\"\\", "ü 中 🙂", "+ +", ";:@"]
)
def test_ids_may_hold_any_character(open_sandbox: Open, odd: str) -> None:
    """Ids must be percent-encoded, and a slash in one must not become part of the path."""
    client, _ = open_sandbox(SandboxConfig(account=FixedAccount([simple_segment(odd, f"{odd}-s", TEN)])))
    assert client.get(path(odd, f"{odd}-s")).status_code == 200


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
@given(ids=st.tuples(*[st.text(st.characters(exclude_categories=["Cs"]), min_size=1)] * 2))
def test_every_pair_of_ids_finds_its_own_transcript(open_sandbox: Open, ids: tuple[str, str]) -> None:
    """Whatever the ids are, the pair that was asked for is the pair that answers."""
    account = FixedAccount([simple_segment(*ids, TEN, lines=[("agent", repr(ids))])])
    client, _ = open_sandbox(SandboxConfig(account=account))
    assert client.get(path(*ids)).json()["transcript"][0]["message"] == repr(ids)


def test_a_segment_of_another_sub_account_is_not_found(open_sandbox: Open) -> None:
    """Nearly every call is made for one sub-account."""
    subs = (SubAccount("99999999"), SubAccount("2"))
    client, _ = open_sandbox(SandboxConfig(account=FixedAccount([simple_segment("d", "s", TEN)], subs)))
    assert client.get(path("d", "s").replace("99999999", "2")).status_code == 404


def test_a_rejected_transcript_is_a_200_with_an_error_code(open_sandbox: Open) -> None:
    """The body's `errorCode` is the only sign that there will never be phrases."""
    segment = simple_segment("d", "s", TEN, rejected_code="no.audio")
    client, _ = open_sandbox(SandboxConfig(account=FixedAccount([segment])))
    answer = client.get(path("d", "s"))
    assert (answer.status_code, answer.json()["errorCode"], answer.json()["transcript"]) == (200, "no.audio", [])


def test_timestamps_are_epoch_milliseconds_as_strings(open_sandbox: Open) -> None:
    """As in every documented example."""
    client, _ = open_sandbox(SandboxConfig(account=FixedAccount([simple_segment("d", "s", TEN)])))
    stamps = [phrase["timestamp"] for phrase in client.get(path("d", "s")).json()["transcript"]]
    assert stamps == ["1788256790000", "1788256800000"]
