"""Messages of both transports as events: what the documents leave open, and whatever else may come."""

import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.receivers import streaming_pb2 as pb
from connectors.receivers.events import (
    CallStarted,
    Cause,
    Chunk,
    Event,
    HungUp,
    Malformed,
    SegmentStarted,
    SegmentStopped,
    Trouble,
)
from connectors.receivers.grpc_messages import GrpcDialect
from connectors.receivers.wss_messages import WssDialect
from tests.processes import ROOT

# As in the seeds, with the commas that JSON does not have left out.
START = b"""{"event": "Start", "metadata": {"callId": "12345", "sessionId": 2, "ani": "2223334444",
 "dnis": "2223334444", "accountId": "99990000", "subaccountId": "99990001", "rcAccountId": "123456789", "agentId": 123,
 "productType": "Queue", "productId": 1234, "contentType": "audio/x-mulaw", "sampleRateHertz": 8000}}"""
MEDIA = b'{"event": "Media", "perspective": "Conference", "sequenceId": "7", "media": "AAEC"}'
STOP = b'{"event": "Stop", "metadata": {"duration": 120, "end_time": "2021-01-14T00:00:00Z"}}'
INIT = pb.StreamEvent(
    session_id="x", dialog_init=pb.DialogInitEvent(account=pb.Account(sub_account_id="7"), dialog=pb.Dialog(id="d"))
).SerializeToString()


def wss(*messages: bytes, query: dict[str, str] | None = None) -> list[Event]:
    dialect = WssDialect(query or {})
    return [event for message in messages for event in dialect.events(message)]


def grpc(*messages: "pb.StreamEvent | bytes") -> list[Event]:
    dialect = GrpcDialect()
    events: list[Event] = []
    for message in messages:
        events += dialect.events(message if isinstance(message, bytes) else message.SerializeToString())
    return events


def test_the_documents_own_messages_are_understood() -> None:
    """Numbers and texts as they are there: the session is a number, the call a text."""
    call, segment, chunk, first_stop, last_stop = wss(START, MEDIA, STOP, STOP)
    assert isinstance(call, CallStarted)
    assert (call.dialog_id, call.sub_account_id, call.session_id, call.ani) == ("12345", "99990001", "2", "2223334444")
    assert isinstance(segment, SegmentStarted)
    assert (segment.segment_id, segment.channels, segment.participant_id) == ("2", 2, "123")
    assert chunk == Chunk("2", 1, 7, b"\0\1\2")
    assert (type(first_stop).__name__, type(last_stop)) == ("Info", SegmentStopped)


def test_ids_in_our_own_url_win_over_the_platforms() -> None:
    """Media control starts streams with such URLs: they are what the other tables know."""
    query = {"dialog_id": "mine", "segment_id": "seg", "sub_account_id": "9", "callId": "other"}
    call, segment = wss(START, query=query)[:2]
    assert isinstance(call, CallStarted)
    assert isinstance(segment, SegmentStarted)
    assert (call.dialog_id, call.sub_account_id, segment.segment_id) == ("mine", "9", "seg")


def test_a_call_without_its_start_is_known_from_the_handshake() -> None:
    """Its audio is worth more than the message."""
    call, _, chunk = wss(MEDIA, query={"callId": "c", "sessionId": "s"})
    assert isinstance(call, CallStarted)
    assert (call.dialog_id, chunk) == ("c", Chunk("s", 1, 7, b"\0\1\2"))


@pytest.mark.parametrize("message", [MEDIA, b'{"event": "Start"}', START.replace(b'"12345"', b'"%s"' % (b"x" * 600))])
def test_a_call_that_does_not_say_which_it_is_is_hung_up(message: bytes) -> None:
    """Nobody could find it again."""
    with pytest.raises(HungUp) as raised:
        wss(message)
    assert raised.value.cause is Cause.NOT_IDENTIFIED


def test_an_encoding_that_cannot_be_stored_is_hung_up() -> None:
    """Its bytes would be noise in a G.711 file."""
    with pytest.raises(HungUp) as raised:
        wss(START.replace(b"8000", b"16000"))
    assert raised.value.cause is Cause.UNSUPPORTED


def test_a_message_of_a_new_kind_is_told_and_ends_nothing() -> None:
    """RingCX may add some at any time."""
    assert [type(event) for event in wss(START, b'{"event": "Pause"}', MEDIA)[2:]] == [Trouble, Chunk]


@pytest.mark.parametrize(
    "message",
    [
        *(b"", b"null", b"[]", b'{"event": 1}', b"\xff", b'{"event": "Media"', b"[" * 100_000),
        *(MEDIA.replace(*change) for change in ((b'"7"', b'"x"'), (b"AAEC", b"!"), (b"Conference", b"Agent"))),
    ],
)
def test_what_is_no_message_is_malformed(message: bytes) -> None:
    """One error for all of it, without the message in it."""
    with pytest.raises(Malformed):
        wss(START, message)


@given(st.lists(st.binary(max_size=60) | st.dictionaries(st.text(max_size=9), st.text(max_size=9)), max_size=9))
def test_nothing_that_may_come_over_wss_does_anything_else(messages: list[bytes | dict[str, str]]) -> None:
    """Events, Malformed or HungUp: any other error would be ours."""
    dialect = WssDialect({})
    for message in messages:
        raw = message if isinstance(message, bytes) else msgspec.json.encode({"event": "Start", "metadata": message})
        try:
            list(dialect.events(raw))
        except (Malformed, HungUp):
            continue


@given(st.lists(st.binary(max_size=60), max_size=9))
def test_nothing_that_may_come_over_grpc_does_anything_else(messages: list[bytes]) -> None:
    """The same there."""
    dialect = GrpcDialect()
    list(dialect.events(INIT))
    for message in messages:
        try:
            list(dialect.events(message))
        except (Malformed, HungUp):
            continue


def test_media_of_a_segment_that_never_started_is_kept() -> None:
    """As what RingCX sends today, and with a note."""
    audio = pb.AudioContent(payload=b"abc", seq=1)
    events = grpc(INIT, pb.StreamEvent(segment_media=pb.SegmentMediaEvent(segment_id="s", audio_content=audio)))
    assert [type(event) for event in events] == [CallStarted, Trouble, SegmentStarted, Chunk]


@pytest.mark.parametrize(("codec", "rate"), [(pb.OPUS, 48000), (pb.FLAC, 8000), (pb.PCMU, 1), (99, 8000)])
def test_a_segment_in_an_encoding_that_cannot_be_stored_is_told_and_left_out(codec: int, rate: int) -> None:
    """The other segments of the call are heard."""
    form = pb.AudioFormat(codec=codec, rate=rate)  # type: ignore[arg-type]
    start = pb.StreamEvent(segment_start=pb.SegmentStartEvent(segment_id="s", audio_format=form))
    audio = pb.AudioContent(payload=b"abc", seq=1)
    media = pb.StreamEvent(segment_media=pb.SegmentMediaEvent(segment_id="s", audio_content=audio))
    assert [type(event) for event in grpc(INIT, start, media)] == [CallStarted, Trouble]


def test_l16_comes_in_network_byte_order_and_goes_out_as_wav_has_it() -> None:
    """RFC 3551; played the other way round it is noise."""
    form = pb.AudioFormat(codec=pb.L16, rate=16000)
    start = pb.StreamEvent(segment_start=pb.SegmentStartEvent(segment_id="s", audio_format=form))
    audio = pb.AudioContent(payload=b"\x12\x34\x56\x78", seq=1)
    media = pb.StreamEvent(segment_media=pb.SegmentMediaEvent(segment_id="s", audio_content=audio))
    _, segment, chunk = grpc(INIT, start, media)
    assert isinstance(segment, SegmentStarted)
    assert (segment.encoding, segment.rate_hz) == ("L16", 16000)
    assert chunk == Chunk("s", 0, 1, b"\x34\x12\x78\x56")


def test_a_stream_whose_segments_were_not_stopped_is_not_whole() -> None:
    """A connection that is lost looks like the end of the stream."""
    dialect = GrpcDialect()
    list(dialect.events(INIT))
    start = pb.StreamEvent(segment_start=pb.SegmentStartEvent(segment_id="s"))
    list(dialect.events(start.SerializeToString()))
    assert not dialect.is_complete
    stop = pb.StreamEvent(segment_stop=pb.SegmentStopEvent(segment_id="s"))
    list(dialect.events(stop.SerializeToString()))
    assert dialect.is_complete


def test_the_generated_messages_are_those_of_the_proto_file(tmp_path: Path) -> None:
    """`make proto` writes them anew."""
    source = "connectors/receivers/streaming.proto"
    command = [sys.executable, "-m", "grpc_tools.protoc", "-I.", f"--python_out={tmp_path}", f"--pyi_out={tmp_path}"]
    subprocess.run([*command, source], cwd=ROOT, check=True)
    for name in ("streaming_pb2.py", "streaming_pb2.pyi"):
        assert (tmp_path / "connectors/receivers" / name).read_text() == (
            ROOT / "connectors/receivers" / name
        ).read_text()
