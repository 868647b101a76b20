"""A lake that is damaged, moved or out of reach, and the errors that say so."""

import os
import shutil
import signal
import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import duckdb
import pytest

from sinks import (
    Append,
    ChangeError,
    Lake,
    LakeBusy,
    LakeError,
    LakeTooNew,
    LakeUnavailable,
    Location,
    LocationError,
    QueryError,
    Upsert,
)
from sinks.translate import translated
from tests.sinks.tables import SEGMENTS, UTTERANCES, segments, utterances


@pytest.mark.parametrize("content", [b"", b"not a database " * 1000])
def test_a_catalog_that_is_none_is_refused(location: Location, content: bytes) -> None:
    """An empty file is what a mistyped path leaves behind."""
    path = Path(location.catalog)
    path.parent.mkdir()
    path.write_bytes(content)
    lake = Lake(location, [SEGMENTS])
    for act in (lambda: lake.query("FROM segments"), lambda: lake.commit([Upsert(SEGMENTS, segments("a"))])):
        with pytest.raises(LakeUnavailable, match=r"catalog\.sqlite"):
            act()
    assert path.read_bytes() == content


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    """A typing error in a setting, seen on the first start."""
    (tmp_path / "file").touch()
    with pytest.raises(LakeUnavailable, match="cannot make the folder"):
        Lake(Location.parse(str(tmp_path / "file/lake")), [SEGMENTS]).create()


def test_lost_files_are_named(lake: Lake) -> None:
    """A restore that forgot the data: say which file, not that SQL is wrong."""
    lake.commit([Upsert(SEGMENTS, segments("a"))])
    shutil.rmtree(lake.location.data_path)
    with pytest.raises(LakeUnavailable, match=r"\.parquet"):
        lake.query("FROM segments")


def test_a_moved_lake_goes_on(lake: Lake, tmp_path: Path) -> None:
    """DuckLake stores an absolute data path; people move folders and mount backups elsewhere."""
    lake.commit([Upsert(SEGMENTS, segments("a"))])
    lake.close()
    shutil.move(tmp_path / "lake", tmp_path / "moved")
    with Lake(Location.parse(str(tmp_path / "moved")), [SEGMENTS, UTTERANCES]) as moved:
        moved.commit([Upsert(SEGMENTS, segments("a", "b", state="stored"))])
        assert moved.query("SELECT id, state FROM segments ORDER BY id").column("state").to_pylist() == ["stored"] * 2
        moved.create()
        stored_place = "SELECT value FROM ducklake_options('lake') WHERE option_name = 'data_path'"
        assert moved.query(stored_place).to_pylist() == [{"value": f"{tmp_path}/moved/data/"}]
    assert not (tmp_path / "lake").exists()


def test_a_wrong_data_path_is_refused_before_it_splits_the_lake(lake: Lake, tmp_path: Path) -> None:
    """New files in one place and old ones in another: neither setting would ever read both again."""
    lake.commit([Upsert(SEGMENTS, segments("a"))])
    wrong = Lake(Location.parse(str(tmp_path / "lake"), str(tmp_path / "other")), [SEGMENTS, UTTERANCES])
    with pytest.raises(LocationError, match=str(tmp_path / "lake/data")):
        wrong.commit([Upsert(SEGMENTS, segments("b"))])
    with pytest.raises(LocationError):
        wrong.query("FROM segments")


def test_new_files_reach_the_disk_before_the_commit(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    """The SQLite log is flushed, Parquet is not: a power cut could keep a commit and lose its rows."""
    flushed: set[str] = set()
    real = os.fsync

    def spy(handle: int) -> None:
        flushed.add(str(Path(f"/proc/self/fd/{handle}").readlink()))
        real(handle)

    monkeypatch.setattr("os.fsync", spy)
    lake.commit([Upsert(SEGMENTS, segments("a", "b")), Append(UTTERANCES, utterances("a"))])
    lake.commit([Upsert(SEGMENTS, segments("a", state="stored")), Append(UTTERANCES, utterances("a"))])
    everything = {str(path) for path in Path(lake.location.data_path).rglob("*")} | {lake.location.data_path}
    assert len([name for name in everything if name.endswith(".parquet")]) == 5
    assert flushed >= everything


def test_a_lost_catalog_is_not_made_anew_over_its_files(lake: Lake) -> None:
    """A new one would hide them, and its maintenance would remove them."""
    lake.commit([Upsert(SEGMENTS, segments("a"))])
    lake.close()
    catalog = Path(lake.location.catalog)
    kept = catalog.read_bytes()
    catalog.unlink()
    for act in (lake.create, lambda: lake.query("FROM segments"), lambda: lake.commit([])):
        with pytest.raises(LakeError, match=str(catalog)):
            act()
        assert not catalog.exists()
    catalog.write_bytes(kept)
    lake.create()
    assert lake.query("FROM segments").num_rows == 1


def test_a_database_of_something_else_is_left_alone(location: Location) -> None:
    """A path mistaken for another's: DuckLake would put its tables beside theirs."""
    path = Path(location.catalog)
    path.parent.mkdir()
    with closing(sqlite3.connect(path)) as other, other:
        other.execute("CREATE TABLE invoices (number INTEGER)")
    before = path.read_bytes()
    lake = Lake(location, [SEGMENTS])
    with pytest.raises(LocationError, match=r"something else \(with invoices\)"):
        lake.create()
    with pytest.raises(LakeUnavailable, match="there is no lake at"):
        lake.query("FROM segments")
    assert path.read_bytes() == before


def test_a_catalog_of_a_newer_ducklake_says_what_to_upgrade(lake: Lake) -> None:
    """Its own words offer a migration, which is the wrong way round."""
    lake.close()
    with closing(sqlite3.connect(lake.location.catalog)) as catalog, catalog:
        catalog.execute("UPDATE ducklake_metadata SET value = '99.0' WHERE key = 'version'")
    for act in (lake.create, lambda: lake.query("FROM segments")):
        with pytest.raises(LakeTooNew, match=r"DuckLake 99\.0.*upgrade"):
            act()


@pytest.mark.parametrize("harm", [Path.unlink, lambda path: os.truncate(path, path.stat().st_size // 2)])
def test_damaged_files_are_found_and_named(lake: Lake, harm: Callable[[Path], None]) -> None:
    """Without reading them all; and whoever does meets an error that says what to do."""
    lake.commit([Upsert(SEGMENTS, segments("a"))])
    file = next(Path(lake.location.data_path).rglob("*.parquet"))
    assert lake.damaged_files() == []
    harm(file)
    assert lake.damaged_files() == [str(file)]
    for act in (lambda: lake.query("FROM segments"), lambda: lake.commit([Upsert(SEGMENTS, segments("a", "b"))])):
        with pytest.raises(LakeUnavailable, match=f"{file.name}.*put it back from a backup"):
            act()


def all_duckdb_errors() -> list[type[duckdb.Error]]:
    kinds = [kind for kind in vars(duckdb).values() if isinstance(kind, type) and issubclass(kind, duckdb.Error)]
    return sorted(set(kinds), key=lambda kind: kind.__name__)


@pytest.mark.parametrize("kind", all_duckdb_errors())
@pytest.mark.parametrize("sql", [ChangeError, QueryError, LakeUnavailable])
def test_every_duckdb_error_becomes_ours(location: Location, kind: type[duckdb.Error], sql: type[LakeError]) -> None:
    """Callers catch `LakeError` and nothing else; an upgrade may bring new kinds."""
    with pytest.raises(LakeError), translated(location, sql=sql):
        raise kind("text")


@pytest.mark.parametrize(
    ("error", "ours"),
    [
        (duckdb.BinderException("no column"), ChangeError),
        (duckdb.ConversionException("not a number"), ChangeError),
        (duckdb.IOException("No space left on device"), LakeUnavailable),
        (duckdb.Error("attempt to write a readonly database"), LakeUnavailable),
        (duckdb.TransactionException("maximum retry count: COMMIT: database or disk is full"), LakeUnavailable),
        (duckdb.TransactionException("Failed to commit: database is locked"), LakeBusy),
        (duckdb.TransactionException("Transaction conflict - attempting to delete"), LakeBusy),
        (duckdb.TransactionException("Exceeded the maximum retry count of 0"), LakeBusy),
    ],
)
def test_errors_are_grouped_by_what_to_do(location: Location, error: duckdb.Error, ours: type[LakeError]) -> None:
    """Fix the code, repair the lake, or just try again."""
    with pytest.raises(LakeError) as caught, translated(location, sql=ChangeError):
        raise error
    assert type(caught.value) is ours


def test_no_error_shows_the_password(tmp_path: Path) -> None:
    """Neither in the message nor in the error it came from, which a traceback prints too."""
    location = Location.parse("postgresql://u:s3cr%25t@h/db", str(tmp_path))
    with pytest.raises(LakeUnavailable) as caught, translated(location, sql=QueryError):
        raise duckdb.IOException("cannot connect with password=s3cr%t or s3cr%25t")
    assert "s3cr" not in f"{caught.value} {caught.value.__cause__}"
    assert "***" in str(caught.value)


ENDLESS = "SELECT count(*) AS n FROM range(1000000) AS a, range(10000000) AS b WHERE a.range * b.range % 7 = 3"


def test_ctrl_c_ends_a_long_statement_and_the_lake_works_on(lake: Lake) -> None:
    """DuckDB itself would go on computing, and a rollback wait for it."""
    endless = Upsert(SEGMENTS, segments("a", "b"), update={"attempts": f"(SELECT n FROM ({ENDLESS}))"})
    lake.commit([Upsert(SEGMENTS, segments("a"))])
    for act in (lambda: lake.query(ENDLESS), lambda: lake.commit([endless])):
        threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT)).start()
        with pytest.raises(KeyboardInterrupt):
            act()
    lake.commit([Upsert(SEGMENTS, segments("c"))])
    assert lake.query("SELECT id FROM segments ORDER BY id").column("id").to_pylist() == ["a", "c"]
