"""The views that analysts query, over conversations told here line by line, with the rows to expect stated by hand."""

from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest

from flows import tables
from flows.dictionary import markdown, relations, view_bodies
from flows.runtime import lake_at
from sinks.changes import Append, Upsert
from sinks.lake import Lake
from sinks.location import Location

ACCOUNT = "1"
T0 = datetime(2026, 8, 1, 23, 58, tzinfo=UTC)

Said = tuple[float, str | None, str | None, str | None, str]


def at(seconds: float) -> datetime:
    """So many seconds after two minutes to midnight."""
    return T0 + timedelta(seconds=seconds)


def segment(dialog: str, name: str, start: float, end: float, agent: str | None, **more: object) -> dict[str, object]:
    """A segment's row; times in seconds after T0."""
    return {
        "sub_account_id": ACCOUNT,
        "dialog_id": dialog,
        "segment_id": name,
        "segment_type": "AGENT",
        "channel_class": "VOICE",
        "channel_type": "VOICE",
        "dialog_origination": "INBOUND",
        "dialog_start_time": at(0),
        "segment_participant_id": agent,
        "segment_start_time": at(start),
        "segment_end_time": at(end),
        "segment_duration_ms": round((end - start) * 1000),
        "has_transcript": True,
        "transcript_state": "stored",
        "transcript_day": date(2026, 8, 2),
        **more,
    }


SEGMENTS = [
    # A call with a transfer: the second agent joins before the first has left.
    segment("call", "a", 0, 60, "ann", agent_disposition="Transferred", system_disposition="ANSWER"),
    segment("call", "b", 50, 120, "bob", agent_disposition="Solved", system_disposition="ANSWER"),
    # A chat that a bot begins; nobody is named, and RingCX says of nobody what they are.
    segment("chat", "x", 0, 20, "robot", segment_type="BOT", channel_class="DIGITAL", channel_type="MESSENGER"),
    segment("chat", "y", 20, 400, "ann", channel_class="DIGITAL", channel_type="MESSENGER"),
    # A call that nobody answered, and one whose transcript is still to come.
    segment(
        "lost", "l", 0, 9, None, segment_type="IVR", has_transcript=False, transcript_state="absent",
        system_disposition="ABANDON",
    ),
    segment("late", "p", 200, 260, "bob", transcript_state="pending", dialog_start_time=at(200)),
]  # fmt: skip
SPOKEN: Mapping[tuple[str, str], list[Said]] = {
    ("call", "a"): [
        (1, "ann", "agent", "Ann", "Hello, this is Ann"),
        (4, "caller", "contact", None, "I want a refund"),
        (10, "ann", "agent", "Ann", "One moment please"),
    ],
    ("call", "b"): [
        (52, "bob", "agent", None, "Bob here"),
        (52, "caller", "contact", None, "At last"),
        (90, "bob", "agent", None, "Done"),
    ],
    ("chat", "x"): [
        (2, "guest", None, None, "hi"),
        (3, "robot", None, None, "How can I help?"),
    ],
    ("chat", "y"): [
        (150, "ann", None, None, "退款 ok"),
        (151.5, "guest", None, None, ""),
    ],
}


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lake]:
    """A lake that holds the conversations told above."""
    place = Location.parse(str(tmp_path_factory.mktemp("views")), None)
    names = list({name for row in SEGMENTS for name in row})
    schema = pa.schema([tables.SEGMENTS.schema.field(name) for name in names])
    lines = []
    for (dialog, name), said in SPOKEN.items():
        for seq, (seconds, who, kind, called, message) in enumerate(said):
            row = {
                "sub_account_id": ACCOUNT,
                "dialog_id": dialog,
                "segment_id": name,
                "source": "ringcx",
                "seq": seq,
                "spoken_at": at(seconds),
            }
            row |= {"participant_id": who, "participant_type": kind, "participant_name": called, "message": message}
            lines.append(row | {"words": len(message.split()), "segment_day": date(2026, 8, 2)})
    with lake_at(place) as made:
        made.create()
        made.commit(
            [
                Upsert(tables.SEGMENTS, pa.Table.from_pylist(SEGMENTS, schema)),
                Append(tables.UTTERANCES, pa.Table.from_pylist(lines, tables.UTTERANCES.schema)),
            ]
        )
        yield made


def rows(lake: Lake, sql: str) -> list[tuple[object, ...]]:
    """The rows of a query, as tuples."""
    return [tuple(row.values()) for row in lake.query(sql).to_pylist()]


def test_turns_are_one_conversation_over_transfers_and_overlaps(lake: Lake) -> None:
    """In the order in which it was said; silence and time run through from the first segment to the last."""
    sql = "SELECT turn, segment_id, speaker, offset_seconds, gap_seconds, words FROM turns WHERE dialog_id = 'call'"
    assert rows(lake, sql + " ORDER BY turn") == [
        (1, "a", "agent", 1.0, None, 4),
        (2, "a", "contact", 4.0, 3.0, 4),
        (3, "a", "agent", 10.0, 6.0, 3),
        (4, "b", "agent", 52.0, 42.0, 2),
        (5, "b", "contact", 52.0, 0.0, 2),
        (6, "b", "agent", 90.0, 38.0, 1),
    ]


def test_who_speaks_is_known_where_ringcx_does_not_say(lake: Lake) -> None:
    """By the ids of the segment; the guest who talks to a bot and then to an agent is the same contact."""
    sql = "SELECT speaker, participant_id, message FROM turns WHERE dialog_id = 'chat' ORDER BY turn"
    assert rows(lake, sql) == [
        ("contact", "guest", "hi"),
        ("bot", "robot", "How can I help?"),
        ("agent", "ann", "退款 ok"),
        ("contact", "guest", ""),
    ]


def test_a_conversation_is_one_row(lake: Lake) -> None:
    """Whoever took part, however often it was handed over."""
    sql = """
        SELECT day, direction, duration_seconds, segments, transfers, agents, agent_names, turns, agent_turns,
            contact_turns, words, agent_words, contact_words, talk_share, first_response_seconds,
            longest_silence_seconds, agent_dispositions, system_dispositions, opening
        FROM conversations WHERE dialog_id = 'call'
    """
    assert rows(lake, sql) == [
        (date(2026, 8, 1), "INBOUND", 120.0, 2, 1, ["ann", "bob"], ["Ann"], 6, 4, 2, 16, 10, 6, 10 / 16, 6.0, 42.0,
         ["Solved", "Transferred"], ["ANSWER"], "Hello, this is Ann")
    ]  # fmt: skip


def test_the_text_of_a_conversation_reads_from_top_to_bottom(lake: Lake) -> None:
    """For those who hand it to a model, or to a colleague."""
    assert rows(lake, "SELECT text FROM conversations WHERE dialog_id = 'chat'") == [
        ("contact: hi\nbot: How can I help?\nagent: 退款 ok\ncontact: ",)
    ]


def test_a_bot_is_no_agent_and_its_reply_no_first_response(lake: Lake) -> None:
    """The contact waited 148 seconds for a person."""
    sql = """SELECT bot_turns, bot_words, first_response_seconds, transfers, agents FROM conversations
        WHERE dialog_id = 'chat'"""
    assert rows(lake, sql) == [(1, 4, 148.0, 0, ["ann"])]


def test_conversations_without_a_transcript_are_there_too(lake: Lake) -> None:
    """A call that nobody answered is what some look for."""
    sql = """SELECT dialog_id, transcripts, turns, words, talk_share, longest_silence_seconds, agents, text
        FROM conversations WHERE turns = 0 ORDER BY 1"""
    assert rows(lake, sql) == [("late", 0, 0, 0, None, None, ["bob"], None), ("lost", 0, 0, 0, None, None, [], None)]


def test_a_day_at_an_agents_desk(lake: Lake) -> None:
    """By the day on which their segments began, in UTC; silent ones too."""
    sql = """SELECT agent_id, agent_name, day, conversations, segments, handle_seconds, transcripts, turns, words,
        contact_words, talk_share FROM agent_daily ORDER BY agent_id, day"""
    assert rows(lake, sql) == [
        ("ann", "Ann", date(2026, 8, 1), 2, 2, 440.0, 2, 3, 9, 4, 9 / 13),
        ("bob", None, date(2026, 8, 1), 1, 1, 70.0, 1, 2, 3, 2, 3 / 5),
        ("bob", None, date(2026, 8, 2), 1, 1, 60.0, 0, 0, 0, 0, None),
    ]


def test_how_conversations_ended(lake: Lake) -> None:
    """What agents chose and what the system saw, apart; by the day on which the segment ended."""
    sql = "SELECT day, chosen_by, disposition, segments, conversations FROM disposition_daily ORDER BY 2, 3, 1"
    assert rows(lake, sql) == [
        (date(2026, 8, 2), "agent", "Solved", 1, 1),
        (date(2026, 8, 1), "agent", "Transferred", 1, 1),
        (date(2026, 8, 1), "system", "ABANDON", 1, 1),
        (date(2026, 8, 1), "system", "ANSWER", 1, 1),
        (date(2026, 8, 2), "system", "ANSWER", 1, 1),
    ]


def test_volume_by_the_hour(lake: Lake) -> None:
    """By the hour in which segments began."""
    sql = """SELECT hour, channel_type, conversations, segments, flagged, transcripts, pending, segment_seconds
        FROM hourly_volume ORDER BY hour, channel_type"""
    before, after = datetime(2026, 8, 1, 23, tzinfo=UTC), datetime(2026, 8, 2, tzinfo=UTC)
    assert rows(lake, sql) == [
        (before, "MESSENGER", 1, 2, 2, 2, 0, 400.0),
        (before, "VOICE", 2, 3, 2, 2, 0, 139.0),
        (after, "VOICE", 1, 1, 1, 0, 1, 60.0),
    ]


def test_what_each_agent_group_handled(lake: Lake) -> None:
    """The nearest to a queue that the metadata names; what belongs to no group is one of its own."""
    sql = """SELECT agent_group_id, channel_type, direction, day, conversations, segments, agents, answered, abandoned
        FROM agent_group_daily ORDER BY channel_type, day"""
    assert rows(lake, sql) == [
        (None, "MESSENGER", "INBOUND", date(2026, 8, 1), 1, 2, 1, 0, 0),
        (None, "VOICE", "INBOUND", date(2026, 8, 1), 2, 3, 2, 2, 1),
        (None, "VOICE", "INBOUND", date(2026, 8, 2), 1, 1, 1, 0, 0),
    ]


@pytest.mark.parametrize("view", ["turns", "conversations"])
def test_a_filter_by_day_comes_before_everything_else(lake: Lake, view: str) -> None:
    """A week of a year is read at the price of a week."""
    with lake.read() as con:
        plan = str(con.execute(f"EXPLAIN SELECT * FROM {view} WHERE day = DATE '2026-08-01'").fetchall())
    assert plan.index("WINDOW") < plan.index("2026-08-01")


@pytest.mark.parametrize("relation", list(relations()), ids=lambda relation: str(relation.name))
def test_the_dictionary_names_every_column_and_no_other(lake: Lake, relation: object) -> None:
    """In the order in which they come."""
    name, columns = relation.name, relation.columns  # type: ignore[attr-defined]
    assert lake.query(f"FROM {name} LIMIT 0").schema.names == [column.name for column in columns]
    assert all(column.description for column in columns)


def test_the_dictionary_in_the_repository_is_current() -> None:
    """`ringcx-etl dictionary > flows/DICTIONARY.md` writes it anew."""
    assert (Path(tables.__file__).parent / "DICTIONARY.md").read_text() == markdown() + "\n"


def test_a_views_comment_is_its_header(lake: Lake) -> None:
    """Readers of the catalog have no other."""
    found = rows(lake, "SELECT view_name, comment FROM duckdb_views() WHERE comment IS NOT NULL AND NOT internal")
    comments = {str(name): str(comment) for name, comment in found}
    assert comments.keys() >= view_bodies().keys()
    assert "Grain: one row per utterance" in comments["turns"]
