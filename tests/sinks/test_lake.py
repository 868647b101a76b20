"""What a commit does to the tables."""

import threading
from collections.abc import Iterator, Mapping

import pyarrow as pa
import pytest

from sinks import Append, Change, ChangeError, Lake, LakeError, Location, Table, Upsert, Written, field
from sinks.lake import RENEW_AFTER
from tests.sinks.tables import JAN, MAY, ODD, SEGMENTS, UTTERANCES, segments, some, utterances


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lake]:
    """One lake for all tests here: opening one takes longer than most of them."""
    with Lake(Location.parse(str(tmp_path_factory.mktemp("shared"))), [SEGMENTS, UTTERANCES]) as lake:
        lake.create()
        yield lake


@pytest.fixture
def lake(shared: Lake) -> Lake:
    """The shared lake, emptied."""
    with shared.exclusive() as con:
        con.execute("DELETE FROM segments")
        con.execute("DELETE FROM utterances")
    return shared


def states(lake: Lake) -> dict[str, str]:
    """Segment -> state; fails if a key is stored twice."""
    rows = lake.query("SELECT id, state FROM segments").to_pylist()
    assert len({row["id"] for row in rows}) == len(rows)
    return {row["id"]: row["state"] for row in rows}


def snapshots(lake: Lake) -> int:
    return lake.query("FROM lake.snapshots()").num_rows


def test_new_keys_are_inserted_and_known_keys_updated(lake: Lake) -> None:
    """The whole point: one row a key, as last seen."""
    lake.commit([Upsert(SEGMENTS, segments("a", "b"))])
    written = lake.commit([Upsert(SEGMENTS, segments("b", "c", state="stored"))])
    assert written == {"segments": Written(inserted=1, updated=1)}
    assert states(lake) == {"a": "pending", "b": "stored", "c": "stored"}


def test_the_same_upsert_again_leaves_no_trace(lake: Lake) -> None:
    """Every window is read four times; a snapshot for each would bury the catalog."""
    changes: list[Change] = [
        Upsert(SEGMENTS, segments("a", "b")),
        Append(UTTERANCES, utterances("a", "b"), under=SEGMENTS),
    ]
    lake.commit(changes)
    before = snapshots(lake)
    assert lake.commit(changes) == {"segments": Written(unchanged=2), "utterances": Written(kept=4)}
    assert snapshots(lake) == before


def test_only_rows_that_differ_are_rewritten(lake: Lake) -> None:
    """A re-read window must not copy a thousand rows for the sake of one."""
    lake.commit([Upsert(SEGMENTS, segments("a", "b", "c"))])
    lake.commit([Upsert(SEGMENTS, pa.concat_tables([segments("a", "b"), segments("c", state="stored")]))])
    last = lake.query("SELECT max(snapshot_id) AS id FROM lake.snapshots()").to_pylist()[0]["id"]
    changed = lake.query(f"SELECT DISTINCT id FROM lake.table_changes('segments', {last}, {last})").to_pylist()
    assert changed == [{"id": "c"}]


@pytest.mark.parametrize("near", [None, "ended_at"])
@pytest.mark.parametrize(("before", "after"), [(JAN, MAY), (MAY, JAN), (None, JAN), (JAN, None)])
def test_a_key_whose_time_moved_is_still_one_row(lake: Lake, near: str | None, before: object, after: object) -> None:
    """A stored time outside the looked-at window once meant a second row (ducklake.md, trap 7)."""
    lake.commit([Upsert(SEGMENTS, segments("a", "b", at=before), near=near)])  # type: ignore[arg-type]  # parametrized
    written = lake.commit([Upsert(SEGMENTS, segments("a", "c", at=after), near=near)])  # type: ignore[arg-type]
    assert written["segments"] == Written(inserted=1, updated=1)
    assert lake.query("SELECT ended_at FROM segments WHERE id = 'a'").to_pylist() == [{"ended_at": after}]


def test_columns_not_given_keep_their_value(lake: Lake) -> None:
    """A retry knows the new state, not the metadata."""
    lake.commit([Upsert(SEGMENTS, segments("a", attempts=3))])
    lake.commit([Upsert(SEGMENTS, some([{"id": "a", "state": "empty"}], ["id", "state"]))])
    assert lake.query("SELECT state, attempts, metadata FROM segments").to_pylist() == [
        {"state": "empty", "attempts": 3, "metadata": '{"a":  1}'}
    ]


def test_update_may_combine_stored_and_incoming(lake: Lake) -> None:
    """Counters and first-seen times need both sides."""
    update = {"attempts": "t.attempts + s.attempts"}
    for _ in range(3):
        lake.commit([Upsert(SEGMENTS, segments("a", state="x", attempts=2), update=update)])
    lake.commit([Upsert(SEGMENTS, segments("a", state="y", attempts=0), update=update)])
    assert lake.query("SELECT state, attempts FROM segments").to_pylist() == [{"state": "x", "attempts": 6}]


def test_kept_rows_and_their_children_are_left_alone(lake: Lake) -> None:
    """Two processes that fetched the same transcript must store it once."""
    keep = "t.state = 'stored'"
    for ids in (["a"], ["a", "b"]):
        upsert = Upsert(SEGMENTS, segments(*ids, state="stored"), keep=keep, near="ended_at")
        written = lake.commit([Append(UTTERANCES, utterances(*ids), under=SEGMENTS), upsert])
    assert written == {"segments": Written(inserted=1, kept=1), "utterances": Written(inserted=2, kept=2)}
    assert lake.query("SELECT id, count(*) AS n FROM utterances GROUP BY id ORDER BY id").to_pylist() == [
        {"id": "a", "n": 2},
        {"id": "b", "n": 2},
    ]


def test_without_insert_unknown_keys_are_only_counted(lake: Lake) -> None:
    """An answer about a segment that was erased meanwhile must not bring it back."""
    lake.commit([Upsert(SEGMENTS, segments("a"))])
    changes: list[Change] = [
        Upsert(SEGMENTS, segments("a", "b", state="stored"), insert=False),
        Append(UTTERANCES, utterances("a", "b"), under=SEGMENTS),
    ]
    assert lake.commit(changes) == {
        "segments": Written(updated=1, missing=1),
        "utterances": Written(inserted=2, kept=2),
    }
    assert states(lake) == {"a": "stored"}


def test_a_table_may_change_twice_in_one_commit(lake: Lake) -> None:
    """A poll and the answers of older segments travel together; the second sees what the first did."""
    first, second = Upsert(SEGMENTS, segments("a", "b")), Upsert(SEGMENTS, segments("b", "c", state="stored"))
    written = lake.commit([first, second, Append(UTTERANCES, utterances("a", "c", "d"), under=SEGMENTS)])
    assert written == {"segments": Written(inserted=3, updated=1), "utterances": Written(inserted=4, kept=2)}
    assert states(lake) == {"a": "pending", "b": "stored", "c": "stored"}


def test_append_without_parent_appends_every_time(lake: Lake) -> None:
    """The log of runs has no key."""
    for _ in range(2):
        assert lake.commit([Append(UTTERANCES, utterances("a"))]) == {"utterances": Written(inserted=2)}
    assert lake.query("FROM utterances").num_rows == 4


def test_children_may_take_the_place_of_those_stored(lake: Lake) -> None:
    """A transcript fetched once more is the transcript; those of kept parents and of nobody asked for stay."""
    lake.commit([Upsert(SEGMENTS, segments("a", "b", "c")), Append(UTTERANCES, utterances("a", "b", "c", count=3))])
    written = lake.commit(
        [
            Upsert(SEGMENTS, segments("a", "b", state="stored"), keep="t.id = 'b'"),
            Append(UTTERANCES, utterances("a", "b", text="again"), under=SEGMENTS, replace=True),
        ]
    )
    assert written["utterances"] == Written(inserted=2, kept=2, removed=3)
    said = "SELECT id, text, count(*) AS n FROM utterances GROUP BY ALL ORDER BY ALL"
    assert [tuple(row.values()) for row in lake.query(said).to_pylist()] == [
        ("a", "again", 2),
        ("b", "hello", 3),
        ("c", "hello", 3),
    ]


def test_only_children_that_are_alike_give_way(lake: Lake) -> None:
    """What one engine heard takes nothing from what another heard of the same parent."""
    lake.commit([Upsert(SEGMENTS, segments("a")), *(Append(UTTERANCES, utterances("a", text=t)) for t in ("x", "y"))])
    again = Append(UTTERANCES, utterances("a", text="y", count=1), under=SEGMENTS, replace=True, alike=("text",))
    written = lake.commit([Upsert(SEGMENTS, segments("a", state="stored")), again])
    assert written["utterances"] == Written(inserted=1, removed=2)
    said = "SELECT text, count(*) AS n FROM utterances GROUP BY ALL ORDER BY ALL"
    assert [tuple(row.values()) for row in lake.query(said).to_pylist()] == [("x", 2), ("y", 1)]


WRONG: Mapping[str, Change] = {
    "one key twice": Upsert(SEGMENTS, segments("z", "z")),
    "no key": Upsert(SEGMENTS, some([{"id": None}], ["id"])),
    "key column missing": Upsert(SEGMENTS, some([{"state": "x"}], ["state"])),
    "undeclared column": Upsert(SEGMENTS, segments("z").append_column("colour", pa.array(["red"]))),
    "value that does not fit": Append(UTTERANCES, pa.table({"id": ["z"], "seq": ["not a number"]})),
    "invalid JSON": Upsert(SEGMENTS, segments("z").set_column(4, "metadata", pa.array(["{"]))),
    "unknown column in SQL": Upsert(SEGMENTS, segments("a"), update={"state": "s.nonsense"}),
    "SQL that fails on a row": Upsert(SEGMENTS, segments("a"), update={"attempts": "CAST(s.state AS INTEGER)"}),
    "update of a key": Upsert(SEGMENTS, segments("a"), update={"id": "'b'"}),
    "unknown near": Upsert(SEGMENTS, segments("a"), near="nonsense"),
    "upsert without a key": Upsert(UTTERANCES, utterances("z")),
    "append to a keyed table": Append(SEGMENTS, segments("z")),
    "child without the parent's key": Append(UTTERANCES, pa.table({"seq": pa.array([1], pa.int32())}), under=SEGMENTS),
    "replacing the children of nobody": Append(UTTERANCES, utterances("z"), replace=True),
    "alike in what is not there": Append(
        UTTERANCES, utterances("a"), under=SEGMENTS, replace=True, alike=("nonsense",)
    ),
    "undeclared table": Append(Table("other", UTTERANCES.schema), utterances("z")),
}


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG.keys())
def test_a_wrong_change_takes_the_whole_commit_back(lake: Lake, wrong: Change) -> None:
    """Half a commit would be rows without their progress, or progress without its rows."""
    lake.commit([Upsert(SEGMENTS, segments("a"))])
    before = snapshots(lake)
    with pytest.raises(ChangeError):
        lake.commit([Upsert(SEGMENTS, segments("new")), Append(UTTERANCES, utterances("new")), wrong])
    assert (states(lake), lake.query("FROM utterances").num_rows) == ({"a": "pending"}, 0)
    assert snapshots(lake) == before


def test_odd_text_comes_back_byte_for_byte(lake: Lake) -> None:
    """People paste anything into a chat; ids are theirs to choose too. NUL breaks DuckLake's own look-ups."""
    for near in (None, "ended_at"):
        lake.commit([Upsert(SEGMENTS, segments(*ODD), near=near), Append(UTTERANCES, utterances(*ODD), under=SEGMENTS)])
    texts = utterances("a", count=len(ODD)).set_column(2, "text", pa.array(ODD))
    lake.commit([Append(UTTERANCES, texts)])
    assert sorted(states(lake)) == sorted(ODD)
    assert lake.query("SELECT text FROM utterances WHERE id = 'a' ORDER BY seq").column("text").to_pylist() == ODD


def test_every_declared_type_round_trips(location: Location) -> None:
    """Arrow in and Arrow out are the same values."""
    types: list[pa.DataType] = [
        pa.string(),
        pa.bool_(),
        pa.int32(),
        pa.int64(),
        pa.float64(),
        pa.timestamp("us", tz="UTC"),
        pa.date32(),
        pa.json_(),
    ]
    table = Table("t", pa.schema([field(f"c{n}", type_, "a value") for n, type_ in enumerate(types)]))
    values = {
        "c0": "x",
        "c1": True,
        "c2": -(2**31),
        "c3": 2**63 - 1,
        "c4": 0.1,
        "c5": JAN,
        "c6": JAN.date(),
        "c7": '{"é": [1, null]}',
    }
    empty = dict.fromkeys(values)
    with Lake(location, [table]) as lake:
        lake.create()
        lake.commit([Append(table, pa.Table.from_pylist([values, empty], table.schema))])
        assert lake.query("FROM t ORDER BY c0").to_pylist() == [values, empty]


def test_a_reader_sees_one_state_for_its_whole_block(lake: Lake) -> None:
    """A report that reads two tables must not count segments whose utterances it cannot see."""
    lake.commit([Upsert(SEGMENTS, segments("a"))])
    with lake.read() as con:
        before = con.execute("SELECT count(*) FROM segments").fetchone()
        lake.commit([Upsert(SEGMENTS, segments("b")), Append(UTTERANCES, utterances("b"))])
        assert con.execute("SELECT count(*) FROM segments").fetchone() == before
        assert con.execute("SELECT count(*) FROM utterances").fetchone() == (0,)
    assert lake.query("FROM utterances").num_rows == 2


def test_reading_speaks_utc(lake: Lake) -> None:
    """A machine's own time zone must not decide on which day a call was."""
    assert lake.query("SELECT current_setting('TimeZone') AS zone").to_pylist() == [{"zone": "UTC"}]


def test_threads_may_commit_at_once(lake: Lake) -> None:
    """Prefect runs tasks in threads that share one lake."""
    update = {"attempts": "t.attempts + 1"}
    commit = [Upsert(SEGMENTS, segments("a", "b", attempts=1), update=update)]
    threads = [threading.Thread(target=lake.commit, args=(commit,)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert lake.query("SELECT id, attempts FROM segments ORDER BY id").to_pylist() == [
        {"id": "a", "attempts": 8},
        {"id": "b", "attempts": 8},
    ]


def test_an_interrupted_block_rolls_back_and_the_lake_works_on(lake: Lake) -> None:
    """Ctrl-C may come anywhere, also between two statements."""

    def interrupted() -> None:
        with lake.exclusive() as con:
            con.execute("BEGIN")
            con.execute("INSERT INTO segments (id) VALUES ('half')")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    lake.commit([Upsert(SEGMENTS, segments("a"))])
    assert states(lake) == {"a": "pending"}


def test_a_closed_lake_opens_again(lake: Lake) -> None:
    """Closing frees what is held; it does not end the object's life."""
    lake.commit([Upsert(SEGMENTS, segments("a"))])
    lake.close()
    lake.commit([Upsert(SEGMENTS, segments("b"))])
    assert sorted(states(lake)) == ["a", "b"]


def test_the_message_is_kept_with_the_snapshot(lake: Lake) -> None:
    """It tells who reads the history which run wrote what."""
    lake.commit([Upsert(SEGMENTS, segments("a"))], message="run 7; it's fine")
    last = lake.query("SELECT commit_message FROM lake.snapshots() ORDER BY snapshot_id DESC LIMIT 1")
    assert last.to_pylist() == [{"commit_message": "run 7; it's fine"}]


def test_a_key_stored_twice_is_reported_not_spread(lake: Lake) -> None:
    """Another tool may have written without us; updating both would hide it."""
    with lake.exclusive() as con:
        con.execute("INSERT INTO segments (id) VALUES ('a'), ('a')")
    with pytest.raises(LakeError, match="stored more than once"):
        lake.commit([Upsert(SEGMENTS, segments("a"))])


def test_a_read_goes_on_while_connections_are_renewed(lake: Lake) -> None:
    """They are, now and then, so that a program that runs for months does not grow; nobody may notice."""
    lake.commit([Upsert(SEGMENTS, segments("a"))])
    with lake.read() as con:
        before = con.execute("FROM segments").fetchall()
        lake.commit([Upsert(SEGMENTS, segments("b"))])
        counts = {lake.query("SELECT count(*) AS n FROM segments").to_pylist()[0]["n"] for _ in range(RENEW_AFTER + 1)}
        assert con.execute("FROM segments").fetchall() == before
    assert counts == {2}
