"""Rate limits: the sliding-window log, several rates at once, and the penalty trap (ringcx-api.md)."""

from collections.abc import Callable

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.sandbox import ManualClock, Sandbox, SandboxConfig
from connectors.sandbox.quota import Quota, parse_rates

Open = Callable[[SandboxConfig], tuple[httpx.Client, Sandbox]]
TRANSCRIPT = "/voice/api/cx/integration/v1/accounts/980634004/sub-accounts/99999999/transcripts/dialogs/d/segments/s"
METADATA = "/voice/api/cx/integration/v1/accounts/980634004/sub-accounts/{}/interaction-metadata"
BODY = {"segmentEndTime": "2026-09-01 10:00:00", "timeInterval": 60, "timeZone": "UTC"}


@given(st.lists(st.floats(0, 40), max_size=200))
def test_no_window_ever_holds_more_accepted_requests_than_the_limit(gaps: list[float]) -> None:
    """The judge must not be more generous than the platform, or a client that is too fast would pass."""
    quota = Quota(parse_rates("3/60,9/900"), penalty_seconds=5)
    now, accepted = 0.0, []
    for gap in gaps:
        now += gap
        if quota.take(now).accepted:
            accepted.append(now)
    for start in accepted:
        assert sum(start <= at < start + 60 for at in accepted) <= 3
        assert sum(start <= at < start + 900 for at in accepted) <= 9


@given(st.lists(st.floats(0, 100), max_size=200))
def test_a_client_that_keeps_the_rule_is_never_refused(gaps: list[float]) -> None:
    """A judge that is stricter than the platform would make a correct client look wrong."""
    quota = Quota(parse_rates("3/60"), penalty_seconds=60)
    now = 0.0
    log: list[float] = []
    for gap in gaps:
        now += gap
        if sum(at + 60 > now for at in log) < 3:
            assert quota.take(now).accepted
            log.append(now)


def test_past_the_limit_every_request_is_refused_and_restarts_the_penalty() -> None:
    """The trap: a client that keeps asking every 59 s is locked out for good."""
    quota = Quota(parse_rates("1/1"), penalty_seconds=60)
    assert quota.take(0).accepted
    assert [quota.take(at).accepted for at in (0.5, 60, 119, 178)] == [False] * 4
    assert quota.take(238).accepted


def test_the_first_refusal_is_not_inside_the_penalty_that_it_starts() -> None:
    """`was_inside_penalty` counts the requests a client sent although it had been told to be silent."""
    quota = Quota(parse_rates("1/10"), penalty_seconds=60)
    assert [quota.take(at).in_penalty for at in (0, 1, 2)] == [False, False, True]


@pytest.mark.parametrize(("text", "rates"), [("", []), ("120/60", [(120, 60)]), ("3/60, 9/900", [(3, 60), (9, 900)])])
def test_a_limit_is_written_as_requests_per_seconds(text: str, rates: list[tuple[int, float]]) -> None:
    """Limits are settings, because RingCentral raises them per application."""
    assert list(parse_rates(text)) == rates


def test_the_121st_transcript_in_a_minute_is_a_429_that_says_when_to_come_back(open_sandbox: Open) -> None:
    """The documented limit of 120 a minute, with Retry-After."""
    client, _ = open_sandbox(SandboxConfig())
    statuses = [client.get(TRANSCRIPT).status_code for _ in range(120)]
    refused = client.get(TRANSCRIPT)
    assert (set(statuses), refused.status_code, refused.headers["retry-after"]) == ({404}, 429, "60")


def test_retry_after_covers_the_longer_window_too(open_sandbox: Open, clock: ManualClock) -> None:
    """After nine metadata requests in 15 minutes, a minute of silence is not enough."""
    client, _ = open_sandbox(SandboxConfig())
    for _ in range(9):
        assert client.post(METADATA.format("99999999"), json=BODY).status_code == 200
        clock.advance(30)
    refused = client.post(METADATA.format("99999999"), json=BODY)
    assert (refused.status_code, refused.headers["retry-after"]) == (429, str(900 - 9 * 30))


def test_each_sub_account_has_a_metadata_throttle_of_its_own(open_sandbox: Open) -> None:
    """The specification throttles per sub-account, so one must not slow down the other."""
    client, _ = open_sandbox(SandboxConfig())
    statuses = [client.post(METADATA.format("99999999"), json=BODY).status_code for _ in range(4)]
    assert statuses == [200, 200, 200, 429]
    assert client.post(METADATA.format("99999998"), json=BODY).status_code == 200


def test_answers_carry_the_rate_limit_headers(open_sandbox: Open) -> None:
    """Clients may steer by them; they tell of the tightest rate."""
    client, _ = open_sandbox(SandboxConfig())
    headers = client.post(METADATA.format("99999999"), json=BODY).headers
    names = ("group", "limit", "remaining", "window")
    assert [headers[f"x-rate-limit-{name}"] for name in names] == ["metadata", "3", "2", "60"]


def test_headers_that_are_not_guaranteed_can_be_switched_off(open_sandbox: Open) -> None:
    """No header is guaranteed by the platform, so a client must live without them."""
    config = SandboxConfig(limits={"transcripts": "0/60"}, retry_after=False, rate_limit_headers=False)
    client, _ = open_sandbox(config)
    assert {"retry-after", "x-rate-limit-limit"}.isdisjoint(client.get(TRANSCRIPT).headers)
