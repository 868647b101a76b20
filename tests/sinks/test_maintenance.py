"""What maintenance takes away, and what it must leave."""

import os
import shutil
import signal
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from sinks import Append, Lake, LakeBusy, LakeUnavailable, Location, LocationError, Upsert, maintenance
from sinks.maintenance import Size, maintain
from tests.processes import ROOT
from tests.sinks.aging import age
from tests.sinks.tables import JAN, MAY, SEGMENTS, UTTERANCES, segments, utterances

COMMITS = 60
ORDERS = {"segments": "id", "utterances": "id, seq"}
PAIRS = "SELECT (SELECT 2 * count(*) FROM segments) = (SELECT count(*) FROM utterances)"


@pytest.fixture(scope="module")
def busy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lake after 60 small commits: each a new segment with its utterances, and a change of the one before. Made once.

    By plain SQL, which is quicker than `Lake.commit` and leaves the same files.
    """
    folder = tmp_path_factory.mktemp("busy") / "lake"
    with Lake(Location.parse(str(folder)), [SEGMENTS, UTTERANCES]) as lake:
        lake.create()
        with lake.exclusive() as con:
            for number in range(COMMITS):
                con.execute("BEGIN")
                con.execute(f"UPDATE segments SET state = 'stored' WHERE id = 's{number - 1}'")
                for table, rows in (
                    ("segments", segments(f"s{number}", at=MAY if number % 3 else JAN)),
                    ("utterances", utterances(f"s{number}")),
                ):
                    con.register("rows", rows)
                    con.execute(f"INSERT INTO {table} FROM rows")
                con.execute("COMMIT")
    return folder


@pytest.fixture
def lake(busy: Path, location: Location) -> Lake:
    """A copy of it."""
    shutil.copytree(busy, Path(location.catalog).parent)
    lake = Lake(location, [SEGMENTS, UTTERANCES])
    lake.create()
    return lake


def contents(lake: Lake) -> list[list[dict[str, object]]]:
    """All rows of both tables."""
    return [lake.query(f"FROM {table} ORDER BY {order}").to_pylist() for table, order in ORDERS.items()]


def parquet(lake: Lake) -> set[Path]:
    return set(Path(lake.location.data_path).rglob("*.parquet"))


def last_snapshot(lake: Lake) -> int:
    return int(lake.query("SELECT max(snapshot_id) AS id FROM lake.snapshots()").to_pylist()[0]["id"])


def test_sixty_small_commits_become_a_file_a_partition(lake: Lake) -> None:
    """What keeps the thousandth commit as quick as the first, and the rows are the same."""
    before = contents(lake)
    done = maintain(lake)
    assert done.before["segments"].files >= COMMITS
    assert {name: size.files for name, size in done.after.items()} == {"segments": 2, "utterances": 1}
    assert done.after["utterances"].bytes < done.before["utterances"].bytes / 10
    assert contents(lake) == before


def test_a_second_time_finds_nothing_to_do(lake: Lake) -> None:
    """It may be called as often as one likes."""
    first = maintain(lake)
    snapshot = last_snapshot(lake)
    again = maintain(lake)
    assert again.before == again.after == first.after
    assert last_snapshot(lake) == snapshot


def test_the_tables_can_be_read_as_they_were_within_the_retention(lake: Lake) -> None:
    """Compaction must not cost the past: what was wrong yesterday is looked into today."""
    middle = last_snapshot(lake) - COMMITS // 2
    was = {table: lake.query(f"FROM {table} AT (VERSION => {middle}) ORDER BY ALL") for table in lake.tables}
    age(lake.location, 5)
    maintain(lake)
    age(lake.location, 1)
    maintain(lake)
    for table, rows in was.items():
        assert lake.query(f"FROM {table} AT (VERSION => {middle}) ORDER BY ALL").equals(rows)


def test_what_is_older_than_the_retention_leaves_the_disk(lake: Lake) -> None:
    """Otherwise the lake grows with every commit there ever was."""
    before = contents(lake)
    age(lake.location, 9)
    first = maintain(lake)
    age(lake.location, 3)
    second = maintain(lake)
    assert first.snapshots_expired >= COMMITS
    assert second.files_removed >= 2 * COMMITS
    assert len(parquet(lake)) == sum(size.files for size in second.after.values()) == 3
    assert contents(lake) == before


def test_a_retention_under_two_days_is_refused(lake: Lake) -> None:
    """Readers may still be using what it would take away, and DuckLake counts in whole days."""
    with pytest.raises(ValueError, match="2 days or more"):
        maintain(lake, keep=timedelta(days=1))


def test_a_dry_run_says_the_same_and_changes_nothing(lake: Lake) -> None:
    """People look before they let anything delete."""
    age(lake.location, 9)
    files, dump = parquet(lake), catalog_rows(lake)
    said = maintain(lake, dry_run=True)
    assert (parquet(lake), catalog_rows(lake)) == (files, dump)
    done = maintain(lake)
    assert said.before == done.before
    assert {name: size.files for name, size in said.after.items()} == {n: s.files for n, s in done.after.items()}
    assert said.snapshots_expired == done.snapshots_expired - 1  # the newest stays: now one of compaction's own


def catalog_rows(lake: Lake) -> dict[str, list[tuple[object, ...]]]:
    """Everything in the catalog."""
    with lake.read() as con:
        names = con.execute("SELECT table_name FROM duckdb_tables() WHERE database_name = 'lake_catalog'").fetchall()
        return {name: con.execute(f"FROM lake_catalog.{name} ORDER BY ALL").fetchall() for (name,) in names}


def test_a_file_that_lost_a_hundredth_of_its_rows_is_rewritten(lake: Lake) -> None:
    """DuckLake merges no file with deletes: left alone, each day's file would stay for ever."""
    maintain(lake)
    lake.commit([Upsert(SEGMENTS, segments("s1", at=MAY, state="late"))])
    done = maintain(lake)
    assert done.before["segments"].files == 2 + 2
    assert done.after["segments"].files == 2


def killed_in_a_transaction(lake: Lake) -> set[Path]:
    """The files that a process wrote before it was killed, just before its COMMIT."""
    before = parquet(lake)
    code = """
        import os, signal, sys
        from sinks import Lake, Location
        with Lake(Location.parse(sys.argv[1]), []).exclusive() as con:
            con.execute("BEGIN")
            con.execute("INSERT INTO segments (id) VALUES ('killed')")
            os.kill(os.getpid(), signal.SIGKILL)
    """
    folder = str(Path(lake.location.catalog).parent)
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code), folder], cwd=ROOT, check=False)
    assert done.returncode == -signal.SIGKILL
    return parquet(lake) - before


def test_what_a_killed_commit_left_is_removed_once_it_is_a_day_old(lake: Lake) -> None:
    """No catalog row will ever name it; until then it could be somebody's running commit."""
    files = killed_in_a_transaction(lake)
    assert len(files) == 1
    assert maintain(lake).orphans_removed == 0
    age(lake.location, 2)
    assert maintain(lake, dry_run=True).orphans_removed == 1
    assert maintain(lake).orphans_removed == 1
    assert not files & parquet(lake)


def test_a_running_commit_keeps_its_files_even_if_its_lock_is_lost(lake: Lake, location: Location) -> None:
    """The lock is the first guard, the age of files the second: without it, the COMMIT would name a missing file."""
    killed_in_a_transaction(lake)
    age(location, 2)
    lake.create()
    with Lake(location, [SEGMENTS, UTTERANCES]) as other, lake.exclusive() as con:
        con.execute("BEGIN")
        con.execute("INSERT INTO segments (id) VALUES ('running')")
        Path(location.catalog + ".lock").unlink()
        assert maintenance._remove_orphans(other, dry_run=False) == (1, ())
        con.execute("COMMIT")
    assert lake.query("FROM segments WHERE id = 'running'").num_rows == 1


def test_while_others_write_nobody_maintains(lake: Lake, location: Location) -> None:
    """It takes its turn like every writer."""
    impatient = Lake(location, [SEGMENTS, UTTERANCES], lock_timeout_s=0.05)
    with lake.exclusive(), pytest.raises(LakeBusy):
        maintain(impatient)


def test_a_reader_goes_on_with_what_it_began_with(lake: Lake) -> None:
    """A long query may have begun before a night's maintenance and end after it."""
    before = contents(lake)
    with lake.read() as con:
        counted = con.execute("SELECT count(*) FROM segments").fetchall()
        first = maintain(lake)
        files = parquet(lake)
        lake.commit([Upsert(SEGMENTS, segments("new"))])
        second = maintain(lake)
        assert con.execute("SELECT count(*) FROM segments").fetchall() == counted
        rows = [con.execute(f"FROM {t} ORDER BY {o}").to_arrow_table().to_pylist() for t, o in ORDERS.items()]
    assert rows == before
    assert first.files_removed == second.files_removed == 0
    assert files <= parquet(lake)


def test_readers_and_a_writer_at_work_notice_nothing(lake: Lake) -> None:
    """Nights are not quiet everywhere."""
    ended = threading.Event()
    failed: list[BaseException] = []

    def until_ended(work: Callable[[int], object]) -> None:
        number = 0
        try:
            while not ended.is_set() or number < 3:
                work(number)
                number += 1
        except BaseException as error:  # shown by the assertion
            failed.append(error)

    def write(number: int) -> None:
        lake.commit([Upsert(SEGMENTS, segments(f"w{number}")), Append(UTTERANCES, utterances(f"w{number}"))])

    def read(_: int) -> None:
        with lake.read() as con:
            assert con.execute(PAIRS).fetchall() == [(True,)]

    threads = [threading.Thread(target=until_ended, args=[work]) for work in (write, read)]
    for thread in threads:
        thread.start()
    for _ in range(2):
        maintain(lake)
    ended.set()
    for thread in threads:
        thread.join()
    assert not failed


def test_somebody_elses_parquet_is_left_alone_and_named(lake: Lake) -> None:
    """DuckLake would delete whatever Parquet lies below the data path; people put theirs anywhere."""
    orphans = killed_in_a_transaction(lake)
    export = Path(lake.location.data_path) / "export.parquet"
    export.write_text("an analyst's")
    age(lake.location, 2)
    done = maintain(lake)
    assert done.strangers == (str(export),)
    assert done.orphans_removed == 0
    assert orphans | {export} <= parquet(lake)


def test_a_killed_removal_does_not_stop_the_next(lake: Lake) -> None:
    """Files go first, then the catalog's rows about them: killed in between, the next time misses the files."""
    maintain(lake)
    gone = {path.name for path in parquet(lake)}
    age(lake.location, 3)
    with lake.read() as con:
        scheduled = con.execute("SELECT path FROM lake_catalog.ducklake_files_scheduled_for_deletion").fetchall()
    for (path,) in scheduled[:5]:
        (Path(lake.location.data_path) / path).unlink()
    assert len(gone) > maintain(lake).files_removed == len(scheduled)


def test_new_files_are_on_the_disk_before_the_old_ones_are_forgotten(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DuckDB does not flush Parquet: after a power cut, a merged file would be empty, and its rows nowhere else."""
    flushed: set[Path] = set()
    real = os.fsync

    def fsync(handle: int) -> None:
        flushed.add(Path(f"/proc/self/fd/{handle}").readlink())
        real(handle)

    before = parquet(lake)
    monkeypatch.setattr(os, "fsync", fsync)
    maintain(lake)
    assert parquet(lake) - before <= flushed


def test_where_no_lake_is_it_says_so(location: Location) -> None:
    """And makes none."""
    with pytest.raises(LakeUnavailable, match="no lake"):
        maintain(Lake(location, [SEGMENTS]))
    assert not Path(location.catalog).exists()


def test_a_new_lake_refuses_the_data_of_another(lake: Lake, tmp_path: Path) -> None:
    """To each of the two, the other's files would be orphans."""
    with pytest.raises(LocationError, match="another lake"):
        Lake(Location.parse(str(tmp_path / "second"), lake.location.data_path), [SEGMENTS]).create()


def test_sizes_add_up() -> None:
    """For the line below the table."""
    assert sum([Size(1, 10), Size(2, 20)], Size()) == Size(3, 30)
