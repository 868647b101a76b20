"""Exports and changes beside a process that commits without pause: each of one snapshot, nothing lost or doubled."""

import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb
import pyarrow.parquet as pq
import pytest

from sinks import Lake
from sinks.export import export
from sinks.feed import changes
from sinks.maintenance import maintain
from sinks.publish import publish

ROOT = Path(__file__).parents[2]


@contextmanager
def committer(lake: Lake, commits: int) -> Iterator["subprocess.Popen[str]"]:
    """Each commit adds 1 to the attempts of the segment `shared`, and brings another with two utterances."""
    folder = str(Path(lake.location.catalog).parent)
    command = [sys.executable, "-m", "tests.sinks.committer", folder, "x", str(commits)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as writer:
        assert writer.stdout is not None
        writer.stdout.readline()
        try:
            yield writer
        finally:
            writer.kill()


def check_commits(segments: int, utterances: int, attempts: int) -> None:
    """As every whole number of commits leaves it."""
    assert (segments - 1, utterances) == (attempts, 2 * attempts)


@pytest.mark.slow
def test_every_export_is_of_one_snapshot(lake: Lake, tmp_path: Path) -> None:
    """A folder that is brought up and a file that is replaced, again and again, a maintenance in between."""
    with committer(lake, 1000) as writer:
        seen: list[int] = []
        for _ in range(2):
            done = export(lake, str(tmp_path / "out"))
            segments = pq.read_table(tmp_path / "out" / "segments").to_pylist()
            attempts = next(int(row["attempts"]) for row in segments if row["id"] == "shared")
            check_commits(len(segments), pq.read_table(tmp_path / "out" / "utterances").num_rows, attempts)
            assert done.rows["segments"] == len(segments)
            published = publish(lake, tmp_path / "out.duckdb")
            with duckdb.connect(tmp_path / "out.duckdb", read_only=True) as con:
                counts = "SELECT count(*), (SELECT count(*) FROM utterances), max(attempts) FROM segments"
                check_commits(*con.execute(counts).fetchall()[0])
            seen += [done.snapshot_id, published.snapshot_id]
            if len(seen) == 2:
                maintain(lake)
        assert seen == sorted(seen)
        assert seen[0] < seen[-1]
        assert writer.poll() is None


@pytest.mark.slow
def test_a_loader_that_only_follows_the_changes_has_every_row_once(lake: Lake) -> None:
    """It starts with nothing, at snapshot 0, and is stopped nowhere in particular."""
    loaded: dict[str, Counter[tuple[object, ...]]] = {"segments": Counter(), "utterances": Counter()}
    since = dict.fromkeys(loaded, 0)

    def load() -> None:
        for name, have in loaded.items():
            found = changes(lake, name, since[name])
            for row in found.rows.to_pylist():
                kind, _, *values = row.values()
                for old in [it for it in have if kind == "update" and it[0] == values[0]]:
                    del have[old]
                have[tuple(values)] += -1 if kind == "delete" else 1
            since[name] = found.until

    with committer(lake, 8) as writer:
        while sum(loaded["segments"].values()) < 4:
            load()
        maintain(lake)
        while writer.poll() is None:
            load()
    load()
    with lake.read() as con:
        for name, have in loaded.items():
            assert +have == Counter(con.execute(f"FROM {name}").fetchall())
    assert sum(loaded["utterances"].values()) == 16
