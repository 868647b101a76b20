"""Summaries, with their three traps: a cookie, a raw body that claims to be JSON, and ids that repeat."""

from collections.abc import Callable

import httpx

from connectors.sandbox import FixedAccount, ManualClock, Sandbox, SandboxConfig, generate_account, simple_segment
from tests.connectors.sandbox.conftest import NOON

Open = Callable[[SandboxConfig], tuple[httpx.Client, Sandbox]]
PATH = "/voice/api/v1/summary/accounts/99999999/segments"
COOKIE = {"cookie": "access_token=sandbox-token"}


def test_a_summary_wants_its_token_in_a_cookie(open_sandbox: Open) -> None:
    """`Authorization` alone is refused, and does not help a wrong cookie."""
    client, _ = open_sandbox(SandboxConfig(account=FixedAccount([simple_segment("d", "s", NOON)])))
    assert client.get(f"{PATH}/s/auto").status_code == 401
    assert client.get(f"{PATH}/s/auto", headers={"cookie": "access_token=no"}).status_code == 401
    del client.headers["Authorization"]
    assert client.get(f"{PATH}/s/auto", headers={"cookie": "a=b; access_token=sandbox-token"}).status_code == 200


def test_a_summary_is_raw_text(open_sandbox: Open) -> None:
    """Without quotes, although its content type says JSON."""
    client, _ = open_sandbox(SandboxConfig(account=FixedAccount([simple_segment("d", "s", NOON)])))
    answer = client.get(f"{PATH}/s/auto", headers=COOKIE)
    assert answer.headers["content-type"] == "application/json"
    assert answer.text == (
        'The conversation began with "Hello, how can I help you?" and ended, 2 turns later, with "Where is my order?".'
    )


def test_what_is_not_there_is_404_and_what_is_not_written_is_empty(open_sandbox: Open, clock: ManualClock) -> None:
    """A client has to tell the two apart."""
    segments = [
        simple_segment("d", "late", NOON, ready_ms=round(NOON * 1000) + 1000),
        simple_segment("d", "none", NOON, lines=()),
        simple_segment("d", "noted", NOON, agent_notes="called back"),
        simple_segment("d", "blank", NOON, agent_notes=""),
    ]
    client, _ = open_sandbox(SandboxConfig(account=FixedAccount(segments)))

    def ask(segment: str, kind: str) -> tuple[int, str]:
        answer = client.get(f"{PATH}/{segment}/{kind}", headers=COOKIE)
        return answer.status_code, answer.text if answer.status_code == 200 else ""

    assert ask("late", "auto") == (404, "")
    clock.advance(1)
    assert ask("late", "auto")[0] == 200
    assert [ask("none", "auto"), ask("late", "agent"), ask("unknown", "auto")] == [(404, "")] * 3
    assert [ask("noted", "agent"), ask("blank", "agent")] == [(200, "called back"), (200, "")]
    assert client.get(f"{PATH.replace('99999999', '1')}/late/auto", headers=COOKIE).status_code == 404


def test_the_newest_of_the_segments_with_one_id_answers(open_sandbox: Open) -> None:
    """The path has no dialog."""
    lines = (("agent", "second"), ("contact", "call"))
    account = FixedAccount([simple_segment("new", "s", NOON, lines), simple_segment("old", "s", NOON - 60)])
    client, _ = open_sandbox(SandboxConfig(account=account))
    assert '"second"' in client.get(f"{PATH}/s/auto", headers=COOKIE).text


def test_generated_segments_are_found_by_their_id_alone(open_sandbox: Open, clock: ManualClock) -> None:
    """Those whose transcript is there have a summary; some few are empty."""
    account = generate_account(1, NOON - 7200, NOON)
    client, sandbox = open_sandbox(SandboxConfig(account=account, limits={"summaries": ""}))
    clock.advance(600)
    segments = list(account.everything("99999999", round(clock.now * 1000)))
    assert len(segments) > 100
    found = {(one, client.get(f"{PATH}/{one.segment_id}/auto", headers=COOKIE).status_code) for one in segments[:60]}
    repeated = {one.segment_id for one in segments if sum(other.segment_id == one.segment_id for other in segments) > 1}
    for segment, status in found:
        if segment.segment_id not in repeated:
            assert status == (200 if segment.flag_ms is not None else 404)
    assert sandbox.log[0].group == "summaries"
