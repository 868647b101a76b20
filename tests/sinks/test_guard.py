"""`query` is open to anybody's SQL: what it answers and what it refuses."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from sinks import Append, Lake, Location, QueryError, Upsert
from tests.sinks.tables import SEGMENTS, UTTERANCES, segments, utterances


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lake]:
    """One lake for all: a query changes nothing, or the last test here finds out."""
    folder = tmp_path_factory.mktemp("lake")
    with Lake(Location.parse(str(folder)), [SEGMENTS, UTTERANCES], {"pending": "FROM segments"}) as lake:
        lake.create()
        lake.commit([Upsert(SEGMENTS, segments("a", "b")), Append(UTTERANCES, utterances("a"))])
        yield lake


@pytest.mark.parametrize(
    ("sql", "rows"),
    [
        ("FROM segments", 2),
        ("SELECT * FROM pending JOIN utterances USING (id)", 2),
        ("WITH n AS (SELECT 1) SELECT * FROM n, range(3)", 3),
        ("DESCRIBE segments", 5),
        ("SHOW TABLES", 4),
        ("SUMMARIZE segments", 5),
        ("EXPLAIN SELECT 1", 1),
        ("EXPLAIN ANALYZE FROM segments", 1),
        ("PIVOT segments ON state IN ('pending') USING count(*) GROUP BY id", 2),
        ("FROM lake.snapshots()", 3),
        ("SELECT * FROM segments AT (VERSION => 1)", 0),
        ("SELECT key FROM segments, json_each(metadata)", 2),
        ("SELECT 1;", 1),
    ],
)
def test_reading_in_all_its_forms_works(lake: Lake, sql: str, rows: int) -> None:
    """An analyst's usual statements."""
    assert lake.query(sql).num_rows == rows


def test_parameters_are_values_not_sql(lake: Lake) -> None:
    """So that nobody has to quote."""
    assert lake.query("SELECT id FROM segments WHERE id = ?", ["a"]).num_rows == 1
    assert lake.query("SELECT id FROM segments WHERE id = $id", {"id": "' OR true --"}).num_rows == 0


REFUSED = [
    "INSERT INTO segments (id) VALUES ('x')",
    "DELETE FROM segments",
    "DROP TABLE segments",
    "CREATE TEMP TABLE x AS SELECT 1",
    "ATTACH '{catalog}' AS c (TYPE sqlite)",
    "ATTACH '{outside}' AS c",
    "DETACH lake",
    "USE memory",
    "SET threads = 1",
    "INSTALL httpfs",
    "LOAD httpfs",
    "COPY (SELECT 1) TO '{inside}'",
    "COPY (SELECT 1) TO '{outside}'",
    "EXPLAIN ANALYZE COPY (SELECT 1) TO '{inside}'",
    "EXPLAIN (ANALYZE) COPY (SELECT 1) TO '{inside}'",
    "EXPORT DATABASE '{outside}'",
    "SELECT 1; DELETE FROM segments",
    "CALL lake.set_option('parquet_compression', 'snappy')",
    "FROM ducklake_cleanup_old_files('lake', cleanup_all => true)",
    "FROM ducklake_expire_snapshots('lake', older_than => now())",
    "CHECKPOINT",
    "PRAGMA enable_profiling",
    "PRAGMA import_database('{outside}')",
    "FROM '{secret}'",
    "FROM read_text('{secret}')",
    "DESCRIBE FROM read_csv('{secret}')",
    "SELECT (SELECT count(*) FROM glob('/*'))",
    "FROM sqlite_scan('{catalog}', 'ducklake_table')",
    "FROM system.main.\"SQLITE_scan\"('{catalog}', 'ducklake_table')",
    "FROM sqlite_query('lake_catalog', 'SELECT 1')",
    "FROM query('FROM read_text(''{secret}'')')",
    "FROM duckdb_secrets()",
    "FROM duckdb_settings()",
    "FROM arrow_scan(1, 2, 3)",
    "SELECT statements FROM statements",
    "",
    "SELEC 1",
    "FROM nonsense",
]


@pytest.mark.parametrize("sql", REFUSED)
def test_everything_else_is_refused(lake: Lake, tmp_path: Path, sql: str) -> None:
    """A query from a chat window or a notebook must not write, nor read what is not the lake's."""
    secret, outside = tmp_path / "secret.csv", tmp_path / "outside"
    secret.write_text("a,b\n1,2\n")
    inside = Path(lake.location.data_path) / "inside.parquet"
    with pytest.raises(QueryError):
        lake.query(sql.format(catalog=lake.location.catalog, secret=secret, outside=outside, inside=inside))
    assert not outside.exists()
    assert not inside.exists()


def test_an_error_speaks_duckdbs_words(lake: Lake) -> None:
    """The reader wants the line and the mark under it."""
    with pytest.raises(QueryError, match=r"(?s)column.*nonsense.*LINE 1"):
        lake.query("SELECT nonsense FROM segments")


def test_a_reading_connection_cannot_change_a_table(lake: Lake) -> None:
    """`read` does not look at the SQL, so the attach itself must be read-only."""
    for sql in (
        "DELETE FROM segments",
        "CALL lake.set_option('parquet_compression', 'snappy')",
        "FROM read_text('/etc/hosts')",
    ):
        with pytest.raises(QueryError), lake.read() as con:
            con.execute(sql)
    assert lake.query("FROM segments").num_rows == 2
