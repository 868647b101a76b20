"""Trouble on demand, in process: which requests and segments it hits, that it stops, that the good stays whole."""

from collections import Counter
from collections.abc import Callable
from dataclasses import fields
from urllib.parse import quote

import httpx
import pytest

from connectors.sandbox import (
    Fault,
    Faults,
    FixedAccount,
    ManualClock,
    Sandbox,
    SandboxConfig,
    generate_account,
    simple_segment,
)
from connectors.sandbox.faults import FaultPlan
from connectors.sandbox.junk import EXTRA

Open = Callable[[SandboxConfig], tuple[httpx.Client, Sandbox]]
ROOT = "/voice/api/cx/integration/v1/accounts/980634004/sub-accounts/99999999"
METADATA, TRANSCRIPT = f"{ROOT}/interaction-metadata", f"{ROOT}/transcripts/dialogs/d/segments/s"
BODY = {"segmentEndTime": "2026-09-01 09:00:00", "timeInterval": 3600, "timeZone": "UTC"}
TEN = 1_788_256_800.0
UNLIMITED = {"metadata": "", "transcripts": ""}
ONE = FixedAccount([simple_segment("d", "s", TEN)])


def test_a_script_is_used_up_in_order_by_the_requests_of_its_group(open_sandbox: Open) -> None:
    """How client tests say what happens next; `Fault()` lets one request through."""
    client, sandbox = open_sandbox(SandboxConfig(account=ONE))
    sandbox.script("transcripts", [Fault(status=503), Fault(), Fault(status=500)])
    assert client.post(METADATA, json=BODY).status_code == 200
    assert [client.get(TRANSCRIPT).status_code for _ in range(4)] == [503, 200, 500, 200]


def test_the_log_names_the_fault_of_each_request(open_sandbox: Open) -> None:
    """So that a test can tell planned trouble from real trouble."""
    client, sandbox = open_sandbox(SandboxConfig(account=ONE))
    sandbox.script("transcripts", [Fault(status=503, delay_s=1e-6), Fault(html=True), Fault(penalty=True)])
    for _ in range(4):
        client.get(TRANSCRIPT)
    assert [record.fault for record in sandbox.log] == ["503+slow", "html", "penalty", ""]
    assert [record.was_inside_penalty for record in sandbox.log] == [False, False, False, True]


def test_a_scripted_penalty_is_the_real_one(open_sandbox: Open, clock: ManualClock) -> None:
    """The whole group falls silent, and asking again restarts it."""
    client, sandbox = open_sandbox(SandboxConfig(account=ONE))
    sandbox.script("transcripts", [Fault(status=429, penalty=True)])
    answers = []
    for pause in (59, 59, 60, 0):
        answers.append(client.get(TRANSCRIPT))
        clock.advance(pause)
    assert [answer.status_code for answer in answers] == [429, 429, 429, 200]
    assert answers[0].headers["retry-after"] == "60"


def test_a_bare_429_has_neither_retry_after_nor_a_penalty(open_sandbox: Open) -> None:
    """`Retry-After` is not guaranteed."""
    client, sandbox = open_sandbox(SandboxConfig(account=ONE))
    sandbox.script("transcripts", [Fault(status=429)])
    bare, after = client.get(TRANSCRIPT), client.get(TRANSCRIPT)
    assert (bare.status_code, "retry-after" in bare.headers, after.status_code) == (429, False, 200)


def test_a_200_may_be_a_web_page_or_carry_an_error_code(open_sandbox: Open) -> None:
    """A status of 200 says nothing about the body."""
    client, sandbox = open_sandbox(SandboxConfig(account=ONE))
    sandbox.script(
        "transcripts", [Fault(html=True), Fault(error_code="busy"), Fault(status=200, body='{"transcript": ')]
    )
    page, coded, cut = (client.get(TRANSCRIPT) for _ in range(3))
    assert [page.status_code, coded.status_code, cut.status_code] == [200, 200, 200]
    assert (page.text[:9], coded.json()["errorCode"], cut.text) == ("<!DOCTYPE", "busy", '{"transcript": ')


def test_an_expired_token_stays_expired(open_sandbox: Open) -> None:
    """The token is revoked for all requests, as if its five minutes were over; only a new one helps."""
    client, sandbox = open_sandbox(SandboxConfig(account=ONE))
    token = sandbox.world.ringcx_tokens.issue(TEN + 7200).access
    sandbox.script("transcripts", [Fault(), Fault(expired=True)])
    headers = {"Authorization": f"Bearer {token}"}
    assert [client.get(TRANSCRIPT, headers=headers).status_code for _ in range(3)] == [200, 401, 401]


def test_a_broken_connection_is_an_exception_where_there_is_no_socket(open_sandbox: Open) -> None:
    """In process there is nothing to close; over a socket see test_server.py."""
    client, sandbox = open_sandbox(SandboxConfig(account=ONE))
    sandbox.script("transcripts", [Fault(reset=True)])
    with pytest.raises(ConnectionResetError, match="reset"):
        client.get(TRANSCRIPT)
    assert sandbox.log[0].status is None


@pytest.mark.parametrize("share", [0.1, 0.5, 1])
def test_a_share_of_the_resources_has_transient_trouble_that_ends(share: float) -> None:
    """A client that retries gets everything in the end, whatever the share."""
    plan = FaultPlan(Faults(reset_share=share / 2, error_503_share=share / 2, transient_times=2))
    counts = Counter(sum(plan.next("transcripts", (key,)) is not None for _ in range(9)) for key in range(2000))
    assert abs((2000 - counts[0]) / 2000 - share) < 0.05
    assert set(counts) <= {0, 1, 2}


def test_transient_trouble_does_not_depend_on_the_order_of_the_requests() -> None:
    """Reruns hit the same resources although concurrent requests arrive in another order."""
    keys = [(key,) for key in range(500)]
    there, back = FaultPlan(Faults(html_share=0.3)), FaultPlan(Faults(html_share=0.3))
    hits = [{key for key in order if plan.next("metadata", key)} for plan, order in ((there, keys), (back, keys[::-1]))]
    assert hits[0] == hits[1]
    assert {key for key in keys if FaultPlan(Faults(seed=1, html_share=0.3)).next("metadata", key)} != hits[0]


def test_shares_of_transient_trouble_must_fit_into_one() -> None:
    """A resource has one kind of trouble, so more than all of them is a mistake."""
    with pytest.raises(ValueError, match="more than 1"):
        FaultPlan(Faults(reset_share=0.6, html_share=0.6))


def test_every_fault_is_off_by_default() -> None:
    """A demo without settings shows the platform, not its bad days."""
    assert not any(getattr(Faults(), field.name) for field in fields(Faults) if field.name.endswith("_share"))


@pytest.mark.parametrize(
    ("faults", "waits", "expected"),
    [
        (Faults(late_metadata_share=1, late_metadata_s=7201), (0, 1), [(None, 200), (True, 200)]),
        (Faults(late_flag_share=1, late_flag_s=7201), (0, 1), [(False, 200), (True, 200)]),
        (Faults(late_transcript_share=1, late_transcript_s=7201), (0, 1), [(True, 404), (True, 200)]),
        (Faults(missing_transcript_share=1), (0, 10**6), [(True, 404), (True, 404)]),
        (Faults(rejected_transcript_share=1), (0, 10**6), [(True, 200), (True, 200)]),
    ],
)
def test_trouble_in_the_life_of_a_segment(
    open_sandbox: Open,
    clock: ManualClock,
    faults: Faults,
    waits: tuple[int, int],
    expected: list[tuple[bool | None, int]],
) -> None:
    """Late, missing and rejected, as (hasTranscript, status of the transcript) before and after the wait."""
    client, _ = open_sandbox(SandboxConfig(account=ONE, faults=faults, limits=UNLIMITED))
    seen = []
    for wait in waits:
        clock.advance(wait)
        items = client.post(METADATA, json=BODY | {"timeInterval": 7200}).json()
        flag = items[0]["hasTranscript"] if items else None
        seen.append((flag, client.get(TRANSCRIPT).status_code))
    assert seen == expected


def test_an_end_that_moves_is_first_shown_too_early(open_sandbox: Open, clock: ManualClock) -> None:
    """And stays the end of the same segment when it is put right."""
    faults = Faults(moved_end_share=1, moved_end_by_s=5, moved_end_after_s=7201)
    client, _ = open_sandbox(SandboxConfig(account=ONE, faults=faults, limits=UNLIMITED))
    ends = []
    for wait in (0, 1):
        clock.advance(wait)
        (item,) = client.post(METADATA, json=BODY | {"timeInterval": 7200}).json()
        ends.append(item["segmentEndTimeMs"])
    assert ends == ["2026-09-01T09:59:55.000Z", "2026-09-01T10:00:00.000Z"]


def test_junk_comes_beside_the_good_items_and_never_instead(open_sandbox: Open, clock: ManualClock) -> None:
    """What a complete load must hold does not change, so that tables can be compared with the truth."""
    account = generate_account(3, clock.now - 86_400)
    junk = Faults(malformed_item_share=0.3, duplicate_item_share=0.2)
    good, bad = (
        open_sandbox(SandboxConfig(account=account, faults=faults))[0].post(METADATA, json=BODY).json()
        for faults in (Faults(), junk)
    )
    assert len(bad) > len(good)
    assert [item for item in good if item not in bad] == []
    assert len([item for item in bad if item not in good]) > 0


def test_broken_phrases_and_new_fields_leave_the_good_phrases_whole(open_sandbox: Open, clock: ManualClock) -> None:
    """One broken phrase among the good ones, and a field that nobody has documented in each of them."""
    account = generate_account(3, clock.now - 86_400)
    junk = Faults(malformed_phrase_share=1, unknown_field_share=1)
    plain, _ = open_sandbox(SandboxConfig(account=account, limits=UNLIMITED))
    broken, _ = open_sandbox(SandboxConfig(account=account, faults=junk, limits=UNLIMITED))
    for item in [item for item in plain.post(METADATA, json=BODY).json() if item["hasTranscript"]][:20]:
        pieces = (quote(item[name], safe="") for name in ("dialogId", "segmentId"))
        path = f"{ROOT}/transcripts/dialogs/{next(pieces)}/segments/{next(pieces)}"
        good, bad = plain.get(path).json()["transcript"], broken.get(path).json()["transcript"]
        assert len(bad) == len(good) + bool(good)
        assert [phrase for phrase in good if phrase | EXTRA not in bad] == []
