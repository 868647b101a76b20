"""The lake as one DuckDB file: whole, readable with nothing else, and replaced under whoever reads it."""

import resource
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

from sinks import Append, ExportError, Lake, Location, Upsert
from sinks.publish import publish
from tests.sinks.tables import SEGMENTS, UTTERANCES, segments, utterances

VIEWS = {
    "pending": "-- Still to come.\nSELECT * FROM segments WHERE state = 'pending'",
    "again": "-- Once more.\nFROM pending",
}


@pytest.fixture
def filled(lake: Lake) -> Lake:
    """Two segments, utterances of one."""
    lake.commit([Upsert(SEGMENTS, segments("a", "b")), Append(UTTERANCES, utterances("a"))])
    return lake


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "out.duckdb"


def one(file: Path, sql: str) -> object:
    with duckdb.connect(file, read_only=True) as con:
        row = con.execute(sql).fetchone()
        return row[0] if row else None


def test_the_file_holds_tables_views_comments_and_its_snapshot(filled: Lake, file: Path) -> None:
    """Nothing of DuckLake is needed to read it, and its own `exported` says what it is."""
    with Lake(filled.location, [SEGMENTS, UTTERANCES], VIEWS) as lake:
        lake.create()
        done = publish(lake, file)
    assert (one(file, "SELECT count(*) FROM again"), one(file, "SELECT count(*) FROM utterances")) == (2, 2)
    assert one(file, "SELECT comment FROM duckdb_views() WHERE view_name = 'again'") == "Once more."
    about = "SELECT comment FROM duckdb_columns() WHERE (table_name, column_name) = ('segments', 'attempts')"
    assert one(file, about) == "how often it was asked for [1]"
    assert one(file, "SELECT (rows, snapshot_id) = (2, ?) FROM exported".replace("?", str(done.snapshot_id))) is True
    assert one(file, "SELECT count(*) FROM duckdb_views() WHERE view_name = 'lake_layout'") == 0
    assert one(file, "SELECT count(*) FROM duckdb_extensions() WHERE loaded AND extension_name = 'ducklake'") == 0


def test_whoever_has_the_old_one_open_goes_on_reading_it(filled: Lake, file: Path) -> None:
    """A dashboard holds its connection for days."""
    publish(filled, file)
    with duckdb.connect(file, read_only=True) as reader:
        assert reader.execute("SELECT count(*) FROM segments").fetchall() == [(2,)]
        filled.commit([Upsert(SEGMENTS, segments("c"))])
        assert publish(filled, file).rows["segments"] == 3
        assert reader.execute("SELECT count(*), min(state) FROM segments").fetchall() == [(2, "pending")]
    assert one(file, "SELECT count(*) FROM segments") == 3
    assert [path.name for path in file.parent.glob("*out*")].count("out.duckdb") == 1
    assert not list(file.parent.glob("*.unfinished*"))


@pytest.mark.parametrize("content", ["CREATE TABLE mine (n INTEGER)", "CREATE TABLE exported (n INTEGER)", None])
def test_a_file_that_is_no_export_is_refused_and_left_alone(filled: Lake, file: Path, content: str | None) -> None:
    """Somebody's own database, or no database at all."""
    if content:
        with duckdb.connect(file) as con:
            con.execute(content)
    else:
        file.write_text("my thesis")
    before = file.read_bytes()
    with pytest.raises(ExportError, match=r"somebody's own|no DuckDB file"):
        publish(filled, file)
    assert file.read_bytes() == before


def test_an_export_in_which_somebody_works_is_not_replaced(filled: Lake, file: Path) -> None:
    """Open for writing, changed without being closed, or with a table of their own."""
    publish(filled, file)
    code = f"import duckdb; c = duckdb.connect({str(file)!r}); print('open', flush=True); input()"
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", code], **pipes, text=True) as writer:  # type: ignore[call-overload]
        assert writer.stdout.readline() == "open\n"
        with pytest.raises(ExportError, match="lock"):
            publish(filled, file)
        writer.communicate("\n")
    wal = file.with_name("out.duckdb.wal")
    wal.touch()
    with pytest.raises(ExportError, match=r"\.wal"):
        publish(filled, file)
    wal.unlink()
    with duckdb.connect(file) as con:
        con.execute("CREATE TABLE mine (n INTEGER)")
    with pytest.raises(ExportError, match="mine"):
        publish(filled, file)
    assert one(file, "SELECT count(*) FROM mine") == 0


def test_the_export_of_another_lake_is_not_replaced(filled: Lake, file: Path, tmp_path: Path) -> None:
    """A test system's settings, say."""
    publish(filled, file)
    with Lake(Location.parse(str(tmp_path / "other")), [SEGMENTS, UTTERANCES]) as other:
        other.create()
        with pytest.raises(ExportError, match="another lake"):
            publish(other, file)


def test_a_disk_without_room_leaves_the_old_file(filled: Lake, file: Path) -> None:
    """And no half of a new one."""
    publish(filled, file)
    folder = str(Path(filled.location.catalog).parent)
    code = (
        "from pathlib import Path; from sinks import Lake, Location; from sinks.publish import publish\n"
        "from tests.sinks.tables import *\n"
        f"publish(Lake(Location.parse({folder!r}), [SEGMENTS, UTTERANCES]), Path({str(file)!r}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=Path(__file__).parents[2],
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (65_536, 65_536)),
        capture_output=True,
        text=True,
        check=False,
    )
    assert "ExportError: cannot use" in done.stderr
    assert one(file, "SELECT count(*) FROM segments") == 2
    assert not list(file.parent.glob("*.unfinished*"))


def test_a_place_that_cannot_be_written_is_named(filled: Lake, tmp_path: Path) -> None:
    """A folder, or a folder that is not there."""
    (tmp_path / "folder.duckdb").mkdir()
    for name in ("folder.duckdb", "nowhere/out.duckdb"):
        with pytest.raises(ExportError, match="folder"):
            publish(filled, tmp_path / name)
