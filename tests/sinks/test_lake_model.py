"""Any series of commits leaves what the same series leaves in a dict."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import count

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sinks import Append, Lake, Upsert, Written
from tests.sinks.tables import SEGMENTS, UTTERANCES, some, utterances

Row = Mapping[str, object]
COLUMNS = ["id", "ended_at", "state", "attempts"]
TIMES = [None, *(dt.datetime(2026, month, 28, 23, 59, tzinfo=dt.UTC) for month in (1, 2, 3, 9))]
ROW = st.fixed_dictionaries(
    {
        "id": st.sampled_from("abcdef"),
        "ended_at": st.sampled_from(TIMES),
        "state": st.sampled_from(["pending", "stored", None]),
        "attempts": st.integers(0, 2),
    }
)


@dataclass(frozen=True)
class Step:
    """One commit: an upsert and its children."""

    rows: list[Row]
    columns: list[str]
    adds_attempts: bool
    insert: bool
    keeps_stored: bool
    near: bool
    replaces: bool


STEP = st.builds(
    Step,
    rows=st.lists(ROW, max_size=5, unique_by=lambda row: str(row["id"])),
    columns=st.sampled_from([COLUMNS, ["id", "state"], ["id", "ended_at", "attempts"]]),
    adds_attempts=st.booleans(),
    insert=st.booleans(),
    keeps_stored=st.booleans(),
    near=st.booleans(),
    replaces=st.booleans(),
)


@dataclass
class Model:
    """The contract in its plainest form."""

    rows: dict[object, dict[str, object]] = field(default_factory=dict)
    children: dict[object, int] = field(default_factory=dict)

    def apply(self, step: Step, counts_attempts: bool) -> Written:
        fates = []
        for incoming in step.rows:
            stored = self.rows.get(incoming["id"])
            given = {name: incoming[name] for name in step.columns}
            if stored is None:
                fate = "inserted" if step.insert else "missing"
                new: dict[str, object] = {**dict.fromkeys(COLUMNS), **given}
            else:
                if counts_attempts:
                    given = {"attempts": int(str(stored["attempts"] or 0)) + int(str(incoming["attempts"]))}
                new = {**stored, **given}
                fate = "unchanged" if new == stored else "updated"
                if step.keeps_stored and stored["state"] == "stored":
                    fate = "kept"
            fates.append(fate)
            if fate in {"inserted", "updated"}:
                self.rows[incoming["id"]] = new
                self.children[incoming["id"]] = (0 if step.replaces else self.children.get(incoming["id"], 0)) + 1
        return Written(**{fate: fates.count(fate) for fate in fates})


@pytest.fixture(scope="module")
def prefixes() -> "count[int]":
    """Every example gets keys of its own in one shared lake: making a lake is the slow part."""
    return count()


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(STEP, min_size=2, max_size=4))
def test_commits_match_the_model(lake: Lake, prefixes: "count[int]", steps: list[Step]) -> None:
    """Moved times, partial rows, kept and missing keys, in any order and with or without `near`."""
    prefix, model = f"{next(prefixes)}/", Model()
    for step in steps:
        counts_attempts = step.adds_attempts and "attempts" in step.columns
        rows = some([{**row, "id": prefix + str(row["id"])} for row in step.rows], step.columns)
        upsert = Upsert(
            SEGMENTS,
            rows,
            update={"attempts": "coalesce(t.attempts, 0) + s.attempts"} if counts_attempts else None,
            insert=step.insert,
            keep="t.state = 'stored'" if step.keeps_stored else None,
            near="ended_at" if step.near and "ended_at" in step.columns else None,
        )
        children: pa.Table = utterances(*(prefix + str(row["id"]) for row in step.rows), count=1)
        written = lake.commit([upsert, Append(UTTERANCES, children, under=SEGMENTS, replace=step.replaces)])
        assert written["segments"] == model.apply(step, counts_attempts)
    stored = lake.query("SELECT id, ended_at, state, attempts FROM segments WHERE starts_with(id, ?)", [prefix])
    assert sorted(stored.to_pylist(), key=str) == sorted(
        ({**r, "id": f"{prefix}{r['id']}"} for r in model.rows.values()), key=str
    )
    found = lake.query("SELECT id, count(*) AS n FROM utterances WHERE starts_with(id, ?) GROUP BY id", [prefix])
    assert {row["id"]: row["n"] for row in found.to_pylist()} == {f"{prefix}{i}": n for i, n in model.children.items()}
