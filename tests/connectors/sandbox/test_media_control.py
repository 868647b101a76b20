"""Media control and live calls: streams that start and stop on request, and what a call leaves behind."""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from connectors.sandbox import Fault, ManualClock, Sandbox, SandboxConfig, SandboxServer, SubAccount
from connectors.sandbox.callers import Speaker, Trouble
from connectors.sandbox.calls import LiveCall, Stream, two_voices
from connectors.sandbox.model import Key
from connectors.sandbox.sound import decode, mixed, pcm_of_wav, tone
from tests.connectors.sandbox.conftest import NOON, STATIC
from tests.connectors.sandbox.ears import Ear, listening_grpc, listening_wss, make_certificate

Open = Callable[[SandboxConfig], tuple[httpx.Client, Sandbox]]
ROOT = "/voice/api/cx/integration/v1/accounts/980634004/sub-accounts/99999999"
DIALOG, SEGMENT = f"{ROOT}/dialogs/d/streams", f"{ROOT}/dialogs/d/segments/s/streams"
NOWHERE = {"url": "wss://127.0.0.1:9/x", "streamId": "one"}
AGENT, CONTACT = tone("agent", 0.5), tone("contact", 0.5)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for receivers on this machine."""
    return make_certificate(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def hanging() -> Iterator[dict[str, str]]:
    """The body of a start whose receiver takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield {"url": f"wss://127.0.0.1:{listening.getsockname()[1]}/x", "streamId": "one"}


def live(**changes: Any) -> LiveCall:
    """A call of an agent and a contact."""
    return LiveCall(**{"dialog_id": "d", "speakers": two_voices("s", agent=AGENT, contact=CONTACT)} | changes)


def test_start_and_stop_answer_200_with_an_empty_body(open_sandbox: Open) -> None:
    """At both levels, with nothing to parse (seed 000)."""
    client, sandbox = open_sandbox(SandboxConfig())
    sandbox.calls.begin(live())
    for path in (DIALOG, SEGMENT):
        for answer in (client.post(path, json=NOWHERE), client.delete(f"{path}/one")):
            assert (answer.status_code, answer.content) == (200, b"")


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b'{"streamId": "one"}', b'{"url": "wss://h"}', b'{"url": "", "streamId": "one"}', b'{"url": 1}'],
)
def test_a_start_without_url_or_stream_id_is_refused(open_sandbox: Open, body: bytes) -> None:
    """400, before it is asked whether there is such a dialog."""
    client, sandbox = open_sandbox(SandboxConfig())
    answer = client.post(DIALOG, content=body)
    assert answer.status_code == 400
    assert answer.json()["generalMessage"] == "The supplied data is not valid"
    assert sandbox.calls.all() == []


def test_a_stream_id_runs_once(open_sandbox: Open, hanging: dict[str, str]) -> None:
    """409 for a second start anywhere in the sub-account, and for a stop of what does not run or not at that level."""
    client, sandbox = open_sandbox(SandboxConfig())
    sandbox.calls.begin(live())
    sandbox.calls.begin(live(dialog_id="e"))
    assert client.delete(f"{SEGMENT}/one").status_code == 409
    assert client.post(SEGMENT, json=hanging).status_code == 200
    assert client.post(SEGMENT, json=hanging).status_code == 409
    assert client.post(f"{ROOT}/dialogs/e/streams", json=hanging).status_code == 409
    assert client.delete(f"{DIALOG}/one").status_code == 409
    assert client.delete(f"{SEGMENT}/one").status_code == 200
    assert client.delete(f"{SEGMENT}/one").status_code == 409
    assert client.post(DIALOG, json=hanging).status_code == 200


def test_a_call_can_be_addressed_only_while_it_is_live(
    open_sandbox: Open, clock: ManualClock, hanging: dict[str, str]
) -> None:
    """404 before, after, and for a segment that is none of an agent's or a bot's."""
    client, sandbox = open_sandbox(SandboxConfig())
    assert client.post(DIALOG, json=NOWHERE).status_code == 404
    sandbox.calls.begin(live(seconds=60))
    for segment in ("other", "s-contact"):
        assert client.post(f"{ROOT}/dialogs/d/segments/{segment}/streams", json=NOWHERE).status_code == 404
    assert client.post(DIALOG, json=hanging).status_code == 200
    clock.advance(60)
    assert client.post(DIALOG, json=NOWHERE | {"streamId": "two"}).status_code == 404
    assert client.delete(f"{DIALOG}/one").status_code == 404


def test_media_control_of_somebody_else_is_forbidden(open_sandbox: Open) -> None:
    """403 for an unknown sub-account and for one without permission, 401 without a token."""
    client, _ = open_sandbox(SandboxConfig(sub_accounts=(SubAccount("99999999", denied=True),)))
    answer = client.post(DIALOG, json=NOWHERE)
    assert (answer.status_code, answer.json()["errorCode"]) == (403, "access.denied.exception")
    assert client.post(DIALOG.replace("99999999", "1"), json=NOWHERE).status_code == 403
    assert client.post(DIALOG, json=NOWHERE, headers={"Authorization": "Bearer no"}).status_code == 401


def test_media_control_has_a_limit_only_if_it_is_configured(open_sandbox: Open) -> None:
    """None is documented; faults and limits work on it as on every other group."""
    client, sandbox = open_sandbox(SandboxConfig(limits={"media-control": "2/60"}))
    sandbox.script("media-control", [Fault(status=500)])
    assert [client.post(DIALOG, json=NOWHERE).status_code for _ in range(3)] == [500, 404, 429]
    assert [record.operation for record in sandbox.log] == ["start-dialog-stream"] * 3
    assert client.get("/_sandbox/summary").json()["requests"]["media-control"] == {"500": 1, "404": 1, "429": 1}


def on_the_air(
    ear_at: Any, config: SandboxConfig, work: Callable[[httpx.AsyncClient, Sandbox, Ear], Awaitable[None]]
) -> None:
    """Do some work with a sandbox and a receiver that both listen."""

    async def run(server: SandboxServer) -> None:
        async with (
            ear_at as ear,
            asyncio.timeout(20),
            httpx.AsyncClient(base_url=server.base_url, headers=STATIC) as client,
        ):
            await work(client, server.sandbox, ear)

    with SandboxServer(config) as server:
        asyncio.run(run(server))


@pytest.mark.parametrize("transport", ["wss", "grpc"])
def test_a_started_stream_carries_the_whole_call_to_its_url(certificate: Path, transport: str) -> None:
    """With the token of the request; when all was played the call is over."""

    async def work(client: httpx.AsyncClient, sandbox: Sandbox, ear: Ear) -> None:
        call = sandbox.calls.begin(live(trouble=Trouble(seed=2, lost_share=0.2)))
        await client.post(SEGMENT, json={"url": ear.url, "streamId": "one", "token": "t"})
        outcome = await asyncio.wrap_future(call.streams[0].future)
        assert (outcome.error, call.is_live, len(ear.handshakes)) == ("", False, 1)
        assert ear.handshakes[0][1] == ("Bearer t" if transport == "wss" else "t")
        expected = call.streams[0].truth()
        assert {name: heard.chunks for name, heard in expected.items()} == outcome.sent
        assert next(iter(expected.values())).audio == AGENT

    listening = listening_wss if transport == "wss" else listening_grpc
    on_the_air(listening(Ear(), certificate), SandboxConfig(caller_ca=certificate, caller_pace=None), work)


def test_a_stopped_stream_says_goodbye_and_leaves_the_call_live(certificate: Path) -> None:
    """Its receiver gets a stop for each segment; the dialog can be streamed again."""

    async def work(client: httpx.AsyncClient, sandbox: Sandbox, ear: Ear) -> None:
        call = sandbox.calls.begin(live(trouble=Trouble(endless=True)))
        await client.post(DIALOG, json={"url": ear.url, "streamId": "one"})
        await ear.is_called.wait()
        assert (await client.delete(f"{DIALOG}/one")).status_code == 200
        outcome = await asyncio.wrap_future(call.streams[0].future)
        assert (outcome.stopped, call.is_live) == (True, True)
        stops = [one.segment_stop.segment_id for one in ear.messages if one.HasField("segment_stop")]
        assert sorted(stops) == sorted(outcome.sent)

    on_the_air(listening_grpc(Ear(), certificate), SandboxConfig(caller_ca=certificate, caller_pace=50), work)


def test_a_segment_stream_has_one_agent_and_a_dialog_stream_has_both(certificate: Path) -> None:
    """A transferred call: the second agent's leg alone, with the contact, or all of it (seed 000)."""
    second = Speaker(segment_id="s2", kind="AGENT", audio=AGENT, starts_ms=500)

    async def work(client: httpx.AsyncClient, sandbox: Sandbox, ear: Ear) -> None:
        speakers = (*two_voices("s", agent=AGENT, contact=CONTACT), second)
        call = sandbox.calls.begin(live(speakers=speakers, hangs_up=False))
        for path, heard in (
            (f"{ROOT}/dialogs/d/segments/s2/streams", {"s-contact", "s2"}),
            (DIALOG, {"s", "s-contact", "s2"}),
        ):
            await client.post(path, json={"url": ear.url, "streamId": path})
            outcome = await asyncio.wrap_future(call.streams[-1].future)
            assert set(outcome.sent) == heard

    on_the_air(listening_grpc(Ear(), certificate), SandboxConfig(caller_ca=certificate, caller_pace=None), work)


def test_a_call_of_a_product_with_a_profile_is_streamed_at_once(certificate: Path) -> None:
    """That is what a streaming profile is for; its secret goes along."""

    async def work(client: httpx.AsyncClient, sandbox: Sandbox, ear: Ear) -> None:
        address = ear.url.partition("/calls")[0]
        ids = {"subAccountId": "99999999", "mainAccountId": "99990000", "rcAccountId": "980634004"}
        body = {"productType": "QUEUE", "productId": 7, "streamingUrl": address, "secret": "hush", **ids}
        assert (await client.post("/platform/api/media/product", json=body)).status_code == 200
        call = sandbox.calls.begin(live(product_id=7))
        await asyncio.wrap_future(call.streams[0].future)
        assert ear.handshakes[0][1] == "Bearer hush"
        assert ear.messages[1]["metadata"]["productId"] == 7

    on_the_air(listening_wss(Ear(), certificate), SandboxConfig(caller_ca=certificate, caller_pace=None), work)


def test_a_stream_to_nowhere_is_accepted_and_comes_to_nothing(certificate: Path) -> None:
    """Media control answers before anything is dialled."""

    async def work(client: httpx.AsyncClient, sandbox: Sandbox, ear: Ear) -> None:
        call = sandbox.calls.begin(live())
        for number, url in enumerate(("wss://127.0.0.1:9/x", "https://127.0.0.1:9", "wss://[oops", "nonsense")):
            assert (await client.post(DIALOG, json={"url": url, "streamId": str(number)})).status_code == 200
            outcome = await asyncio.wrap_future(call.streams[-1].future)
            assert (outcome.accepted, call.is_live) == (False, True)

    on_the_air(listening_wss(Ear(), certificate), SandboxConfig(), work)


@pytest.mark.parametrize("listening", [listening_wss, listening_grpc])
def test_a_sandbox_that_ends_hangs_up_on_everybody(certificate: Path, listening: Any) -> None:
    """Whoever waits for a stream is told, and nobody waits for a receiver's goodbye."""

    async def run(server: SandboxServer) -> Stream:
        async with listening(Ear(), certificate) as ear, asyncio.timeout(20):
            call = server.sandbox.calls.begin(live(trouble=Trouble(endless=True)))
            async with httpx.AsyncClient(base_url=server.base_url, headers=STATIC) as client:
                await client.post(DIALOG, json={"url": ear.url, "streamId": "one"})
                await ear.is_called.wait()
            await asyncio.to_thread(server.__exit__, None, None, None)
            return call.streams[0]

    server = SandboxServer(SandboxConfig(caller_ca=certificate)).__enter__()
    assert asyncio.run(run(server)).wait(1).status == "cancelled"


def test_an_ended_call_is_in_the_metadata_and_has_its_recording(open_sandbox: Open, clock: ManualClock) -> None:
    """Nothing of it is seen while it is live; then its agent's segment, with a recording and without a transcript."""
    client, sandbox = open_sandbox(SandboxConfig(limits={"metadata": ""}))
    call = sandbox.calls.begin(live(ani="+1650"))
    window = {"segmentEndTime": "2026-09-01 12:00:00", "timeInterval": 600, "timeZone": "UTC"}

    def listed() -> list[Any]:
        found = client.post(f"{ROOT}/interaction-metadata", json=window).json()
        return [item for item in found if item["dialogId"] == "d"]

    clock.advance(30)
    assert listed() == []
    call.end()
    clock.advance(60)
    (item,) = listed()
    assert (item["segmentId"], item["channelType"], item["hasRecording"], item["hasTranscript"]) == (
        "s",
        "VOICE",
        True,
        False,
    )
    assert (item["segmentDurationMs"], item["contactEndpointAddress"]) == (30_000, "+1650")
    recording = f"{ROOT}/recordings/dialogs/d/segments/s"
    assert client.get(recording).status_code == 404
    clock.advance(900)
    assert pcm_of_wav(client.get(recording).content) == mixed([decode(AGENT), decode(CONTACT)])
    assert sandbox.world.life.find(Key("99999999", "d", "s")) is not None


def test_calls_can_be_begun_and_ended_over_http(open_sandbox: Open) -> None:
    """For whoever has the sandbox in another process."""
    client, _ = open_sandbox(SandboxConfig())
    begun = client.post("/_sandbox/calls", json={"dialogId": "d", "segmentId": "s"})
    assert (begun.status_code, begun.json()["isLive"]) == (200, True)
    assert client.post("/_sandbox/calls", json={"dialogId": "d", "segmentId": "s"}).status_code == 400
    assert client.post(SEGMENT, json=NOWHERE | {"url": "wss://127.0.0.1:9/x?access_token=hidden"}).status_code == 200
    assert "hidden" not in client.get("/_sandbox/calls").text
    assert client.post("/_sandbox/calls/end", json={"dialogId": "d"}).json()["isLive"] is False
    assert client.post("/_sandbox/calls/end", json={"dialogId": "d"}).status_code == 404
    assert [call["dialogId"] for call in client.get("/_sandbox/calls").json()] == ["d"]


def test_a_call_in_two_legs_becomes_two_segments(open_sandbox: Open, clock: ManualClock) -> None:
    """A transfer makes a new segment: the first ends where the second begins."""
    _, sandbox = open_sandbox(SandboxConfig())
    legs = (
        Speaker(segment_id="b", kind="AGENT", audio=AGENT, starts_ms=4_000),
        Speaker(segment_id="a", kind="BOT", audio=AGENT),
    )
    call = sandbox.calls.begin(live(speakers=legs))
    clock.advance(10)
    call.end()
    noon_ms = NOON * 1000
    assert [
        (one.segment_id, one.segment_type, one.start_ms - noon_ms, one.end_ms - noon_ms) for one in call.segments()
    ] == [
        ("a", "BOT", 0, 4_000),
        ("b", "AGENT", 4_000, 10_000),
    ]
