"""What questions cost: of the utterances, only the files in which an answer can be, though ids tell nothing of time."""

import json
from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any

import pytest

from flows.search.searching import Filters, ranking_sql
from flows.search.terms import parse
from sinks.lake import Lake
from tests.told import T0, commit, segment, told_lake

MONTH = timedelta(days=31)
IDS = ("a", "m", "z")  # of each month's dialogs: between the first and the last of one are those of the others


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lake]:
    """Three months, three dialogs in each, each month in a file of its own."""
    with told_lake(tmp_path_factory.mktemp("months")) as made:
        for number in range(3):
            segments = [segment(f"{name}{number}", "s", T0 + number * MONTH, 60, "ann") for name in IDS]
            said = [(float(second), "agent", "ann", "refund") for second in range(20)]
            commit(made, segments, {(f"{name}{number}", "s"): said for name in IDS})
        yield made


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM turns WHERE dialog_id = 'm1'",
        "SELECT * FROM spoken WHERE dialog_id = 'm1'",
        "SELECT * FROM conversations WHERE dialog_id = 'm1'",
        "SELECT * FROM turns WHERE day = DATE '2026-09-01'",
        "SELECT * FROM conversations WHERE day = DATE '2026-09-01'",
        "SELECT * FROM agent_daily WHERE day = DATE '2026-09-01'",
        "SELECT * FROM spoken WHERE segment_day = DATE '2026-09-01'",
        "SELECT * FROM best_utterances WHERE segment_day = DATE '2026-09-01'",
        "SELECT * FROM search_turns('refund') WHERE segment_day = DATE '2026-09-01'",
    ],
)
def test_of_one_dialog_or_day_one_file_is_read(sql: str, lake: Lake) -> None:
    """Of three."""
    answers, files = asked(lake, sql)
    assert answers
    assert files == 1


def test_a_search_within_days_reads_their_files(lake: Lake) -> None:
    """Those two days around them included, since a segment's end may have moved."""
    sql = ranking_sql(parse("refund"), Filters(), (date(2026, 8, 30), date(2026, 9, 3)))
    assert asked(lake, sql)[1] == 1


def asked(lake: Lake, sql: str) -> tuple[int, int]:
    """How many rows a question gives, and how many files of utterances it reads."""
    with lake.read() as con:
        rows = con.execute(sql).fetchall()
        plan = json.loads(con.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {sql}").fetchall()[0][1])
    return len(rows), sum(int(info["Total Files Read"]) for info in scans(plan) if info.get("Table") == "utterances")


def scans(plan: dict[str, Any]) -> Iterator[dict[str, str]]:
    """What the nodes of a plan say of themselves."""
    yield plan.get("extra_info", {})
    for child in plan["children"]:
        yield from scans(child)
