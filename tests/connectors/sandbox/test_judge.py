"""The judge: a faithful log, figures that can be trusted, and a truth that equals what HTTP serves."""

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import httpx

from connectors.sandbox import (
    Faults,
    FixedAccount,
    ManualClock,
    Sandbox,
    SandboxConfig,
    SubAccount,
    generate_account,
    simple_segment,
)

Open = Callable[[SandboxConfig], tuple[httpx.Client, Sandbox]]
ROOT = "/voice/api/cx/integration/v1/accounts/980634004/sub-accounts/99999999"
TEN = 1_788_256_800.0
HOUR = 3600


def read(client: httpx.Client, dialog: str, segment: str) -> httpx.Response:
    """One transcript."""
    return client.get(f"{ROOT}/transcripts/dialogs/{quote(dialog, safe='')}/segments/{quote(segment, safe='')}")


def truth(client: httpx.Client, moment: str) -> list[dict[str, Any]]:
    """The rows of the truth."""
    lines = client.get("/_sandbox/truth", params={"as": moment}).text.splitlines()
    return [json.loads(line) for line in lines]


def test_the_log_has_one_record_for_each_request_to_the_platform(open_sandbox: Open, clock: ManualClock) -> None:
    """In the order of arrival, with the ids that were asked for; looking at the log is not in it."""
    client, sandbox = open_sandbox(SandboxConfig(account=FixedAccount([simple_segment("d/1", "s", TEN)])))
    read(client, "d/1", "s")
    client.get("/_sandbox/log")
    read(client, "d", "none")
    first, second = client.get("/_sandbox/log").json()
    assert (first["dialog_id"], first["status"], first["at"]) == ("d/1", 200, clock.now)
    assert client.get("/_sandbox/log", params={"since": 1}).json() == [second]
    assert (second["segment_id"], second["status"], len(sandbox.log)) == ("none", 404, 2)


def test_the_log_forgets_its_older_half_past_the_limit(open_sandbox: Open) -> None:
    """A sandbox that runs for weeks must not eat the machine; numbers go on."""
    client, sandbox = open_sandbox(SandboxConfig(log_limit=4))
    for _ in range(5):
        read(client, "d", "s")
    assert [record.number for record in sandbox.log] == [2, 3, 4]


def test_the_summary_counts_what_a_client_is_judged_by(open_sandbox: Open, clock: ManualClock) -> None:
    """Accepted requests in the fullest window, requests inside a penalty, transcripts fetched twice."""
    config = SandboxConfig(account=FixedAccount([simple_segment("d", "s", TEN)]), limits={"transcripts": "2/60"})
    client, _ = open_sandbox(config)
    for pause in (30, 0, 0, 70):
        read(client, "d", "s")
        clock.advance(pause)
    read(client, "d", "t")
    summary = client.get("/_sandbox/summary").json()
    assert summary["requests"] == {"transcripts": {"200": 2, "429": 2, "404": 1}}
    assert summary["accepted_max_in_window"] == {"transcripts": {"2/60": 2}}
    assert (summary["refused_requests"], summary["penalty_requests"]) == (2, 1)
    assert (summary["transcripts_served"], summary["transcripts_served_more_than_once"]) == (1, 1)


def test_a_broken_or_faulty_answer_does_not_count_as_served(open_sandbox: Open) -> None:
    """Fetching a transcript again after a web page came instead is not a waste."""
    faults = Faults(html_share=1, transient_times=1)
    client, _ = open_sandbox(SandboxConfig(account=FixedAccount([simple_segment("d", "s", TEN)]), faults=faults))
    for _ in range(2):
        read(client, "d", "s")
    summary = client.get("/_sandbox/summary").json()
    assert (summary["transcripts_served"], summary["transcripts_served_more_than_once"]) == (1, 0)
    assert summary["faults"] == {"html": 1}


def test_the_truth_names_the_state_of_every_transcript(open_sandbox: Open, clock: ManualClock) -> None:
    """Now and in the end; the names are those of the pipeline's own table."""
    soon = int(clock.now * 1000) + 1000
    segments = [
        simple_segment("stored", "s", TEN),
        simple_segment("absent", "s", TEN + 1, lines=()),
        simple_segment("empty", "s", TEN + 2, lines=(), flag_ms=0, ready_ms=0),
        simple_segment("pending", "s", TEN + 3, ready_ms=soon),
        simple_segment("missing", "s", TEN + 4, ready_ms=None),
        simple_segment("rejected", "s", TEN + 5, rejected_code="no"),
        simple_segment("unflagged", "s", TEN + 6, flag_ms=soon),
        simple_segment("unseen", "s", TEN + 7, visible_ms=soon),
    ]
    client, _ = open_sandbox(SandboxConfig(account=FixedAccount(segments)))
    now = {row["dialogId"]: row["state"] for row in truth(client, "now")}
    final = {row["dialogId"]: row["state"] for row in truth(client, "final")}
    same = {name: name for name in ("stored", "absent", "empty", "missing", "rejected")}
    assert now == same | {"pending": "pending", "unflagged": "absent"}
    assert final == same | {"pending": "stored", "unflagged": "stored", "unseen": "stored"}


def test_a_transcript_past_its_retention_is_expired_in_the_truth(open_sandbox: Open, clock: ManualClock) -> None:
    """It can no longer be loaded, which is not the same as never having been there."""
    account = FixedAccount([simple_segment("d", "s", TEN)], [SubAccount("99999999", data_retention_days=1)])
    client, _ = open_sandbox(SandboxConfig(account=account))
    clock.advance(86_400)
    assert [row["state"] for row in truth(client, "now")] == ["expired"]


def test_a_complete_load_over_http_is_the_truth(open_sandbox: Open, clock: ManualClock) -> None:
    """The truth is what the endpoints serve, trouble in the lives of the segments included."""
    start = clock.now - 6 * HOUR
    shares = Faults(
        late_metadata_share=0.1, late_flag_share=0.1, late_transcript_share=0.1, missing_transcript_share=0.05
    )
    config = SandboxConfig(
        account=generate_account(5, start - HOUR, odd_id_share=0.1),
        faults=shares,
        limits={"metadata": "", "transcripts": ""},
    )
    client, _ = open_sandbox(config)
    loaded = {}
    for hour in range(-1, 6):
        window = {"segmentEndTime": f"2026-09-01 {6 + hour:02d}:00:00", "timeInterval": HOUR, "timeZone": "UTC"}
        for item in client.post(f"{ROOT}/interaction-metadata", json=window).json():
            answer = read(client, item["dialogId"], item["segmentId"]) if item["hasTranscript"] else None
            served = answer is not None and answer.status_code == 200
            phrases = answer.json()["transcript"] if answer is not None and served else []
            loaded[item["dialogId"], item["segmentId"]] = (item["hasTranscript"], phrases)
    rows = [
        row
        for row in truth(client, "now")
        if row["subAccountId"] == "99999999" and row["endMs"] >= (start - HOUR) * 1000
    ]
    assert loaded == {(row["dialogId"], row["segmentId"]): (row["hasTranscript"], row["phrases"]) for row in rows}


def test_the_summary_counts_recordings_and_summaries_as_well(open_sandbox: Open, clock: ManualClock) -> None:
    """A recording is long: who downloads one twice has lost their place."""
    segment = simple_segment("d", "s", TEN, has_recording=True)
    client, _ = open_sandbox(SandboxConfig(account=FixedAccount([segment])))
    for _ in range(2):
        assert client.get(f"{ROOT}/recordings/dialogs/d/segments/s").status_code == 200
    summary_path = "/voice/api/v1/summary/accounts/99999999/segments/s/auto"
    assert client.get(summary_path, headers={"cookie": "access_token=sandbox-token"}).status_code == 200
    summary = client.get("/_sandbox/summary").json()
    assert summary["requests"] == {"recordings": {"200": 2}, "summaries": {"200": 1}}
    assert (summary["recordings_served"], summary["recordings_served_more_than_once"]) == (1, 1)
    assert (summary["summaries_served"], summary["summaries_served_more_than_once"]) == (1, 0)
    assert summary["operations"] == {"recording": 2, "auto-summary": 1}
    assert [row["hasRecording"] for row in truth(client, "final")] == [True]
