"""Every answer fits RingCentral's own OpenAPI file, and its documented examples come out of the sandbox unchanged."""

import json
import re
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import jsonschema
import pytest

from connectors.sandbox import Fault, FixedAccount, ManualClock, Sandbox, SandboxConfig, SubAccount, generate_account
from connectors.sandbox.calls import LiveCall, two_voices
from connectors.sandbox.model import Phrase, Segment

Open = Callable[[SandboxConfig], tuple[httpx.Client, Sandbox]]
Check = Callable[[httpx.Response, str], None]
ACCOUNTS = "/voice/api/v1/admin/accounts"
CX = "/voice/api/cx/integration/v1/accounts/{rcAccountId}/sub-accounts/{subAccountId}"
METADATA = CX + "/interaction-metadata"
TRANSCRIPT = CX + "/transcripts/dialogs/{dialogId}/segments/{segmentId}"
RECORDING = CX + "/recordings/dialogs/{dialogId}/segments/{segmentId}"
SUMMARY = "/voice/api/v1/summary/accounts/{subAccountId}/segments/{segmentId}"
SUMMARIES = [SUMMARY + "/auto", SUMMARY + "/agent"]
START = [CX + "/dialogs/{dialogId}/streams", CX + "/dialogs/{dialogId}/segments/{segmentId}/streams"]
PRODUCT = "/media-distributor/product"
WINDOW = {"segmentEndTime": "2026-09-01 09:00:00", "timeInterval": 7200, "timeZone": "UTC"}
UNLIMITED = {"metadata": "", "transcripts": "", "recordings": "", "summaries": ""}


@pytest.fixture
def spec(shared: Path) -> dict[str, Any]:
    """The specification with `nullable` as JSON Schema has it, and closed: no field but the documented ones."""
    loaded: dict[str, Any] = json.loads((shared / "specs" / "ringcx-openapi-subset.json").read_text())
    schemas = loaded["components"]["schemas"]
    # The specification's own voice example has null here, although the schema does not allow it.
    schemas["TranscriptPhrase"]["properties"]["participantType"]["nullable"] = True
    for name in (
        "WEMDialogSegmentMetaData",
        "RCInteractionTranscriptData",
        "TranscriptPhrase",
        "Account",
        "MainAccount",
    ):
        schemas[name]["additionalProperties"] = False
    for schema in schemas.values():
        for field in schema.get("properties", {}).values():
            if field.pop("nullable", False):
                field["type"] = [field["type"], "null"]
    return loaded


@pytest.fixture
def check(spec: dict[str, Any]) -> Check:
    """Fails unless an answer is what the specification has for its path and status."""

    def fits(answer: httpx.Response, template: str) -> None:
        method = answer.request.method.lower()
        responses = spec["paths"][template][method]["responses"]
        documented = responses.get(str(answer.status_code)) or responses["default"]
        if "content" not in documented:
            return
        ((content_type, content),) = documented["content"].items()
        assert answer.headers["content-type"].partition(";")[0] == content_type
        is_raw = template in SUMMARIES and answer.status_code == 200  # what its own example shows, quotes missing
        value = answer.json() if content_type == "application/json" and not is_raw else answer.text
        schema = {**content["schema"], "components": spec["components"]}
        validator = jsonschema.Draft202012Validator(schema, format_checker=jsonschema.FormatChecker())
        validator.validate(value)

    return fits


def fill(template: str, sub: str = "99999999", dialog: str = "d", segment: str = "s") -> str:
    """The path of a template."""
    values = {"rcAccountId": "980634004", "subAccountId": sub, "dialogId": dialog, "segmentId": segment}
    return template.format(**{name: quote(value, safe="") for name, value in values.items()})


def test_every_generated_segment_and_transcript_fits_the_specification(
    open_sandbox: Open, check: Check, clock: ManualClock
) -> None:
    """All channels, dispositions and kinds of segments that the generator knows."""
    client, _ = open_sandbox(SandboxConfig(account=generate_account(1, clock.now - 86_400), limits=UNLIMITED))
    answer = client.post(fill(METADATA), json=WINDOW)
    check(answer, METADATA)
    assert len(answer.json()) > 100
    for item in answer.json():
        transcript = client.get(fill(TRANSCRIPT, "99999999", item["dialogId"], item["segmentId"]))
        assert transcript.status_code == (200 if item["hasTranscript"] else 404)
        check(transcript, TRANSCRIPT)


def test_every_recording_and_summary_fits_the_specification(
    open_sandbox: Open, check: Check, clock: ManualClock
) -> None:
    """Those that are there, and those that are not."""
    client, _ = open_sandbox(SandboxConfig(account=generate_account(1, clock.now - 86_400), limits=UNLIMITED))
    segments = client.post(fill(METADATA), json=WINDOW | {"timeInterval": 1800}).json()
    found = set()
    for item in segments:
        ids = "99999999", item["dialogId"], item["segmentId"]
        recording = client.get(fill(RECORDING, *ids))
        assert recording.status_code == (200 if item["hasRecording"] else 404)
        check(recording, RECORDING)
        for template in SUMMARIES:
            summary = client.get(fill(template, *ids), headers={"cookie": "access_token=sandbox-token"})
            check(summary, template)
            found.add((template, summary.status_code, bool(summary.content)))
    assert {(template, 200, True) for template in SUMMARIES} <= found
    check(client.get(fill(SUMMARIES[0])), SUMMARIES[0])


def test_every_answer_of_media_control_is_documented(open_sandbox: Open, check: Check) -> None:
    """The seed's 400 and 409 are what the specification calls its default."""
    client, sandbox = open_sandbox(SandboxConfig())
    body = {"url": "wss://127.0.0.1:9", "streamId": "one"}
    for template in START:
        sandbox.calls.begin(LiveCall(dialog_id=template, speakers=two_voices("s", agent=b"", contact=b"")))
        path = fill(template, dialog=template)
        answers = [client.post(path, json=body), client.post(path), client.post(fill(template), json=body)]
        for answer in answers:
            check(answer, template)
        assert [answer.status_code for answer in answers] == [200, 400, 404]
        for stream in ("one", "two"):
            check(client.delete(f"{path}/{stream}"), template + "/{streamId}")


def test_streaming_profiles_fit_their_specification(open_sandbox: Open, shared: Path) -> None:
    """What comes back is the documented response, and no field besides."""
    documented = json.loads((shared / "specs" / "call-streaming-profile-openapi.json").read_text())
    response = documented["components"]["schemas"]["ProductResponse"] | {"additionalProperties": False}
    client, _ = open_sandbox(SandboxConfig(profiles_path=PRODUCT))
    body = {
        "productType": "CAMPAIGN",
        "productId": 5,
        "subAccountId": "99999999",
        "mainAccountId": "99990000",
        "rcAccountId": "980634004",
        "streamingUrl": "wss://10.0.0.1:8443",
    }
    one = f"{PRODUCT}/account/99999999/type/CAMPAIGN/id/5"
    for answer in (client.post(PRODUCT, json=body), client.put(PRODUCT, json=body), client.get(one)):
        jsonschema.Draft202012Validator(response).validate(answer.json())
    assert isinstance(client.delete(one).text, str)
    pattern = documented["components"]["schemas"]["CreateProductReq"]["properties"]["streamingUrl"]["pattern"]
    for url in (
        "",
        "wss://a",
        "wss://a.b-c.d:99999",
        "wss://1.2.3.4",
        "ws://a",
        "wss://",
        "wss://a/b",
        "wss://-a",
        "x wss://a",
    ):
        allowed = re.fullmatch(pattern, url) is not None
        assert (client.post(PRODUCT, json=body | {"streamingUrl": url}).status_code == 200) is allowed
        client.delete(one)


def test_the_account_list_fits_the_specification(open_sandbox: Open, check: Check) -> None:
    """Two sub-accounts by default, each with its main account."""
    client, _ = open_sandbox(SandboxConfig())
    answer = client.get(ACCOUNTS)
    check(answer, ACCOUNTS)
    assert [account["mainAccount"]["rcAccountId"] for account in answer.json()] == ["980634004"] * 2


@pytest.mark.parametrize(
    ("sub", "body", "token", "status"),
    [
        ("99999999", WINDOW | {"timeInterval": 0}, "sandbox-token", 400),
        ("99999999", WINDOW, "no token", 401),
        ("1", WINDOW, "sandbox-token", 403),
        ("2", WINDOW, "sandbox-token", 403),
    ],
)
def test_every_metadata_error_fits_the_specification(
    open_sandbox: Open, check: Check, sub: str, body: object, token: str, status: int
) -> None:
    """Including the 400 with validationErrors and the 401 in plain text."""
    client, _ = open_sandbox(SandboxConfig(sub_accounts=(SubAccount("99999999"), SubAccount("2", denied=True))))
    answer = client.post(fill(METADATA, sub), json=body, headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code == status
    check(answer, METADATA)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 500])
def test_every_scripted_error_fits_the_specification(open_sandbox: Open, check: Check, status: int) -> None:
    """A client is tested against these bodies, so they have to be the documented ones."""
    client, sandbox = open_sandbox(SandboxConfig())
    sandbox.script("transcripts", [Fault(status=status)])
    answer = client.get(fill(TRANSCRIPT))
    assert answer.status_code == status
    check(answer, TRANSCRIPT)


@pytest.mark.parametrize("status", [400, 403, 404, 500])
def test_error_bodies_are_the_documented_examples(open_sandbox: Open, spec: dict[str, Any], status: int) -> None:
    """Word for word, but for the address and the time."""
    client, sandbox = open_sandbox(SandboxConfig())
    sandbox.script("transcripts", [Fault(status=status)])
    example = spec["paths"][TRANSCRIPT]["get"]["responses"][str(status)]["content"]["application/json"]["example"]
    own = {"requestUri": f"{fill(TRANSCRIPT)} - GET", "timestamp": 1_788_264_000_000}
    assert client.get(fill(TRANSCRIPT)).json() == example | own


def test_the_documented_metadata_examples_come_out_unchanged(
    open_sandbox: Open, spec: dict[str, Any], clock: ManualClock
) -> None:
    """One segment of each channel, as the specification shows them, seen by a request on the same day."""
    examples = spec["components"]["schemas"]["WEMInteractionSegmentMetaData2Array"]["example"]
    account = FixedAccount(_segment(example) for example in examples)
    client, _ = open_sandbox(SandboxConfig(account=account, limits=UNLIMITED))
    found: list[Any] = []
    for start in ("2024-07-22 11:00:00", "2024-07-23 02:00:00"):
        found += client.post(fill(METADATA), json=WINDOW | {"segmentEndTime": start}).json()
    fuzzy = {"dialogDurationMs"}  # one example rounds it
    assert [_without(item, fuzzy) for item in found] == [_without(example, fuzzy) for example in examples]


@pytest.mark.parametrize("name", ["example1", "example2"])
def test_the_documented_transcripts_come_out_unchanged(open_sandbox: Open, spec: dict[str, Any], name: str) -> None:
    """The digital one leaves out `participantName`, the voice one has null in it: both shapes must be served."""
    content = spec["paths"][TRANSCRIPT]["get"]["responses"]["200"]["content"]["application/json"]
    example = content["examples"][name]["value"]
    metadata = spec["components"]["schemas"]["WEMInteractionSegmentMetaData2Array"]["example"][0]
    phrases = [
        Phrase(
            phrase["participantId"],
            phrase["timestamp"],
            phrase["message"],
            **{
                _snake(field): phrase[field]
                for field in ("rcUserId", "participantName", "participantType")
                if field in phrase
            },
        )
        for phrase in example["transcript"]
    ]
    segment = _segment(metadata | {"channelClass": example["channelClass"]}, tuple(phrases))
    sub = SubAccount("99999999", data_retention_days=9999)
    client, _ = open_sandbox(SandboxConfig(account=FixedAccount([segment], [sub])))
    assert client.get(fill(TRANSCRIPT, "99999999", segment.dialog_id, segment.segment_id)).json() == example


def _segment(item: dict[str, Any], phrases: tuple[Phrase, ...] = ()) -> Segment:
    """The segment that a documented metadata item shows."""
    end_ms = _epoch_ms(item["segmentEndTimeMs"])
    events = item["segmentEvents"]
    return Segment(
        sub_account_id=item["subAccountId"],
        dialog_id=item["dialogId"],
        segment_id=item["segmentId"],
        interaction_id=item["interactionId"],
        dialog_start_ms=_epoch_ms(item["dialogStartTimeMs"]),
        dialog_end_ms=_epoch_ms(item["dialogEndTimeMs"]),
        start_ms=_epoch_ms(item["segmentStartTimeMs"]),
        end_ms=end_ms,
        visible_ms=end_ms,
        flag_ms=end_ms if item["hasTranscript"] else None,
        ready_ms=end_ms,
        phrases=phrases,
        channel_id=item["channelId"],
        channel_type=item["channelType"],
        channel_class=item["channelClass"],
        channel_endpoint_address=item["channelEndpointAddress"],
        contact_endpoint_address=item["contactEndpointAddress"],
        dialog_origination=item["dialogOrigination"],
        segment_type=item["segmentType"],
        participant_id=item["segmentParticipantId"],
        rc_extension_id=item["segmentParticipantRcExtensionId"],
        agent_group_id=item["segmentAgentGroupId"],
        system_disposition=item["systemDisposition"],
        agent_disposition=item["agentDisposition"],
        agent_notes=item["agentNotes"],
        has_recording=item["hasRecording"],
        events=None
        if events is None
        else tuple((event["eventType"], _epoch_ms(event["eventTimeMs"])) for event in events),
    )


def _epoch_ms(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp() * 1000)


def _snake(name: str) -> str:
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name)


def _without(item: dict[str, Any], names: set[str]) -> dict[str, Any]:
    return {name: value for name, value in item.items() if name not in names}
