"""The metadata endpoint: which segments a window holds at which moment, and how wrong requests are refused."""

from collections.abc import Callable
from datetime import datetime
from zoneinfo import ZoneInfo

import httpx
import pytest

from connectors.sandbox import FixedAccount, ManualClock, Sandbox, SandboxConfig, SubAccount, simple_segment

Open = Callable[[SandboxConfig], tuple[httpx.Client, Sandbox]]
CX = "/voice/api/cx/integration/v1/accounts/980634004/sub-accounts/"
METADATA = CX + "99999999/interaction-metadata"
TEN = 1_788_256_800.0  # 2026-09-01 10:00:00 UTC
BODY: dict[str, object] = {"segmentEndTime": "2026-09-01 10:00:00", "timeInterval": 600, "timeZone": "UTC"}
UNLIMITED = {"metadata": ""}


def ids(answer: httpx.Response) -> list[str]:
    """The segment ids of an answer, in its order."""
    return [item["segmentId"] for item in answer.json()]


def test_a_window_holds_the_segments_that_end_in_it_its_end_excluded(open_sandbox: Open) -> None:
    """Half-open windows: neighbours neither share a segment nor leave one out."""
    ends = {"before": TEN - 0.001, "first": TEN, "last": TEN + 599.999, "after": TEN + 600}
    account = FixedAccount(simple_segment("d", name, end) for name, end in ends.items())
    client, _ = open_sandbox(SandboxConfig(account=account))
    assert ids(client.post(METADATA, json=BODY)) == ["first", "last"]


@pytest.mark.parametrize("zone", ["US/Eastern", "Asia/Kolkata", "Europe/Berlin"])
def test_the_window_begins_in_the_time_zone_of_the_request(open_sandbox: Open, zone: str) -> None:
    """The specification's own example uses US/Eastern."""
    client, _ = open_sandbox(SandboxConfig(account=FixedAccount([simple_segment("d", "s", TEN)])))
    local = datetime.fromtimestamp(TEN, ZoneInfo(zone))
    body = BODY | {"segmentEndTime": f"{local:%Y-%m-%d %H:%M:%S}", "timeZone": zone}
    assert ids(client.post(METADATA, json=body)) == ["s"]


def test_a_segment_appears_late_and_its_flag_flips_later(open_sandbox: Open, clock: ManualClock) -> None:
    """Why windows are polled again: the first poll sees nothing, the second no transcript, the third all of it."""
    visible_ms = int(clock.now * 1000) + 60_000
    segment = simple_segment("d", "s", TEN, visible_ms=visible_ms, flag_ms=visible_ms + 60_000)
    client, _ = open_sandbox(SandboxConfig(account=FixedAccount([segment]), limits=UNLIMITED))
    flags = []
    for _ in range(3):
        flags.append([item["hasTranscript"] for item in client.post(METADATA, json=BODY).json()])
        clock.advance(60)
    assert flags == [[], [False], [True]]


def test_an_end_that_moves_takes_the_segment_to_another_window(open_sandbox: Open, clock: ManualClock) -> None:
    """A segment that was seen in one window may be put right into the next; it is still one segment."""
    first, moves = int(TEN * 1000), int(clock.now * 1000) + 60_000
    segment = simple_segment("d", "s", TEN + 700, first_end_ms=first, end_moves_ms=moves)
    client, _ = open_sandbox(SandboxConfig(account=FixedAccount([segment]), limits=UNLIMITED))
    later = BODY | {"segmentEndTime": "2026-09-01 10:10:00"}
    assert [ids(client.post(METADATA, json=body)) for body in (BODY, later)] == [["s"], []]
    clock.advance(60)
    assert [ids(client.post(METADATA, json=body)) for body in (BODY, later)] == [[], ["s"]]


@pytest.mark.parametrize(
    ("change", "attribute"),
    [
        ({"timeInterval": 0}, "timeInterval"),
        ({"timeInterval": 10801}, "timeInterval"),
        ({"timeInterval": "600"}, "timeInterval"),
        ({"timeInterval": True}, "timeInterval"),
        ({"timeInterval": 60.5}, "timeInterval"),
        ({"segmentEndTime": "2026-09-01T10:00:00"}, "segmentEndTime"),
        ({"segmentEndTime": "2026-02-30 10:00:00"}, "segmentEndTime"),
        ({"segmentEndTime": "2026-9-1 10:00:00"}, "segmentEndTime"),
        ({"segmentEndTime": None}, "segmentEndTime"),
        ({"timeZone": "Mars/Olympus"}, "timeZone"),
        ({"timeZone": "US"}, "timeZone"),
        ({"timeZone": "../etc"}, "timeZone"),
    ],
)
def test_a_request_outside_the_specification_is_a_400_that_names_the_field(
    open_sandbox: Open, change: dict[str, object], attribute: str
) -> None:
    """Exactly as the specification has it, so that a client's mistake shows here first."""
    client, _ = open_sandbox(SandboxConfig())
    refused = client.post(METADATA, json=BODY | change)
    assert refused.status_code == 400
    assert [problem["attributeName"] for problem in refused.json()["validationErrors"]] == [attribute]


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b'"x"', b"\xff"])
def test_a_body_that_is_no_json_object_is_a_400(open_sandbox: Open, body: bytes) -> None:
    """It must be refused, and never break the sandbox."""
    client, _ = open_sandbox(SandboxConfig())
    assert client.post(METADATA, content=body).status_code == 400


def test_missing_fields_are_all_named(open_sandbox: Open) -> None:
    """All three are required."""
    client, _ = open_sandbox(SandboxConfig())
    problems = client.post(METADATA, json={}).json()["validationErrors"]
    assert {problem["attributeName"] for problem in problems} == set(BODY)


def test_the_longest_interval_is_a_setting(open_sandbox: Open) -> None:
    """The seeds say 3600 seconds, the current documentation 10800."""
    client, _ = open_sandbox(SandboxConfig(max_interval=3600))
    statuses = [client.post(METADATA, json=BODY | {"timeInterval": length}).status_code for length in (3600, 3601)]
    assert statuses == [200, 400]


def test_a_denied_sub_account_is_a_403_with_the_documented_error_code(open_sandbox: Open) -> None:
    """Seed 003, *Common Authorization Errors*: retrying is useless."""
    client, _ = open_sandbox(SandboxConfig(sub_accounts=(SubAccount("99999999", denied=True),)))
    refused = client.post(METADATA, json=BODY)
    assert (refused.status_code, refused.json()["errorCode"]) == (403, "access.denied.exception")
    assert set(refused.json()) == {"errorCode", "generalMessage", "timestamp"}


@pytest.mark.parametrize(
    ("path", "status"),
    [
        (METADATA.replace("980634004", "1"), 404),
        (CX + "12345/interaction-metadata", 403),
        (METADATA + "/", 404),
        ("/voice/api/nothing", 404),
    ],
)
def test_unknown_accounts_and_paths_are_documented_errors(open_sandbox: Open, path: str, status: int) -> None:
    """The bodies say which request they answer, as in the specification's examples."""
    client, _ = open_sandbox(SandboxConfig())
    refused = client.post(path, json=BODY)
    assert (refused.status_code, refused.json()["requestUri"]) == (status, f"{path} - POST")


def test_the_wrong_method_is_a_405(open_sandbox: Open) -> None:
    """A GET where a POST belongs must not look like an empty window."""
    client, _ = open_sandbox(SandboxConfig())
    assert client.get(METADATA).status_code == 405


def test_values_that_are_missing_are_left_out_where_null_is_not_allowed(open_sandbox: Open) -> None:
    """The specification allows null for systemDisposition and segmentEvents alone."""
    client, _ = open_sandbox(SandboxConfig(account=FixedAccount([simple_segment("d", "s", TEN)])))
    (item,) = client.post(METADATA, json=BODY).json()
    assert {name for name, value in item.items() if value is None} == {"systemDisposition", "segmentEvents"}
    assert "agentNotes" not in item
