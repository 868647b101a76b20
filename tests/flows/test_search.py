"""Searching a small lake told here: which conversations are found, in which order, and what is shown of them."""

import csv
import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from flows.search.searching import Filters, search
from sinks.errors import QueryError
from sinks.lake import Lake
from tests.processes import clean_environment, run_cli
from tests.told import T0, commit, segment, told_lake

DAY = timedelta(days=1)
SEGMENTS = [
    segment("refund", "a", T0, 60, "ann"),
    segment("refund", "b", T0 + timedelta(seconds=60), 60, "bob", dialog_start_time=T0, agent_disposition="Solved"),
    segment("often", "a", T0 + DAY, 60, "ann", dialog_origination="OUTBOUND"),
    segment("chat", "a", T0 + 2 * DAY, 40 * 86400, "ann", channel_class="DIGITAL", channel_type="MESSENGER"),
    segment("quiet", "a", T0 + 3 * DAY, 60, None, transcript_state="absent"),
    segment("other", "a", T0 + 4 * DAY, 60, "bob", sub_account_id="2"),
]
SAID = {
    ("refund", "a"): [
        (1, "agent", "Ann", "Hello, this is Ann"),
        (5, "contact", "+1", "I want to CANCEL my order"),
        (9, "agent", "Ann", "One moment"),
    ],
    ("refund", "b"): [
        (1, "agent", "Bob", "Bob here"),
        (5, "contact", "+1", "and a refund"),
        (9, "agent", "Bob", "Of course"),
        (12, "contact", "+1", "Thank you"),
    ],
    ("often", "a"): [
        (1, "agent", "Ann", "A refund?"),
        (5, "contact", "+2", "refund, refund"),
        (9, "agent", "Ann", "Refund it is"),
    ],
    ("chat", "a"): [
        (1, "contact", "guest", "我要退款"),
        (39 * 86400, "agent", "Ann", "cancel your order, or order your cancel"),
    ],
    ("other", "a"): [(1, "contact", "+3", "unrefunded"), (2, "agent", "Bob", "CANCELLED my order")],
}


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lake]:
    """A lake that holds the conversations told above."""
    with told_lake(tmp_path_factory.mktemp("search")) as made:
        commit(made, SEGMENTS, SAID)
        yield made


def found(lake: Lake, text: str, filters: Filters = Filters(), **more: object) -> list[str]:  # noqa: B008 - frozen
    """The dialogs that a search finds, in order."""
    return [str(one.dialog["dialog_id"]) for one in search(lake, text, filters, **more).found]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "dialogs"),
    [
        ("refund", ["often", "refund"]),
        ("refund cancel", ["refund"]),
        ("refund AND cancel", ["refund"]),
        ("cancel* -refund", ["other", "chat"]),
        ('"cancel my order"', ["refund"]),
        ('"cancel* my"', ["refund"]),
        ("退款", ["chat"]),
        ("NOT refund", ["other", "chat"]),
        ("hello OR thank OR unrefunded", ["other", "refund"]),
        ("nowhere", []),
    ],
)
def test_a_conversation_is_found_by_all_that_was_said_in_it(lake: Lake, text: str, dialogs: list[str]) -> None:
    """By whomever and in whichever segment; a phrase within one utterance."""
    assert sorted(found(lake, text)) == sorted(dialogs)
    assert search(lake, text).total == len(dialogs)


def test_the_best_come_first_or_the_newest(lake: Lake) -> None:
    """Best is what says it more often for its length."""
    assert found(lake, "refund") == ["often", "refund"]
    assert found(lake, "cancel* OR refund", order="newest") == ["other", "chat", "often", "refund"]


@pytest.mark.parametrize(
    ("filters", "dialogs"),
    [
        (Filters(since=T0 + DAY), {"often", "chat", "other"}),
        (Filters(until=T0 + DAY), {"refund"}),
        (Filters(since=T0 + 2 * DAY, until=T0 + 3 * DAY), {"chat"}),
        (Filters(since=T0 + 90 * DAY), set()),
        (Filters(channel="DIGITAL"), {"chat"}),
        (Filters(channel="MESSENGER"), {"chat"}),
        (Filters(direction="OUTBOUND"), {"often"}),
        (Filters(agent="bob"), {"refund", "other"}),
        (Filters(sub_account="2"), {"other"}),
        (Filters(disposition="Solved"), {"refund"}),
        (Filters(agent="x' OR true --"), set()),
    ],
)
def test_filters_are_about_the_whole_conversation(lake: Lake, filters: Filters, dialogs: set[str]) -> None:
    """When it began, however long it went on; and any of its segments."""
    assert set(found(lake, "refund OR cancel*", filters)) == dialogs


def test_a_conversation_that_went_on_for_weeks_is_found_whole(lake: Lake) -> None:
    """Its transcript is kept under the day on which it ended, long after those that are asked for."""
    assert found(lake, "cancel", Filters(since=T0 + 2 * DAY, until=T0 + 3 * DAY)) == ["chat"]
    assert [turn.turn for turn in search(lake, "cancel 退款").found[0].turns] == [1, 2]


def test_what_was_found_is_shown_with_a_turn_before_and_after(lake: Lake) -> None:
    """Turns are numbered through the whole conversation, as in the view `turns`."""
    one = search(lake, "refund AND cancel").found[0]
    assert [(turn.turn, turn.is_hit) for turn in one.turns] == [
        (1, False), (2, True), (3, False), (4, False), (5, True), (6, False),
    ]  # fmt: skip
    assert one.turns[1].pieces == [("I want to ", False), ("CANCEL", True), (" my order", False)]
    numbered = lake.query("SELECT turn, message FROM turns WHERE dialog_id = 'refund' ORDER BY turn").to_pylist()
    shown = [{"turn": turn.turn, "message": turn.message} for turn in one.turns]
    assert shown == numbered[:6]


def test_pages_fit_together_while_the_lake_is_loaded(tmp_path: Path) -> None:
    """The next page is one of the state that the first was of; without it a new hit would push one onto both."""
    with told_lake(tmp_path) as lake:
        names = [f"d{n}" for n in range(6)]
        for name in names:
            commit(lake, [segment(name, "a", T0, 9, "ann")], {(name, "a"): [(1, "agent", "Ann", "refund")]})
        first = search(lake, "refund", limit=3)
        new = segment("new", "a", T0 + DAY, 9, "ann")
        commit(lake, [new], {("new", "a"): [(1, "agent", "Ann", "refund refund")]})
        assert found(lake, "refund", limit=1) == ["new"]
        second = search(lake, "refund", limit=3, offset=3, snapshot=first.snapshot)
        assert [one.dialog["dialog_id"] for one in (*first.found, *second.found)] == names
        assert search(lake, "refund", snapshot=999_999).total == 7


def test_sql_finds_the_same_with_the_same_scores(lake: Lake) -> None:
    """For whoever reads the lake with DuckDB alone."""
    page = search(lake, "refund AND cancel*")
    rows = lake.query("FROM search(['refund', 'cancel*'])").to_pylist()
    assert [(row["dialog_id"], round(row["score"], 9)) for row in rows] == [
        (one.dialog["dialog_id"], round(one.score, 9)) for one in page.found
    ]
    assert rows[0]["first_hit"] == "I want to CANCEL my order"
    turns = lake.query("SELECT dialog_id, speaker FROM search_turns('退款')").to_pylist()
    assert turns == [{"dialog_id": "chat", "speaker": "contact"}]
    assert lake.query("FROM search_turns('!')").num_rows == 0


def test_sql_says_when_there_are_too_many_words(lake: Lake) -> None:
    """Leaving some out in silence would be worse."""
    with pytest.raises(QueryError, match="8 words at most"):
        lake.query("FROM search(['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i'])")


def test_a_stored_macro_is_no_way_round_what_queries_may_do(lake: Lake) -> None:
    """One is called by name, so its name must be nobody else's, and what it is given is looked at too."""
    for sql in (
        "FROM search(read_text('/etc/hosts'))",
        "FROM search((FROM read_text('/etc/hosts')))",
        "FROM searches(1)",
    ):
        with pytest.raises(QueryError):
            lake.query(sql)


def test_the_command_finds_and_shows(lake: Lake, tmp_path: Path) -> None:
    """For people; and what is wrong with a search is said, with the exit code for misuse."""
    lines = run_cli("search", "refund AND cancel", env=of(lake), cwd=tmp_path).stdout.splitlines()
    assert lines[0] == "1 conversation"
    assert lines[2].startswith("refund  2026-08-01 09:00  VOICE INBOUND")
    assert lines[4].split() == ["2", "+1", "I", "want", "to", "CANCEL", "my", "order"]
    wrong = run_cli("search", "refund AND", env=of(lake), cwd=tmp_path)
    assert (wrong.returncode, wrong.stdout) == (2, "")
    assert "ends too early" in wrong.stderr


def test_the_command_speaks_json_and_csv(lake: Lake, tmp_path: Path) -> None:
    """An object per conversation, or a row per turn."""
    options = ("--since", "2026-08-02", "--until", "2026-08-03", "--agent", "ann", "--channel", "voice")
    told = json.loads(run_cli("search", "refund", *options, "--format", "json", env=of(lake), cwd=tmp_path).stdout)
    assert told["total"] == 1
    assert [turn["is_hit"] for turn in told["found"][0]["turns"]] == [True, True, True]
    rows = list(
        csv.DictReader(run_cli("search", "退款", "--format", "csv", env=of(lake), cwd=tmp_path).stdout.splitlines())
    )
    assert {name: rows[0][name] for name in ("dialog_id", "turn", "is_hit", "message")} == {
        "dialog_id": "chat", "turn": "1", "is_hit": "true", "message": "我要退款",
    }  # fmt: skip
    assert datetime.fromisoformat(rows[0]["spoken_at"]) == T0 + 2 * DAY + timedelta(seconds=1)


def of(lake: Lake) -> dict[str, str]:
    """An environment that points at the lake."""
    return clean_environment() | {"RINGCX_LAKE": str(Path(lake.location.catalog).parent)}
