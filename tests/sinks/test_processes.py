"""Several processes, and processes that die."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from sinks import Lake, LakeBusy, Location, Upsert
from sinks.lock import write_lock
from tests.sinks.tables import SEGMENTS, UTTERANCES, segments

ROOT = Path(__file__).parents[2]


def start(lake: Lake, name: str, commits: int) -> "subprocess.Popen[str]":
    command = [
        sys.executable,
        "-m",
        "tests.sinks.committer",
        str(Path(lake.location.catalog).parent),
        name,
        str(commits),
    ]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT)


def contents(lake: Lake) -> tuple[int, int]:
    """Commits that the lake holds; fails unless each is there completely and once."""
    with lake.read() as con:
        row = con.execute("SELECT count(*), count(DISTINCT id) FROM segments WHERE id <> 'shared'").fetchall()[0]
        attempts = con.execute("SELECT attempts FROM segments WHERE id = 'shared'").fetchall()
        texts = con.execute("SELECT count(*), count(DISTINCT (id, seq)) FROM utterances").fetchall()[0]
    assert row[0] == row[1]
    assert attempts == ([(row[0],)] if row[0] else [])
    assert texts == (2 * row[0], 2 * row[0])
    return row[0], texts[0]


def test_two_processes_lose_and_double_nothing(lake: Lake) -> None:
    """A backfill and the schedule run at once; both add to the same segment."""
    workers = [start(lake, name, 12) for name in ("x", "y")]
    for worker in workers:
        worker.communicate(timeout=60)
    assert [worker.returncode for worker in workers] == [0, 0]
    assert contents(lake) == (24, 48)


@pytest.mark.parametrize("commits", [1, 4])
def test_a_killed_process_leaves_whole_commits(lake: Lake, commits: int) -> None:
    """SIGKILL lands somewhere in the commit after the last one that was reported done."""
    worker = start(lake, "x", 1000)
    assert worker.stdout is not None
    for _ in range(commits):
        worker.stdout.readline()
    worker.kill()
    rest = worker.communicate()[0].splitlines()
    stored, _ = contents(lake)
    assert commits + len(rest) <= stored <= commits + len(rest) + 1
    lake.commit([Upsert(SEGMENTS, segments("after"))])  # the dead one's lock is free


def test_a_busy_lake_names_its_writer(lake: Lake, location: Location) -> None:
    """Whoever waits in vain wants to know for whom."""
    impatient = Lake(location, [SEGMENTS, UTTERANCES], lock_timeout_s=0.05)
    errors: list[LakeBusy] = []

    def attempt() -> None:
        with pytest.raises(LakeBusy) as caught:
            impatient.commit([Upsert(SEGMENTS, segments("a"))])
        errors.append(caught.value)

    with write_lock(location, 1):
        other = threading.Thread(target=attempt)
        other.start()
        other.join()
    assert f"process {os.getpid()} on " in str(errors[0])
    impatient.commit([Upsert(SEGMENTS, segments("a"))])


def test_a_writer_that_ignores_the_lock_costs_a_retry_not_a_double(lake: Lake, location: Location) -> None:
    """Locks get lost (an eager clean-up, other tools); DuckLake alone would let both new rows in."""

    def overtaken() -> None:
        with Lake(location, [SEGMENTS, UTTERANCES]) as other, lake.exclusive() as con:
            con.execute("BEGIN")
            con.execute("INSERT INTO segments (id) VALUES ('a')")
            Path(location.catalog + ".lock").unlink()
            other.commit([Upsert(SEGMENTS, segments("a"))])
            con.execute("COMMIT")

    with pytest.raises(LakeBusy):
        overtaken()
    assert lake.query("SELECT id FROM segments").to_pylist() == [{"id": "a"}]


def held(path: Path) -> int:
    """How many locks on a file this process holds, as Linux counts them."""
    locks = [line.split() for line in Path("/proc/locks").read_text().splitlines()]
    mine = (str(os.getpid()), str(path.stat().st_ino))
    return sum((words[-4], words[-3].split(":")[-1]) == mine for words in locks)


@pytest.mark.skipif(not Path("/proc/locks").exists(), reason="only Linux says who holds which lock")
def test_making_a_lake_leaves_a_readers_locks_alone(lake: Lake, location: Location) -> None:
    """Closing the catalog in another SQLite than DuckDB's would drop them all, for they are the process's."""
    other = Lake(location, [SEGMENTS, UTTERANCES])
    with lake.read() as con:
        con.execute("FROM segments")
        before = held(Path(location.catalog))
        other.create()
        assert held(Path(location.catalog)) >= before > 0
    other.close()
