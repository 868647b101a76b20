"""What we believe of DuckDB 1.5.5 and DuckLake, so that an upgrade tells us what changed.

The numbers of traps are those of the notes on DuckLake.
"""

import os
import signal
import sqlite3
import threading
from contextlib import closing
from pathlib import Path
from uuid import UUID

import duckdb
import pytest

from sinks import Lake, Location, engine
from tests.sinks.tables import SEGMENTS, UTTERANCES


@pytest.fixture
def con(lake: Lake) -> duckdb.DuckDBPyConnection:
    """A second writer beside `lake`, with none of our guards."""
    con = engine.connect(lake.location)
    options = f"META_BUSY_TIMEOUT 10000, DATA_PATH '{lake.location.data_path}/', OVERRIDE_DATA_PATH true"
    con.execute(f"ATTACH 'ducklake:sqlite:{lake.location.catalog}' AS lake ({options})")
    con.execute("USE lake")
    return con


def rows(con: duckdb.DuckDBPyConnection, sql: str) -> list[tuple[object, ...]]:
    return con.execute(sql).fetchall()


def test_inlining_stays_off_for_whoever_attaches(con: duckdb.DuckDBPyConnection) -> None:
    """Trap 1: inlined rows break long-lived readers; the stored option must bind writers who do not know it."""
    con.execute("INSERT INTO segments (id) VALUES ('a')")
    assert len(rows(con, "FROM ducklake_list_files('lake', 'segments')")) == 1


def test_a_bind_error_leaves_the_transaction_open(con: duckdb.DuckDBPyConnection) -> None:
    """A later COMMIT would keep half of it: hence ROLLBACK on any exception."""
    con.execute("BEGIN")
    con.execute("INSERT INTO segments (id) VALUES ('half')")
    with pytest.raises(duckdb.BinderException):
        con.execute("SELECT nonsense FROM segments")
    con.execute("COMMIT")
    assert rows(con, "SELECT id FROM segments") == [("half",)]


def test_merge_inserts_a_doubled_source_key_twice(con: duckdb.DuckDBPyConnection) -> None:
    """Trap 7: hence the check for doubled keys."""
    con.execute(
        "MERGE INTO segments t USING (SELECT 'a' AS id FROM range(2)) s ON t.id = s.id "
        "WHEN NOT MATCHED THEN INSERT (id) VALUES (s.id)"
    )
    assert rows(con, "SELECT count(*) FROM segments") == [(2,)]


def test_merge_reports_how_many_rows_it_wrote(con: duckdb.DuckDBPyConnection) -> None:
    """A commit compares it with what it meant to write."""
    con.execute("INSERT INTO segments (id) VALUES ('a'), ('b')")
    merge = (
        "MERGE INTO segments t USING (SELECT unnest(['a', 'c', 'd']) AS id) s ON t.id = s.id "
        "WHEN MATCHED THEN UPDATE SET state = 'x' WHEN NOT MATCHED AND s.id <> 'd' THEN INSERT (id) VALUES (s.id)"
    )
    assert rows(con, merge) == [(2,)]


def test_a_commit_that_was_overtaken_fails(lake: Lake, con: duckdb.DuckDBPyConnection) -> None:
    """Trap 4: with retries, DuckLake lets two transactions insert the same new key; with none, the second fails."""
    con.execute("BEGIN")
    con.execute("INSERT INTO segments (id) VALUES ('a')")
    with lake.exclusive() as other:
        other.execute("INSERT INTO segments (id) VALUES ('a')")
    with pytest.raises(duckdb.TransactionException, match="maximum retry count"):
        con.execute("COMMIT")


def test_temporary_tables_join_a_lake_transaction_and_its_rollback(con: duckdb.DuckDBPyConnection) -> None:
    """DuckDB allows one written database a transaction, but does not count temporary tables."""
    con.execute("BEGIN")
    con.execute("CREATE TEMP TABLE x AS SELECT 'a' AS id")
    con.execute("INSERT INTO segments (id) FROM x")
    con.execute("ROLLBACK")
    assert rows(con, "SELECT table_name FROM duckdb_tables() WHERE database_name = 'temp'") == []


def test_snapshots_expire_by_the_day(con: duckdb.DuckDBPyConnection) -> None:
    """Trap 2: beside SQLite an hour means today; hence a retention of two days or more. If this fails, less will do."""
    con.execute("INSERT INTO segments (id) VALUES ('a')")
    expire = "FROM ducklake_expire_snapshots('lake', older_than => now() - INTERVAL {}, dry_run => true)"
    assert rows(con, expire.format("1 SECOND"))
    assert not rows(con, expire.format("1 DAY"))


@pytest.mark.parametrize("disabled", [False, True])
def test_scans_of_sqlite_leave_their_transaction_unless_single_threaded(
    location: Location, tmp_path: Path, disabled: bool
) -> None:
    """A reader that spans a compaction would lose rows, untold: `engine` disables it. If this fails, that can go."""
    con = engine.connect(location)
    con.execute("SET threads = 2")
    con.execute(f"SET GLOBAL sqlite_disable_multithreaded_scans = {disabled}")
    with closing(sqlite3.connect(tmp_path / "x.sqlite", isolation_level=None)) as writer:
        writer.execute("PRAGMA journal_mode = WAL")
        writer.execute("CREATE TABLE t (v INTEGER)")
        writer.execute("INSERT INTO t VALUES (1)")
        con.execute(f"ATTACH '{tmp_path / 'x.sqlite'}' AS x (TYPE sqlite)")
        con.execute("BEGIN")
        assert rows(con, "FROM x.t") == [(1,)]
        writer.execute("UPDATE t SET v = 2")
        assert rows(con, "FROM x.t") == [(1 if disabled else 2,)]


@pytest.mark.parametrize(("scope", "seen"), [("", 0), ("GLOBAL", 2)])
def test_a_lake_heeds_only_the_global_setting(
    lake: Lake, con: duckdb.DuckDBPyConnection, scope: str, seen: int
) -> None:
    """DuckLake reads its catalog on a connection of its own: hence GLOBAL, in the README too."""
    for name in "ab":
        con.execute(f"INSERT INTO segments (id) VALUES ('{name}')")
    with duckdb.connect() as reader:
        for extension in ("sqlite_scanner", "ducklake"):
            engine.load(reader, extension)
        reader.execute(f"SET {scope} sqlite_disable_multithreaded_scans = true")
        reader.execute(f"ATTACH 'ducklake:sqlite:{lake.location.catalog}' AS lake (READ_ONLY)")
        reader.execute("USE lake")
        reader.execute("BEGIN")
        assert rows(reader, "SELECT count(*) FROM utterances") == [(0,)]
        con.execute("DELETE FROM __ducklake_metadata_lake.ducklake_data_file")  # as a compaction does with old files
        assert rows(reader, "SELECT count(*) FROM segments") == [(seen,)]


def test_a_rolled_back_merge_leaves_its_file(lake: Lake, con: duckdb.DuckDBPyConnection) -> None:
    """Hence a dry run that guesses from the catalog, rather than one that rolls back."""
    for _ in range(2):
        con.execute("INSERT INTO segments (id) VALUES ('a')")
    con.execute("BEGIN")
    con.execute("CALL ducklake_merge_adjacent_files('lake', 'segments')")
    con.execute("ROLLBACK")
    assert len(list(Path(lake.location.data_path).rglob("*.parquet"))) == 3


def test_whatever_parquet_the_catalog_does_not_name_is_an_orphan(lake: Lake, con: duckdb.DuckDBPyConnection) -> None:
    """Hence a look at what would be deleted, before."""
    (Path(lake.location.data_path) / "mine.parquet").touch()
    assert len(rows(con, "CALL ducklake_delete_orphaned_files('lake', cleanup_all => true, dry_run => true)")) == 1


def test_what_was_only_rewritten_shows_as_changed(con: duckdb.DuckDBPyConnection) -> None:
    """Trap 8: hence the sums in `feed`. If this fails, `table_changes` may do."""
    con.execute("INSERT INTO segments (id) VALUES ('a'), ('b')")
    con.execute("DELETE FROM segments WHERE id = 'a'")
    before = rows(con, "FROM lake.current_snapshot()")[0][0]
    con.execute("CALL ducklake_rewrite_data_files('lake', 'segments', delete_threshold => 0)")
    changed = f"SELECT change_type, id FROM lake.table_changes('segments', {before} + 1, {before} + 1) ORDER BY ALL"
    assert rows(con, changed) == [("update_postimage", "b"), ("update_preimage", "b")]


def test_an_empty_transaction_makes_no_snapshot(con: duckdb.DuckDBPyConnection) -> None:
    """Reading in a transaction is free."""
    before = rows(con, "SELECT count(*) FROM lake.snapshots()")
    con.execute("BEGIN")
    con.execute("SELECT count(*) FROM segments")
    con.execute("COMMIT")
    assert rows(con, "SELECT count(*) FROM lake.snapshots()") == before


def test_a_nul_in_a_constant_breaks_the_look_up(con: duckdb.DuckDBPyConnection) -> None:
    """Also one that a join hands down; hence `|| ''` around text keys. If this fails, that can go."""
    con.execute("INSERT INTO segments (id) VALUES ('a' || chr(0))")
    with pytest.raises(duckdb.ParserException):
        con.execute("SELECT count(*) FROM segments WHERE id = 'a' || chr(0)")
    con.execute("CREATE TEMP TABLE wanted AS SELECT 'a' || chr(0) AS id")
    with pytest.raises(duckdb.ParserException):
        con.execute("SELECT count(*) FROM segments SEMI JOIN wanted USING (id)")


def test_file_names_tell_table_and_time(lake: Lake, con: duckdb.DuckDBPyConnection) -> None:
    """The flush before a COMMIT finds the new files by this."""
    con.execute("INSERT INTO segments (id, ended_at) VALUES ('a', TIMESTAMPTZ '2026-01-02 00:00:00+00'), ('b', NULL)")
    con.execute("DELETE FROM segments WHERE id = 'a'")
    con.execute("UPDATE segments SET state = 'x'")
    for path in Path(lake.location.data_path).rglob("*.parquet"):
        assert path.is_relative_to(Path(lake.location.data_path) / "main" / "segments")
        assert path.name.startswith("ducklake-")
        assert UUID(path.name[9:45]).version == 7


def test_partitions_nest_as_deep_as_there_are_expressions(lake: Lake, con: duckdb.DuckDBPyConnection) -> None:
    """Also without a value, so that the flush knows which folders hold files."""
    con.execute("INSERT INTO segments (id, ended_at) VALUES ('a', TIMESTAMPTZ '2026-01-02 00:00:00+00'), ('b', NULL)")
    folder = Path(lake.location.data_path) / "main" / "segments"
    depths = {len(path.relative_to(folder).parts) for path in folder.rglob("*.parquet")}
    assert depths == {len(SEGMENTS.partition_by) + 1}


def test_rows_are_sorted_when_they_are_stored(con: duckdb.DuckDBPyConnection) -> None:
    """SORTED BY holds for inserts, not only for compaction: nobody needs to sort before."""
    assert UTTERANCES.sort_by[0] == "id"
    con.execute("INSERT INTO utterances (id, seq) SELECT md5(n::VARCHAR), n FROM range(100) AS r(n)")
    found = rows(con, "SELECT id FROM utterances")
    assert found == sorted(found)


def test_the_sqlite_extension_ignores_the_closed_file_system(lake: Lake, tmp_path: Path) -> None:
    """Hence the list of allowed table functions. If this fails, the guard may become simpler."""
    con = engine.connect(lake.location)
    con.execute("SET enable_external_access = false")
    con.execute("SET lock_configuration = true")
    con.execute(f"FROM sqlite_scan('{lake.location.catalog}', 'ducklake_table')")
    con.execute(f"ATTACH '{tmp_path / 'new.sqlite'}' AS new (TYPE sqlite)")
    con.execute("CREATE TABLE new.t AS SELECT 1 AS n")
    assert (tmp_path / "new.sqlite").exists()


def test_an_interrupt_is_a_runtime_error(location: Location) -> None:
    """Ctrl-C during a statement; the statement goes on until `interrupt`, even through a ROLLBACK or `close`."""
    con = engine.connect(location)
    threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGINT)).start()
    with pytest.raises(RuntimeError, match=r"^Query interrupted$"):
        con.execute("SELECT count(*) FROM range(1000000) a, range(10000000) b WHERE a.range * b.range % 7 = 3")
    con.interrupt()
    con.close()


def test_comparisons_do_not_depend_on_the_length_of_statistics(con: duckdb.DuckDBPyConnection) -> None:
    """Long texts that differ at the very end must not be skipped by a shortened minimum or maximum."""
    con.execute("INSERT INTO segments (id) VALUES (repeat('x', 100000) || 'a')")
    assert rows(con, "SELECT count(*) FROM segments WHERE id = repeat('x', 100000) || 'a'") == [(1,)]
    assert rows(con, "SELECT count(*) FROM segments WHERE id > repeat('x', 100000)") == [(1,)]
