"""Answers -> records: every field accounted for, every text as it came, and no item that takes its neighbours along."""

import json
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from connectors.ringcx.parse import parse_metadata, parse_sub_accounts, parse_transcript
from connectors.ringcx.records import Listing, Page, Problem, Utterance
from tests.processes import SHARED

SUB = "99999999"
DOCUMENTED = json.loads((Path(__file__).parent / "data" / "documented.json").read_text())
SPEC = SHARED / "specs" / "ringcx-openapi-subset.json"
ITEM = {"dialogId": "d", "segmentId": "s", "segmentEndTimeMs": "2026-09-01T10:00:00.000Z"}
PHRASE = {"participantId": "p", "timestamp": "1721651880000", "message": "hello"}


def listed(*items: object) -> Page[Listing]:
    """Metadata with these items."""
    return parse_metadata(json.dumps(items).encode(), SUB)


def said(*phrases: object) -> Page[Utterance]:
    """A transcript with these phrases."""
    return parse_transcript(json.dumps({"transcript": phrases}).encode()).lines


def said_raw(*phrases: bytes) -> Page[Utterance]:
    """A transcript with these phrases, as they come over the line."""
    return parse_transcript(b'{"transcript": [' + b", ".join(phrases) + b"]}").lines


def filled(record: msgspec.Struct) -> dict[str, Any]:
    """The fields of a record that have a value, instants as text."""
    fields = ((name, msgspec.to_builtins(getattr(record, name))) for name in record.__struct_fields__)
    return {name: value for name, value in fields if value is not None}


@pytest.mark.parametrize("case", DOCUMENTED, ids=lambda case: str(case["name"]))
def test_documented_examples_become_these_records(case: dict[str, Any]) -> None:
    """The platform's documentation is the only sample that everybody can check."""
    body = json.dumps(case["body"]).encode()
    records: list[msgspec.Struct] = (
        [listing.segment for listing in parse_metadata(body, SUB).items]
        if case["name"].startswith("metadata")
        else list(parse_transcript(body).lines.items)
    )
    assert [filled(record) for record in records] == case["expected"]


@pytest.mark.skipif(not SPEC.exists(), reason="the specification is not here: set RINGCX_SHARED")
def test_every_example_of_the_specification_is_understood_without_rest() -> None:
    """No problem, and no field that we do not know."""
    spec = json.loads(SPEC.read_text())
    (transcripts,) = (path for name, path in spec["paths"].items() if "/transcripts/" in name)
    answers = transcripts["get"]["responses"]["200"]["content"]["application/json"]["examples"].values()
    metadata = spec["components"]["schemas"]["WEMInteractionSegmentMetaData2Array"]["example"]
    pages: list[Page[Any]] = [parse_transcript(json.dumps(answer["value"]).encode()).lines for answer in answers]
    pages.append(parse_metadata(json.dumps(metadata).encode(), SUB))
    assert [len(page.items) for page in pages] == [2, 2, 4]
    assert not any(page.problems or page.unknown_fields for page in pages)


@pytest.mark.skipif(not SPEC.exists(), reason="the specification is not here: set RINGCX_SHARED")
@pytest.mark.parametrize(
    ("schema", "parsed"),
    [
        ("WEMDialogSegmentMetaData", lambda fields: listed({**fields, **ITEM}).unknown_fields),
        ("TranscriptPhrase", lambda fields: said({**fields, **PHRASE}).unknown_fields),
    ],
)
def test_every_field_of_the_specification_is_known(schema: str, parsed: Callable[[dict[str, None]], object]) -> None:
    """A field that we forgot would be counted as new in every run."""
    fields = json.loads(SPEC.read_text())["components"]["schemas"][schema]["properties"]
    assert not parsed(dict.fromkeys(fields))


BAD_ITEMS: list[tuple[object, str]] = [
    (None, "expected an object, got NoneType"),
    ("item", "expected an object, got str"),
    ([], "expected an object, got list"),
    ({name: value for name, value in ITEM.items() if name != "segmentId"}, "segmentId"),
    (ITEM | {"dialogId": None}, "dialogId"),
    (ITEM | {"segmentId": 12345}, "segmentId"),
    (ITEM | {"segmentId": ""}, "segmentId"),
    (ITEM | {"segmentEndTimeMs": "not a time"}, "segmentEndTimeMs"),
    (ITEM | {"segmentEndTimeMs": 1721651880000}, "segmentEndTimeMs"),
    (ITEM | {"segmentStartTimeMs": "0001-01-01T00:00:00+14:00"}, "outside the calendar"),
    (ITEM | {"hasTranscript": "perhaps"}, "hasTranscript"),
    (ITEM | {"segmentDurationMs": 2**63}, "segmentDurationMs"),
    (ITEM | {"segmentEvents": ["start"]}, "segmentEvents"),
    (ITEM | {"subAccountId": "1"}, "asked for '99999999'"),
]


@pytest.mark.parametrize(("bad", "reason"), BAD_ITEMS)
def test_a_bad_item_is_set_aside_and_its_neighbours_load(bad: object, reason: str) -> None:
    """Kept whole with its reason, so that it can be loaded once we understand it."""
    page = listed(ITEM, bad, ITEM | {"segmentId": "t"})
    assert [listing.segment.segment_id for listing in page.items] == ["s", "t"]
    ((position, raw, why),) = [(each.position, each.raw, each.reason) for each in page.problems]
    assert (position, json.loads(raw), reason in why) == (1, bad, True)


BAD_PHRASES: list[tuple[object, str]] = [
    (None, "expected an object, got NoneType"),
    ("phrase", "expected an object, got str"),
    ({"timestamp": "1721651880000"}, "message"),
    (PHRASE | {"message": None}, "message"),
    (PHRASE | {"message": 42}, "message"),
    (PHRASE | {"timestamp": None}, "timestamp"),
    (PHRASE | {"timestamp": True}, "timestamp"),
    (PHRASE | {"timestamp": 1.5}, "timestamp"),
    (PHRASE | {"timestamp": "yesterday"}, "not epoch milliseconds"),
    (PHRASE | {"timestamp": "2024-07-22T11:24:40.000Z"}, "not epoch milliseconds"),
    (PHRASE | {"timestamp": "9" * 5000}, "not epoch milliseconds"),
    (PHRASE | {"timestamp": "9" * 18}, "outside years"),
    (PHRASE | {"timestamp": 2**80}, "timestamp"),
    (PHRASE | {"participantId": 7}, "participantId"),
]


@pytest.mark.parametrize(("bad", "reason"), BAD_PHRASES)
def test_a_bad_phrase_is_set_aside_and_the_others_keep_their_places(bad: object, reason: str) -> None:
    """`seq` is the place in the platform's order: were the others to move up, a later repair would not fit in."""
    page = said(PHRASE, bad, PHRASE)
    assert [line.seq for line in page.items] == [0, 2]
    ((position, raw, why),) = [(each.position, each.raw, each.reason) for each in page.problems]
    assert (position, json.loads(raw), reason in why) == (1, bad, True)


GOOD = json.dumps(PHRASE).encode()
NO_VALUES = [
    (rb'{"message": "half \ud83d", "timestamp": "1"}', None, "surrogate"),
    (rb'{"message": "\\ \" \ude00\ud83d", "timestamp": "1"}', None, "surrogate"),
    (rb'{"message": "\ud83d\u0041", "timestamp": "1"}', None, "surrogate"),
    (rb'{"half key \uDFFF": 1}', None, "surrogate"),
    (b'{"message": "latin-1: \xe9", "timestamp": "1"}', r'{"message": "latin-1: \xe9", "timestamp": "1"}', "UTF-8"),
    (b'{"message": "\xed\xa0\xbd"}', r'{"message": "\xed\xa0\xbd"}', "UTF-8"),
    (b'{"message": "x", "confidence": 1e999}', None, "out of range"),
    (b'{"message": "x", "n": ' + b"9" * 5000 + b"}", None, "out of range"),
]


@pytest.mark.parametrize(("bad", "kept", "reason"), NO_VALUES)
def test_what_no_text_or_number_can_hold_is_set_aside_as_it_came(bad: bytes, kept: str | None, reason: str) -> None:
    """Half an emoji in one line must not lose the conversation, nor be changed silently into something else."""
    page = said_raw(GOOD, bad, GOOD)
    assert [(line.seq, line.message) for line in page.items] == [(0, "hello"), (2, "hello")]
    (problem,) = page.problems
    assert (problem.position, problem.raw, reason in problem.reason) == (1, kept or bad.decode(), True)


def test_half_an_emoji_in_the_notes_of_one_segment_does_not_lose_the_window() -> None:
    """It would be asked for again for ever, and never be read."""
    good = json.dumps(ITEM).encode()
    bad = good.replace(b'"d"', rb'"d", "agentNotes": "\ud83d"')
    page = parse_metadata(b"[" + good + b",\n" + bad + b"]", SUB)
    assert len(page.items) == 1
    assert page.problems == (Problem(1, bad.decode(), page.problems[0].reason),)


def test_beside_half_an_emoji_the_rest_of_the_answer_is_as_ever() -> None:
    """Error code, unknown fields, whole emoji and escaped backslashes."""
    half = rb'{"channelClass": "VOICE", "future": "\ud83d", "errorCode": "partial", "transcript": [{"x": "\ud83d"}, '
    whole = rb'{"message": "\ud83d\ude00 \\ud83d", "timestamp": "1"}]}'
    transcript = parse_transcript(half + whole)
    assert [line.message for line in transcript.lines.items] == ["😀 \\ud83d"]
    assert (transcript.error_code, transcript.channel_class) == ("partial", "VOICE")
    assert dict(transcript.lines.unknown_fields) == {"transcript.future": 1}


def test_unknown_fields_are_kept_and_counted() -> None:
    """A new field of the platform is seen on its first day, and its values are not lost until we know it."""
    page = listed(ITEM, ITEM | {"sentiment": {"score": [1, None, "é"]}}, ITEM | {"sentiment": None, "zip": 1})
    assert [listing.extra for listing in page.items] == [
        None,
        '{"sentiment":{"score":[1,null,"é"]}}',
        '{"sentiment":null,"zip":1}',
    ]
    assert page.unknown_fields == {"segment.sentiment": 2, "segment.zip": 1}


def test_unknown_fields_of_a_transcript_are_counted_where_they_are() -> None:
    """On the phrase, where they are kept, and on the answer."""
    body = {"transcript": [PHRASE | {"confidence": 0.5}], "language": "en", "channelClass": "VOICE"}
    lines = parse_transcript(json.dumps(body).encode()).lines
    assert lines.unknown_fields == {"utterance.confidence": 1, "transcript.language": 1}
    assert lines.items[0].extra == '{"confidence":0.5}'


@pytest.mark.parametrize("written", [" 1721651880000", "1721651880000", 1721651880000])
def test_a_timestamp_is_epoch_milliseconds_as_text_or_number(written: str | int) -> None:
    """Documented as a string; a number says the same."""
    assert said(PHRASE | {"timestamp": written}).items[0].spoken_at_ms == 1721651880000


@pytest.mark.parametrize(
    "written", ["2024-07-22T11:24:40.123Z", "2024-07-22T11:24:40.123", "2024-07-22T13:24:40.123+02:00"]
)
def test_an_instant_is_utc(written: str) -> None:
    """With its zone, or without one, as the documentation says all of them are."""
    (listing,) = listed(ITEM | {"segmentStartTimeMs": written}).items
    assert listing.segment.segment_start_time == datetime(2024, 7, 22, 11, 24, 40, 123_000, UTC)


TEXTS = [
    ("null byte", "a\0b"),
    ("emoji", "👩‍👩‍👧‍👦 🙏🏽"),
    ("combining", "e\u0301 is not é"),
    ("spaces", "  \t\r\n\u00a0\u2028\ufeff "),
    ("markup", "&amp; <b> \\n \\u0041"),
    ("empty", ""),
    ("last", "\U0010ffff"),
]


@pytest.mark.parametrize("ascii_only", [True, False])
@pytest.mark.parametrize("text", [text for _, text in TEXTS], ids=[name for name, _ in TEXTS])
def test_text_is_stored_as_it_came(text: str, ascii_only: bool) -> None:
    """Escaped or not, nothing is trimmed, normalized or unescaped twice."""
    body = json.dumps({"transcript": [PHRASE | {"message": text}]}, ensure_ascii=ascii_only)
    assert parse_transcript(body.encode()).lines.items[0].message == text


@settings(max_examples=60, deadline=None)
@given(
    phrases=st.lists(
        st.fixed_dictionaries(
            {"message": st.text(), "timestamp": st.integers(0, 2**41).map(str)},
            optional={name: st.none() | st.text() for name in ("participantId", "participantName", "rcUserId")},
        )
    ),
    ascii_only=st.booleans(),
)
def test_phrases_come_out_as_they_went_in(phrases: list[dict[str, str]], ascii_only: bool) -> None:
    """Whatever people write, in order."""
    body = json.dumps({"transcript": phrases}, ensure_ascii=ascii_only).encode()
    lines = parse_transcript(body).lines
    assert not lines.problems
    assert [
        (line.seq, line.message, str(line.spoken_at_ms), line.participant_id, line.participant_name, line.rc_user_id)
        for line in lines.items
    ] == [
        (seq, said["message"], said["timestamp"], *map(said.get, ("participantId", "participantName", "rcUserId")))
        for seq, said in enumerate(phrases)
    ]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.sampled_from([*ITEM, *PHRASE, "transcript"]), inner),
)
BODIES = (
    st.binary()
    | JSON.map(lambda value: json.dumps(value).encode())
    | st.lists(JSON).map(lambda lines: json.dumps({"transcript": lines}).encode())
    | st.text(st.sampled_from('[]{}",:\\ud83e0 \xff')).map(lambda text: text.encode("latin-1"))
)


@pytest.mark.parametrize("read", [lambda body: parse_metadata(body, SUB), parse_transcript, parse_sub_accounts])
@settings(max_examples=60, deadline=None)
@given(body=BODIES)
@example(b"[" * 100_000)
@example(b"[" * 5000 + b"]" * 5000)
@example(b'{"transcript": ' + b'[{"a":' * 5000)
@example(b'["\xff"]')
@example(rb'"\ud83d"')
def test_no_body_raises_anything_but_a_decode_error(read: Callable[[bytes], object], body: bytes) -> None:
    """Which is what http.py takes for a broken transmission; anything else would end the run."""
    with suppress(msgspec.DecodeError):
        read(body)


@settings(max_examples=40, deadline=None)
@given(lines=st.lists(JSON, max_size=5))
def test_every_line_is_either_read_or_set_aside(lines: list[object]) -> None:
    """read = loaded + quarantined: nothing is dropped without a trace."""
    with suppress(msgspec.DecodeError):  # NaN and infinity are no JSON
        page = said(*lines)
        places = [line.seq for line in page.items] + [problem.position for problem in page.problems]
        assert sorted(places) == list(range(len(lines)))


@pytest.mark.parametrize(
    "body", [b'{"transcript": null}', b'{"transcript": []}', b'{"transcript": null, "errorCode": ""}']
)
def test_a_transcript_of_nothing_is_an_empty_one(body: bytes) -> None:
    """Nobody said anything: that is an answer."""
    transcript = parse_transcript(body)
    assert (transcript.lines.items, transcript.lines.problems, transcript.error_code) == ((), (), None)


@pytest.mark.parametrize(
    "body",
    [b"{}", b'{"channelClass": "VOICE"}', b'{"transcript": {}}', b'{"transcript": "hello"}', b"[]", b"null", b""],
)
def test_an_answer_without_a_transcript_is_unreadable(body: bytes) -> None:
    """And must not pass for an empty one, which would be final."""
    with pytest.raises(msgspec.DecodeError):
        parse_transcript(body)


@pytest.mark.parametrize("transcript", ["", ', "transcript": null', ', "transcript": []'])
def test_an_error_code_comes_with_its_message_and_the_whole_answer(transcript: str) -> None:
    """It may be for now or for ever; the answer is kept for whoever has to find out."""
    body = f'{{"errorCode": "transcript.failed", "errorMessage": "Sorry."{transcript}}}'
    answer = parse_transcript(body.encode())
    assert (answer.error_code, answer.error_message, answer.raw) == ("transcript.failed", "Sorry.", body)
    assert answer.lines.items == ()


def test_accounts_are_read_with_their_retention_and_the_account_above() -> None:
    """And nothing else of them: the specification's `Account` has passwords in it."""
    body = [{"accountId": "1", "crmPwd": "x", "dataRetentionDays": 90, "mainAccount": {"rcAccountId": 7}}]
    (account,) = parse_sub_accounts(json.dumps(body).encode())
    assert (account.account_id, account.data_retention_days, account.rc_account_id) == ("1", 90, "7")


def test_an_account_without_an_id_is_an_unreadable_answer() -> None:
    """A run without one of its sub-accounts would look complete."""
    with pytest.raises(msgspec.DecodeError, match="accountId"):
        parse_sub_accounts(b'[{"accountId": "1"}, {"accountName": "?"}]')
