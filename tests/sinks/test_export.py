"""The tables as plain Parquet: one snapshot, only what changed written anew, nothing of others touched."""

import json
import random
import resource
import shutil
import subprocess
import sys
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import pytest

from sinks import Append, ExportError, Lake, Location, Upsert
from sinks.export import export
from sinks.maintenance import maintain
from sinks.storage import LOCK, alone
from tests.sinks.tables import JAN, MAY, SEGMENTS, UTTERANCES, segments, utterances

JAN_FILE, MAY_FILE = "segments/day=2026-01-15/data.parquet", "segments/day=2026-05-15/data.parquet"


@pytest.fixture
def filled(lake: Lake) -> Lake:
    """Two segments in January, one in May, utterances of the first."""
    lake.commit([Upsert(SEGMENTS, segments("a", "b")), Append(UTTERANCES, utterances("a"))])
    lake.commit([Upsert(SEGMENTS, segments("m", at=MAY))])
    return lake


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out"


def no_room() -> None:
    """From here on no file of this process may be longer than 64 kB."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (65_536, 65_536))


def manifest(out: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((out / "manifest.json").read_text())
    return found


def rows(out: Path, table: str) -> list[tuple[Any, ...]]:
    """What any reader of Parquet finds."""
    with duckdb.connect() as con:
        con.execute("SET TimeZone = 'UTC'")
        files = f"read_parquet('{out}/{table}/**/*.parquet', hive_partitioning = true)"
        return con.execute(f"SELECT * FROM {files} ORDER BY ALL").fetchall()


def times(out: Path) -> dict[str, int]:
    """Every file and when it was written."""
    return {path.relative_to(out).as_posix(): path.stat().st_mtime_ns for path in out.rglob("*.parquet")}


def test_plain_parquet_holds_every_row_and_its_day(filled: Lake, out: Path) -> None:
    """A folder a day, as pandas, Spark and everybody else expects; JSON as text."""
    done = export(filled, str(out))
    assert done.rows == {"segments": 3, "utterances": 2}
    assert sorted(times(out)) == [JAN_FILE, MAY_FILE, "utterances/day_of_export=2026-01-15/data.parquet"]
    found = rows(out, "segments")
    assert found[0] == ("a", JAN, "pending", 0, '{"a":  1}', date(2026, 1, 15))
    assert [row[0] for row in found] == ["a", "b", "m"]
    assert manifest(out)["tables"]["segments"]["files"][JAN_FILE]["rows"] == 2
    assert (manifest(out)["complete"], manifest(out)["snapshot_id"]) == (True, done.snapshot_id)


def test_only_changed_days_are_written_anew(filled: Lake, out: Path) -> None:
    """An hour's load must not cost a year's export."""
    export(filled, str(out))
    before = times(out)
    filled.commit([Upsert(SEGMENTS, segments("m", at=MAY, state="stored"))])
    done = export(filled, str(out))
    changed = {path for path, time in times(out).items() if before[path] != time}
    assert (changed, done.written, done.removed) == ({MAY_FILE}, 1, 0)
    assert rows(out, "segments")[2][2] == "stored"
    assert export(filled, str(out)).written == 0


def test_a_maintenance_changes_no_day(filled: Lake, out: Path) -> None:
    """It writes every file of the lake anew, and not one row."""
    filled.commit([Upsert(SEGMENTS, segments("b", state="stored"))])
    export(filled, str(out))
    maintain(filled)
    assert export(filled, str(out)).written == 0


def test_a_row_that_moves_to_another_day_leaves_the_old_one(filled: Lake, out: Path) -> None:
    """A segment's end may move between polls; a day without rows has no file."""
    export(filled, str(out))
    filled.commit([Upsert(SEGMENTS, segments("m", at=JAN))])
    done = export(filled, str(out))
    assert (done.written, done.removed) == (1, 1)
    assert [row[5] for row in rows(out, "segments")] == [date(2026, 1, 15)] * 3
    assert not (out / MAY_FILE).parent.exists()


def test_rows_without_a_day_have_a_folder_too(lake: Lake, out: Path) -> None:
    """Hive's name for it; a later export with `since` keeps them."""
    lake.commit([Upsert(SEGMENTS, segments("n", at=None)), Upsert(SEGMENTS, segments("a"))])
    export(lake, str(out), since=date(2026, 2, 1))
    assert [(row[0], row[5]) for row in rows(out, "segments")] == [("n", None)]


def test_what_an_export_has_it_keeps(filled: Lake, out: Path) -> None:
    """A later day or fewer tables take nothing away; an earlier day and other tables add."""
    export(filled, str(out), ["segments"], since=date(2026, 2, 1))
    assert sorted(times(out)) == [MAY_FILE]
    export(filled, str(out), ["utterances"], since=date(2026, 9, 1))
    assert sorted(times(out)) == [MAY_FILE]
    export(filled, str(out), since=date(2026, 1, 1))
    assert sorted(times(out)) == [JAN_FILE, MAY_FILE, "utterances/day_of_export=2026-01-15/data.parquet"]


def test_a_missing_or_cut_file_is_written_again(filled: Lake, out: Path) -> None:
    """Somebody tidied up; the manifest alone would never notice."""
    export(filled, str(out))
    (out / JAN_FILE).unlink()
    (out / MAY_FILE).write_bytes(b"PAR1")
    assert export(filled, str(out)).written == 2
    assert len(rows(out, "segments")) == 3


def test_an_export_whose_snapshot_has_expired_is_written_whole(filled: Lake, out: Path) -> None:
    """Nobody can tell any more what has changed since."""
    begun = export(filled, str(out)).snapshot_id
    filled.commit([Upsert(SEGMENTS, segments("c"))])
    with filled.exclusive() as con:
        con.execute(f"CALL ducklake_expire_snapshots('lake', versions => {list(range(begun + 1))})")
    assert export(filled, str(out)).written == 3
    assert len(rows(out, "segments")) == 4


def test_a_new_column_writes_the_table_whole(filled: Lake, location: Location, out: Path) -> None:
    """Readers want one schema over all days."""
    export(filled, str(out))
    with filled.exclusive() as con:
        con.execute("ALTER TABLE segments ADD COLUMN more VARCHAR")
    done = export(filled, str(out))
    assert done.written == 2
    assert {len(row) for row in rows(out, "segments")} == {7}


def test_a_disk_without_room_leaves_what_was_there_and_the_next_run_goes_on(filled: Lake, out: Path) -> None:
    """The manifest says that it is not complete, and of which files it is sure."""
    export(filled, str(out))
    before = rows(out, "segments")
    noise = [random.Random(number).randbytes(50).hex() for number in range(3000)]
    filled.commit([Upsert(SEGMENTS, segments("m", *noise, at=MAY))])
    folder = str(Path(filled.location.catalog).parent)
    code = (
        "from sinks import Lake, Location; from sinks.export import export; from tests.sinks.tables import *\n"
        f"export(Lake(Location.parse({folder!r}), [SEGMENTS, UTTERANCES]), {str(out)!r})"
    )
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=root, preexec_fn=no_room, capture_output=True, text=True, check=False
    )
    assert "ExportError: cannot write to" in done.stderr
    assert "File too large" in done.stderr
    assert (rows(out, "segments"), manifest(out)["complete"]) == (before, False)
    assert MAY_FILE not in manifest(out)["tables"]["segments"]["files"]
    assert not list(out.rglob("*.unfinished"))
    assert export(filled, str(out)).written == 1
    assert len(rows(out, "segments")) == 3003


@pytest.mark.parametrize("content", [None, "{", '{"kind": "other"}'])
def test_a_folder_of_somebody_else_is_refused_and_left_alone(filled: Lake, out: Path, content: str | None) -> None:
    """A mistyped path is a home folder."""
    out.mkdir()
    (out / "mine.txt").write_text("mine")
    if content:
        (out / "manifest.json").write_text(content)
    before = {path.name: path.read_text() for path in out.iterdir()}
    with pytest.raises(ExportError, match="something else than an export"):
        export(filled, str(out))
    assert {path.name: path.read_text() for path in out.iterdir()} == before


def test_the_export_of_another_lake_is_refused(filled: Lake, out: Path, tmp_path: Path) -> None:
    """A test system's settings, say: its export would replace the real one."""
    export(filled, str(out))
    with Lake(Location.parse(str(tmp_path / "other")), [SEGMENTS, UTTERANCES]) as other:
        other.create()
        with pytest.raises(ExportError, match="another lake"):
            export(other, str(out))
    assert len(rows(out, "segments")) == 3


def test_a_file_of_ones_own_in_an_export_stays(filled: Lake, out: Path) -> None:
    """Only files that an export made are an export's to remove."""
    export(filled, str(out))
    (out / "segments" / "notes.txt").write_text("mine")
    shutil.rmtree(out / "utterances")
    assert export(filled, str(out)).written == 1
    assert (out / "segments" / "notes.txt").read_text() == "mine"


def test_bad_targets_say_what_may_be_there(filled: Lake, tmp_path: Path) -> None:
    """Each with what to do."""
    (tmp_path / "file").touch()
    for target, words in {
        str(tmp_path / "file"): "is a file",
        "ftp://x/y": "kind",
        str(tmp_path / "file/x"): "cannot write",
    }.items():
        with pytest.raises(ExportError, match=words):
            export(filled, target)
    with pytest.raises(ExportError, match="choose of segments, utterances"):
        export(filled, str(tmp_path / "out"), ["words"])
    assert not (tmp_path / "out").exists()


def test_two_exports_to_one_place_take_no_turns(filled: Lake, out: Path) -> None:
    """The second would only find everything done."""
    export(filled, str(out))
    with alone(out / LOCK, out), pytest.raises(ExportError, match="under way"):
        export(filled, str(out))
