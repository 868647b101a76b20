"""What changed since a snapshot: net, exact, also across maintenance."""

import random
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest

from sinks import Append, Lake, QueryError, SnapshotGone, Upsert
from sinks.feed import changes
from sinks.maintenance import maintain
from tests.sinks.tables import JAN, MAY, SEGMENTS, UTTERANCES, segments, utterances

State = dict[str, Counter[tuple[object, ...]]]


def step(lake: Lake, rng: random.Random) -> None:
    """Something that happens to a lake: a commit, a deletion, a night's maintenance."""
    ids = [rng.choice("abc"), rng.choice("def")]
    what = rng.random()
    if what < 0.45:
        rows = segments(*ids, state=rng.choice("pqr"), at=rng.choice([JAN, MAY]))
        lake.commit([Upsert(SEGMENTS, rows), Append(UTTERANCES, utterances(ids[0]))])
    elif what < 0.7:
        with lake.exclusive() as con:
            con.execute(f"DELETE FROM {rng.choice(['segments', 'utterances'])} WHERE id = '{ids[0]}'")
    else:
        maintain(lake)


def contents(lake: Lake) -> tuple[int, State]:
    """The newest snapshot and every table's rows."""
    with lake.read() as con:
        row = con.execute("FROM lake.current_snapshot()").fetchone()
        return row[0] if row else 0, {name: Counter(con.execute(f"FROM {name}").fetchall()) for name in lake.tables}


def applied(before: Counter[tuple[object, ...]], rows: list[tuple[object, ...]]) -> Counter[tuple[object, ...]]:
    """What a loader has who does as the changes say; fails where they do not fit what it has."""
    have = before.copy()
    for kind, _, *row in rows:
        if kind == "insert":
            have[tuple(row)] += 1
            continue
        old = [it for it in have if it[0] == row[0]] if kind == "update" else [tuple(row)]
        assert [have[it] > 0 for it in old] == [True], (kind, row)
        assert kind == "delete" or old != [tuple(row)]
        have[old[0]] -= 1
        have += Counter({tuple(row): int(kind == "update")})
    return +have


def check_all_changes(lake: Lake, seed: int, steps: int) -> None:
    """Let things happen, then follow the changes from every moment to the present."""
    rng, states = random.Random(seed), dict([contents(lake)])
    for _ in range(steps):
        step(lake, rng)
        now, state = contents(lake)
        states[now] = state
    for since, before in states.items():
        for name in lake.tables:
            found = changes(lake, name, since)
            assert found.until == now
            rows = list(zip(*(column.to_pylist() for column in found.rows.columns), strict=True))
            assert applied(before[name], rows) == states[now][name], (name, since)


def test_the_changes_since_any_snapshot_lead_to_the_present(lake: Lake) -> None:
    """Compaction rewrites and moves rows, and DuckLake's own feed then shows changes that were none, and some twice."""
    check_all_changes(lake, 1, 9)


def test_a_change_names_its_kind_and_the_snapshot_that_brought_it(lake: Lake) -> None:
    """Also of a row that a later maintenance has written anew."""
    lake.commit([Upsert(SEGMENTS, segments("a", "b", "c"))])
    begin = contents(lake)[0]
    lake.commit([Upsert(SEGMENTS, segments("a", state="stored"))])
    lake.commit([Upsert(SEGMENTS, segments("d"))])
    with lake.exclusive() as con:
        con.execute("DELETE FROM segments WHERE id = 'b'")
    maintain(lake)
    found = changes(lake, "segments", begin).rows.select(["change_type", "snapshot_id", "id"])
    rows = [tuple(row.values()) for row in found.to_pylist()]
    assert rows == [("delete", None, "b"), ("update", begin + 1, "a"), ("insert", begin + 2, "d")]


def test_a_row_that_changes_after_a_maintenance_is_told_once(lake: Lake) -> None:
    """DuckLake's own feed shows it as deleted by the maintenance, and what that wrote anew twice."""
    lake.commit([Upsert(SEGMENTS, segments("a", "b", "c"))])
    begin = contents(lake)[0] - 1
    lake.commit([Upsert(SEGMENTS, segments("b", state="stored"))])
    lake.commit([Upsert(SEGMENTS, segments("c", state="stored"))])
    maintain(lake)
    lake.commit([Upsert(SEGMENTS, segments("a", state="stored"))])
    found = changes(lake, "segments", begin).rows.select(["change_type", "id", "state"])
    rows = sorted(tuple(row.values()) for row in found.to_pylist())
    assert rows == [("insert", name, "stored") for name in "abc"]


def test_nothing_new_is_no_row_and_the_same_snapshot(lake: Lake) -> None:
    """A loader in a loop asks more often than anything changes."""
    lake.commit([Upsert(SEGMENTS, segments("a"))])
    now = contents(lake)[0]
    found = changes(lake, "segments", now)
    assert (found.rows.num_rows, found.since, found.until) == (0, now, now)


def test_since_may_be_a_time(lake: Lake) -> None:
    """Then it is the last snapshot by that time; before the very first, everything."""
    lake.commit([Upsert(SEGMENTS, segments("a"))])
    with lake.read() as con:
        row = con.execute("SELECT max(snapshot_time) FROM lake.snapshots()").fetchone()
    then = row[0] if row else datetime.now(UTC)
    lake.commit([Upsert(SEGMENTS, segments("b"))])
    assert changes(lake, "segments", then).rows.column("id").to_pylist() == ["b"]
    assert changes(lake, "segments", then - timedelta(days=9)).rows.num_rows == 2


def test_what_has_expired_says_to_load_the_whole_table(lake: Lake) -> None:
    """A gap that nobody is told of would be rows lost for good."""
    for name in "abc":
        lake.commit([Upsert(SEGMENTS, segments(name))])
    now = contents(lake)[0]
    with lake.exclusive() as con:
        con.execute(f"CALL ducklake_expire_snapshots('lake', versions => {list(range(now - 1))})")
    for since in (now - 2, datetime(2020, 1, 1, tzinfo=UTC)):
        with pytest.raises(SnapshotGone, match="load the whole table again"):
            changes(lake, "segments", since)
    assert changes(lake, "segments", now - 1).rows.num_rows == 1


def test_a_snapshot_that_never_was_and_a_table_that_is_none_are_refused(lake: Lake) -> None:
    """The former is most likely another lake's: going on from it would skip what is here."""
    with pytest.raises(SnapshotGone, match="another lake"):
        changes(lake, "segments", 999)
    with pytest.raises(QueryError, match="segments, utterances"):
        changes(lake, "nowhere", 0)
