"""Callers on real sockets: what a receiver sees of a call, and what a caller makes of a receiver."""

import asyncio
from base64 import b64decode
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from connectors.sandbox.callers import CallScript, Heard, Line, Outcome, Speaker, Trouble, dial, never, truth
from connectors.sandbox.callers.script import Transport
from connectors.sandbox.sound import SILENCE, decode, encode, mixed, tone
from tests.connectors.sandbox.ears import Ear, listening_grpc, listening_wss, make_certificate

AGENT, CONTACT = tone("agent", 1.25), tone("contact", 0.75)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for receivers on this machine."""
    return make_certificate(tmp_path_factory.mktemp("tls"))


def script(trouble: Trouble | None = None, **changes: Any) -> CallScript:
    """A call of an agent and, half a second later, a contact, who is put on hold once."""
    speakers = (
        Speaker(segment_id="s", kind="AGENT", audio=AGENT, participant_id="449001", name="Ann"),
        Speaker(segment_id="c", kind="CONTACT", audio=CONTACT, starts_ms=500, holds=((700, 900),)),
    )
    return CallScript(
        **{"dialog_id": "d/1", "segment_id": "s", "speakers": speakers} | changes, trouble=trouble or Trouble()
    )


def call(ear: Ear, certificate: Path, one: CallScript, **changes: Any) -> Outcome:
    """One call to an ear over a WebSocket, as fast as it takes it."""
    return _call(listening_wss(ear, certificate), certificate, one, **changes)


def call_grpc(ear: Ear, certificate: Path, one: CallScript, **changes: Any) -> Outcome:
    """One call to an ear over gRPC, which takes the token `secret`."""
    return _call(listening_grpc(ear, certificate, "secret"), certificate, one, **changes)


def _call(listening: Any, certificate: Path, one: CallScript, **changes: Any) -> Outcome:
    stopped: Callable[[], bool] = changes.pop("stopped", never)

    async def run() -> Outcome:
        async with listening as ear, asyncio.timeout(20):
            line = Line(
                **{"url": ear.url, "token": "secret", "ca": certificate, "pace": None, "patience_s": 5} | changes
            )
            return await dial(one, line, stopped)

    return asyncio.run(run())


def heard(ear: Ear, perspective: str) -> bytes:
    """The audio of one perspective, in the order of its sequence ids."""
    chunks = {int(one["sequenceId"]): one["media"] for one in ear.messages if one.get("perspective") == perspective}
    return b"".join(b64decode(chunks[number]) for number in sorted(chunks))


def test_a_call_over_a_websocket_has_the_messages_of_the_seeds(certificate: Path) -> None:
    """Connected, Start, Media of both perspectives, and one Stop for each of them, after a handshake that names it."""
    ear = Ear()
    outcome = call(ear, certificate, script(began=1_788_264_000))
    ((path, token),) = ear.handshakes
    query = parse_qs(urlsplit(path).query)
    assert (query["dialog_id"], query["callId"], query["sessionId"], token) == (["d"], ["d/1"], ["s"], "Bearer secret")
    assert ear.messages[0] == {"event": "Connected", "protocol": "AgentSession", "version": "1.0.0"}
    assert ear.messages[1] == {
        "event": "Start",
        "metadata": {
            "callId": "d/1",
            "sessionId": "s",
            "ani": "+16504131116",
            "dnis": "+16505551001",
            "accountId": "99990000",
            "subaccountId": "99999999",
            "rcAccountId": "980634004",
            "agentId": 123,
            "productType": "Queue",
            "productId": 1234,
            "contentType": "audio/x-mulaw",
            "sampleRateHertz": 8000,
        },
    }
    stops = [one for one in ear.messages if one["event"] == "Stop"]
    assert stops == [{"event": "Stop", "metadata": {"duration": 1, "end_time": "2026-09-01T12:00:01Z"}}] * 2
    assert (outcome.status, outcome.close_code, outcome.error, ear.ends) == ("101", 1000, "", ["closed"])
    assert outcome.sent == {"Participant": 63, "Conference": 63}


def test_a_websocket_has_the_agent_on_one_side_and_everybody_else_on_the_other(certificate: Path) -> None:
    """The left channel is the agent's; the right one has the sum of all other legs, with silence before they speak."""
    bot = Speaker(segment_id="b", kind="BOT", audio=tone("bot", 0.5))
    one = script(speakers=(*script().speakers, bot))
    ear = Ear()
    call(ear, certificate, one)
    late = SILENCE * 4000 + CONTACT
    assert heard(ear, "Participant") == AGENT
    assert heard(ear, "Conference") == encode(mixed([decode(late), decode(bot.audio)]))
    assert ear.sequence("Participant") == list(range(1, 64))


def test_a_call_over_grpc_interleaves_its_segments_and_tells_of_holds(certificate: Path) -> None:
    """One session: the dialog, both segments with their participants, numbered chunks, hold and unhold, two stops."""
    ear = Ear()
    outcome = call_grpc(ear, certificate, script(attributes={"vip": "yes"}, language="en-US"))
    kinds = [one.WhichOneof("event") for one in ear.messages]
    init, start = ear.messages[0], ear.messages[1]
    assert {one.session_id for one in ear.messages} == {"d/1/s"}
    assert (init.dialog_init.account.sub_account_id, init.dialog_init.dialog.id) == ("99999999", "d/1")
    assert (init.dialog_init.dialog.type, dict(init.dialog_init.dialog.attributes)) == (1, {"vip": "yes"})
    assert (start.segment_start.segment_id, start.segment_start.participant.type) == ("s", 2)
    assert (start.segment_start.audio_format.codec, start.segment_start.audio_format.ptime) == (3, 100)
    media = [one.segment_media for one in ear.messages if one.HasField("segment_media")]
    for segment, audio in (("s", AGENT), ("c", CONTACT)):
        own = [one.audio_content for one in media if one.segment_id == segment]
        assert b"".join(content.payload for content in own) == audio
        assert [content.seq for content in own] == list(range(1, len(own) + 1))
    assert [one.segment_info.event for one in ear.messages if one.HasField("segment_info")] == ["hold", "unhold"]
    assert kinds.index("segment_stop") > kinds.index("segment_info")
    assert kinds.count("segment_stop") == 2
    assert (outcome.status, outcome.accepted, ear.ends) == ("OK", True, ["closed"])


@pytest.mark.parametrize(("statuses", "attempts"), [([403], 1), ([503, 503, 503], 3), ([500, 401], 2)])
def test_a_handshake_is_tried_three_times_after_5xx_and_never_after_4xx(
    certificate: Path, statuses: list[int], attempts: int
) -> None:
    """The seeds: a 4xx is a denial, a 5xx a failure that gets up to three attempts."""
    ear = Ear(refusals=list(statuses))
    outcome = call(ear, certificate, script())
    assert (outcome.accepted, outcome.status, outcome.attempts) == (False, str(statuses[-1]), attempts)
    assert len(ear.handshakes) == attempts
    assert ear.messages == []


def test_a_handshake_that_fails_once_is_a_call_in_the_end(certificate: Path) -> None:
    """A receiver that restarts while calls come in loses none of them."""
    outcome = call(Ear(refusals=[503]), certificate, script())
    assert (outcome.accepted, outcome.attempts) == (True, 2)


def test_a_wrong_token_is_shown_and_its_refusal_told(certificate: Path) -> None:
    """What a receiver must refuse has to arrive there as wrong."""
    ear = Ear()
    outcome = call_grpc(ear, certificate, script(Trouble(wrong_token=True)))
    assert (outcome.accepted, outcome.status, ear.handshakes) == (False, "UNAUTHENTICATED", [("", "wrong-secret")])
    wss = Ear(refusals=[401])
    assert call(wss, certificate, script(Trouble(wrong_token=True))).status == "401"
    assert wss.handshakes[0][1] == "Bearer wrong-secret"


def test_a_certificate_of_nobody_known_is_not_talked_to(certificate: Path) -> None:
    """Audio and tokens go to no stranger."""
    assert call(Ear(), certificate, script(), ca=None).status == "unreachable"
    assert call_grpc(Ear(), certificate, script(), ca=None).status == "UNAVAILABLE"


TROUBLE = Trouble(seed=3, lost_share=0.1, late_share=0.1, doubled_share=0.1)


def test_troubled_chunks_arrive_as_the_truth_says_over_a_websocket(certificate: Path) -> None:
    """A receiver is judged by the truth, so the truth must be what really goes over the line."""
    ear = Ear()
    call(ear, certificate, script(TROUBLE))
    _agrees(truth(script(TROUBLE), "wss")["Participant"], ear.sequence("Participant"))


def test_troubled_chunks_arrive_as_the_truth_says_over_grpc(certificate: Path) -> None:
    """The same for the other transport, on a longer call, for its chunks are fewer."""
    trouble = Trouble(seed=4, lost_share=0.2, late_share=0.2, doubled_share=0.2)
    one = script(trouble, speakers=(Speaker(segment_id="s", kind="AGENT", audio=tone("long", 6)),))
    ear = Ear()
    call_grpc(ear, certificate, one)
    seqs = [event.segment_media.audio_content.seq for event in ear.messages if event.HasField("segment_media")]
    _agrees(truth(one, "grpc")["s"], seqs)


def _agrees(expected: Heard, seqs: list[int]) -> None:
    assert expected.lost
    assert expected.late
    assert expected.doubled
    assert set(range(1, max(seqs) + 1)) - set(seqs) == {number + 1 for number in expected.lost}
    assert len(seqs) == expected.chunks + expected.doubled
    assert sum(seq < max(seqs[:at], default=0) and seq not in seqs[:at] for at, seq in enumerate(seqs)) == expected.late


def test_broken_and_oversized_messages_come_in_the_middle_of_a_call(certificate: Path) -> None:
    """The call goes on after them, if the receiver lets it."""
    ear = Ear()
    outcome = call(ear, certificate, script(Trouble(malformed_at_ms=200, oversized_at_ms=300, oversized_bytes=100_000)))
    assert sum("malformed" in one for one in ear.messages) == 1
    assert max(len(one.get("media", "")) for one in ear.messages) > 100_000
    assert outcome.error == ""


def test_a_receiver_that_hangs_up_ends_the_call(certificate: Path) -> None:
    """With its close code, and without an exception."""
    outcome = call(Ear(hang_up_after=20), certificate, script(), pace=20)
    assert (outcome.close_code, outcome.error) == (1009, "closed by the receiver")


def test_a_caller_that_hangs_up_sends_no_stop(certificate: Path) -> None:
    """The connection is dropped in the middle, on both transports."""
    ear = Ear()
    outcome = call(ear, certificate, script(Trouble(hang_up_at_ms=600)))
    assert (outcome.error, outcome.played_ms, ear.ends) == ("hung up", 600, ["dropped"])
    assert not [one for one in ear.messages if one["event"] == "Stop"]
    other = Ear()
    assert call_grpc(other, certificate, script(Trouble(hang_up_at_ms=600))).status == "CANCELLED"
    assert not [one for one in other.messages if one.HasField("segment_stop")]


@pytest.mark.parametrize(
    "trouble", [Trouble(silent=True), Trouble(silent=True, deaf=True), Trouble(quiet_after_ms=100)]
)
def test_a_half_open_caller_keeps_the_line_until_its_patience_ends(certificate: Path, trouble: Trouble) -> None:
    """It says nothing (any more), and it is the receiver's part to notice."""
    ear = Ear()
    outcome = call(ear, certificate, script(trouble), patience_s=0.1)
    assert outcome.error == "fell silent"
    assert bool(ear.messages) is not trouble.silent
    other = Ear()
    assert call_grpc(other, certificate, script(trouble), patience_s=0.1).status == "CANCELLED"


@pytest.mark.parametrize("transport", ["wss", "grpc"])
def test_an_endless_caller_talks_until_it_is_stopped(certificate: Path, transport: Transport) -> None:
    """And then says goodbye properly; what was said until then is known."""
    ear = Ear()
    one = script(Trouble(endless=True))
    dialled = call if transport == "wss" else call_grpc
    outcome = dialled(ear, certificate, one, stopped=lambda: len(ear.messages) > 200)
    assert outcome.stopped
    until_then = truth(one, transport, outcome.played_ms)
    assert {name: len(track.lost) for name, track in until_then.items()} == dict.fromkeys(outcome.sent, 0)
    assert {name: track.chunks for name, track in until_then.items()} == outcome.sent


def test_nothing_that_is_shown_of_a_line_or_an_outcome_holds_its_token(certificate: Path) -> None:
    """Addresses carry tokens, too."""
    line = Line(url="wss://host/x?access_token=hidden", token="hidden")
    assert "hidden" not in repr(line)
    assert "secret" not in repr(call(Ear(refusals=[403]), certificate, script()))
