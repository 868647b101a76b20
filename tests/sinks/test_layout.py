"""Making a lake, and bringing an old one up to date."""

from pathlib import Path

import pyarrow as pa
import pytest

from sinks import Lake, LakeError, LakeTooNew, LakeUnavailable, Location, Table, Upsert, field
from sinks.schema import with_default
from tests.sinks.tables import SEGMENTS, UTTERANCES, segments


def test_creating_again_writes_nothing(lake: Lake, location: Location) -> None:
    """Every start creates; a snapshot each would be noise."""
    before = lake.query("FROM lake.snapshots()").num_rows
    with Lake(location, [SEGMENTS, UTTERANCES]) as again:
        again.create()
    assert lake.query("FROM lake.snapshots()").num_rows == before


def test_a_new_column_is_added_and_old_rows_lack_it(lake: Lake, location: Location) -> None:
    """A release that keeps one more field must not need a new lake; readers that were open see it."""
    lake.commit([Upsert(SEGMENTS, segments("a"))])
    colour = field("colour", pa.string(), "new in this release", nullable=False)
    wider = Table("segments", SEGMENTS.schema.append(colour), SEGMENTS.key, SEGMENTS.partition_by)
    with Lake(location, [wider, UTTERANCES], version=2) as newer:
        newer.create()
        newer.commit([Upsert(wider, segments("b").append_column("colour", pa.array(["red"])))])
    assert lake.query("SELECT id, colour FROM segments ORDER BY id").to_pylist() == [
        {"id": "a", "colour": None},
        {"id": "b", "colour": "red"},
    ]


def test_old_rows_have_the_default_of_a_new_column(lake: Lake, location: Location) -> None:
    """Also after their files were merged and deleted from; and so have the rows of an old release that still writes."""
    lake.commit([Upsert(SEGMENTS, segments("a", "b"))])
    colour = with_default(field("colour", pa.string(), "new in this release"), "it's red")
    wider = Table("segments", SEGMENTS.schema.append(colour), SEGMENTS.key, SEGMENTS.partition_by)
    with Lake(location, [wider, UTTERANCES], version=1) as newer:
        newer.create()
        newer.commit([Upsert(wider, segments("c").append_column("colour", pa.array(["green"])))])
        newer.commit([Upsert(wider, segments("a", state="stored"))])
        newer.commit([Upsert(wider, segments("d"))])
        with newer.exclusive() as con:
            con.execute("CALL ducklake_rewrite_data_files('lake', delete_threshold => 0.0)")
            con.execute("CALL ducklake_merge_adjacent_files('lake')")
        rows = newer.query("SELECT id, colour FROM segments ORDER BY id").to_pylist()
    assert [row["colour"] for row in rows] == ["it's red", "it's red", "green", "it's red"]


def test_tables_that_never_held_a_row_have_statistics(lake: Lake, location: Location) -> None:
    """Or every query that names them looks for them column by column; what is stored later is counted from nothing."""
    with lake.read() as con:
        assert con.execute("SELECT DISTINCT record_count FROM lake_catalog.ducklake_table_stats").fetchall() == [(0,)]
    lake.commit([Upsert(SEGMENTS, segments("a", "c"))])
    lake.commit([Upsert(SEGMENTS, segments("b"))])
    sql = """
        SELECT record_count, min_value, max_value FROM lake_catalog.ducklake_table_stats
        JOIN lake_catalog.ducklake_table_column_stats USING (table_id)
        JOIN lake_catalog.ducklake_column USING (table_id, column_id) WHERE column_name = 'id' AND record_count > 0
    """
    with lake.read() as con:
        assert con.execute(sql).fetchall() == [(3, "a", "c")]
    with Lake(location, [SEGMENTS, UTTERANCES]) as again:
        assert again.query("SELECT id FROM segments WHERE id IS NOT NULL AND id > 'a' ORDER BY id").num_rows == 2


def test_a_view_is_replaced_when_its_text_changes(location: Location) -> None:
    """Views are part of the release; they see the tables by bare names under any alias."""
    for number in (1, 2):
        with Lake(location, [SEGMENTS], {"v": f"SELECT {number} AS n FROM segments"}) as lake:
            lake.create()
            lake.commit([Upsert(SEGMENTS, segments("a"))])
            assert lake.query("FROM v").to_pylist() == [{"n": number}]


def test_a_macro_is_stored_replaced_and_called_by_queries(location: Location) -> None:
    """As views are: for whoever reads the lake, under any alias, and it may call another."""
    for number in (1, 2):
        macros = {
            "plus": f"(n) AS (n + {number})",
            "above": "(least) AS TABLE SELECT id FROM segments WHERE plus(1) > least",
        }
        with Lake(location, [SEGMENTS], macros=macros) as lake:
            lake.create()
            lake.commit([Upsert(SEGMENTS, segments("a"))])
            assert lake.query("FROM above(2)").num_rows == number - 1


def test_a_newer_lake_is_not_written(lake: Lake, location: Location) -> None:
    """An old worker that is still running must not write what a newer release has redefined."""
    with Lake(location, [SEGMENTS, UTTERANCES], version=2) as newer:
        newer.create()
    with Lake(location, [SEGMENTS, UTTERANCES]) as old:
        with pytest.raises(LakeTooNew, match="upgrade"):
            old.create()
        with pytest.raises(LakeTooNew):
            old.commit([Upsert(SEGMENTS, segments("a"))])
        assert old.query("FROM segments").num_rows == 0


def test_what_a_later_release_added_stays_as_it_is(lake: Lake, location: Location) -> None:
    """A column and a view that this one does not know are no reason to stop, nor to lose them."""
    wider = Table("segments", SEGMENTS.schema.append(field("mood", pa.string(), "new")), SEGMENTS.key)
    with Lake(location, [wider], {"moods": "SELECT mood FROM segments"}) as later:
        later.create()
        later.commit([Upsert(wider, segments("a").append_column("mood", pa.array(["calm"])))])
    lake.create()
    lake.commit([Upsert(SEGMENTS, segments("a", "b", state="stored"))])
    assert lake.query("SELECT mood FROM moods ORDER BY mood").column("mood").to_pylist() == ["calm", None]


def test_a_changed_type_is_refused_whole(lake: Lake, location: Location) -> None:
    """There is no safe cast to guess; nothing of the new layout may be half there."""
    changed = Table("segments", pa.schema([field("id", pa.int64(), "a number now", nullable=False)]), ("id",))
    with (
        Lake(location, [Table("extra", UTTERANCES.schema), changed]) as other,
        pytest.raises(LakeError, match="BIGINT"),
    ):
        other.create()
    assert "extra" not in lake.query("SHOW TABLES").column("name").to_pylist()


def test_columns_carry_their_description_and_unit(lake: Lake) -> None:
    """Whoever opens the lake with another tool finds the documentation in it."""
    sql = "SELECT comment FROM duckdb_columns() WHERE table_name = 'segments' AND column_name = 'attempts'"
    assert lake.query(sql).to_pylist() == [{"comment": "how often it was asked for [1]"}]


def test_a_missing_lake_is_said_to_be_missing(location: Location) -> None:
    """A wrong path must not silently become an empty lake (ducklake.md, trap 12)."""
    lake = Lake(location, [SEGMENTS])
    with pytest.raises(LakeUnavailable, match="there is no lake at"):
        lake.query("SELECT 1")
    with pytest.raises(LakeUnavailable, match="there is no lake at"):
        lake.commit([Upsert(SEGMENTS, segments("a"))])
    assert not Path(location.catalog).parent.exists()


@pytest.mark.parametrize(
    "declaration",
    [
        {"key": ("nonsense",)},
        {"partition_by": ("year(nonsense)",)},
        {"sort_by": ("nonsense",)},
        {"schema": pa.schema([field("id", pa.string(), "x"), field("id", pa.string(), "x")])},
        {"schema": pa.schema([field("id", pa.string(), "")])},
        {"schema": pa.schema([field("id", pa.timestamp("ns", tz="UTC"), "x")])},
        {"schema": pa.schema([field("id", pa.timestamp("ms"), "x")])},
    ],
)
def test_a_declaration_that_cannot_work_fails_at_once(declaration: dict[str, object]) -> None:
    """At import, not in the first commit at night."""
    with pytest.raises(ValueError, match=r"table t|no stored type"):
        Table(**{"name": "t", "schema": SEGMENTS.schema, **declaration})  # type: ignore[arg-type]  # wrong on purpose
