"""One lake, everybody at once: does any reader see a state that never was, and what do writers wait?

    .venv/bin/python -m tests.bench.together [--minutes 3]

Real processes on a sandbox with 120 transcripts in 6 s: ingests one after the other, as a schedule starts them, one
long backfill, and maintenance every 15 seconds. Between two maintenances the lake is made a day older, so that they
expire snapshots and remove files: to a reader, the two days for which its files are kept last half a minute.

Four readers ask without a pause (`together.sql`) whether transcripts have their utterances and windows their segments,
and whether anything has become less than it was:

    plain        another process with DuckDB and its extension alone, attached as the README says
    query        the command line
    session      one connection that stays open, one query at a time
    transaction  another process; one transaction of several statements with pauses between them

Wrong are errors of anybody and inconsistent reads; then the exit code is 1.
"""

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple

import duckdb

from flows.runtime import open_lake
from flows.settings import load_settings
from sinks.engine import load
from sinks.errors import LakeError
from sinks.lake import Lake
from sinks.location import Location
from sinks.lock import write_lock
from tests.processes import ROOT, SandboxProcess, run_cli, sandbox_process
from tests.sinks.aging import age

CHECK_SQL = re.sub("--.*", "", Path(__file__).with_suffix(".sql").read_text()).strip()
LIMITS = {"transcript": "120/6", "metadata": "1000/60"}
MAINTAIN_EVERY_S, INGEST_PAUSE_S, PAUSE_S = 15.0, 3.0, 0.3
INGEST_MINUTES = "0.1"
DAY = 1.01  # a little more than one, for what is kept for days


class Read(NamedTuple):
    """What one look at the lake found; the names are the columns of `together.sql`."""

    transcripts_wrong: int
    windows_wrong: int
    segments: int
    utterances: int
    windows: int


NOTHING = Read(0, 0, 0, 0, 0)


class Torn(Exception):
    """One transaction saw two states."""


@dataclass
class Seen:
    """What one reader, or one writer, came to."""

    done: int = 0
    inconsistent: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    most: Read = NOTHING

    def note(self, read: Read) -> None:
        """Count a read and judge it: nothing wrong in it, and nothing less than in the one before."""
        self.done += 1
        if read[:2] != (0, 0) or any(now < before for now, before in zip(read[2:], self.most[2:], strict=True)):
            self.inconsistent.append(f"{read} after {self.most}")
        self.most = read


# Readers. Each makes a function that reads once; it runs in the reader's own process or thread.


@contextmanager
def plain(catalog: str) -> Iterator[Callable[[], Read]]:
    """DuckDB alone, attached by the README's own words; its extensions come from their wheels, not from the net."""
    with duckdb.connect(":memory:", config={"autoinstall_known_extensions": False}) as con:
        for extension in ("sqlite_scanner", "ducklake"):
            load(con, extension)
        block = re.search(r"```sql\n(INSTALL ducklake;.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
        assert block, "README no longer says how plain DuckDB attaches the lake"
        for statement in con.extract_statements(block[1].replace("lake/catalog.sqlite", catalog)):
            if not statement.query.strip().startswith(("INSTALL", "LOAD")):
                con.execute(statement)
        yield lambda: Read(*con.execute(CHECK_SQL).fetchall()[0])


@contextmanager
def query(catalog: str) -> Iterator[Callable[[], Read]]:
    """A process for each read, as somebody at a terminal."""
    env = os.environ | {"RINGCX_LAKE": str(Path(catalog).parent)}

    def read() -> Read:
        done = run_cli("query", CHECK_SQL, "--format", "json", env=env)
        if done.returncode:
            raise LakeError(f"exit code {done.returncode}: {done.stdout}{done.stderr}")
        return Read(**json.loads(done.stdout)[0])

    yield read


@contextmanager
def session(catalog: str) -> Iterator[Callable[[], Read]]:
    """A program of ours that stays open, such as `serve`."""
    with lake_at(catalog) as lake:
        yield lambda: Read(**lake.query(CHECK_SQL).to_pylist()[0])


@contextmanager
def transaction(catalog: str) -> Iterator[Callable[[], Read]]:
    """One state of the lake for several statements: what the first saw, the last sees too."""
    with lake_at(catalog) as lake:

        def read() -> Read:
            with lake.read() as con:
                first = con.execute(COUNTS_SQL).fetchall()
                time.sleep(PAUSE_S)
                found = Read(*con.execute(CHECK_SQL).fetchall()[0])
                time.sleep(PAUSE_S)
                last = con.execute(COUNTS_SQL).fetchall()
            if not first == last == [found[2:]]:
                raise Torn(f"{first}, then {found}, then {last} in one transaction")
            return found

        yield read


COUNTS_SQL = "SELECT (SELECT count(*) FROM segments), (SELECT count(*) FROM utterances), (SELECT count(*) FROM windows)"
READERS = {"plain": plain, "query": query, "session": session, "transaction": transaction}


def keep_reading(name: str, catalog: str, until: float) -> Seen:
    """Read until then."""
    seen = Seen()
    with READERS[name](catalog) as read:
        while time.time() < until:
            try:
                seen.note(read())
            except Torn as torn:
                seen.inconsistent.append(str(torn))
            except (duckdb.Error, LakeError) as error:
                seen.errors.append(str(error))
    return seen


# Writers, each command in a process of its own


def let_a_day_pass(location: Location) -> None:
    """The lake is a day older. In a process where DuckDB has not opened it.

    Python's SQLite and DuckDB's know nothing of each other: one that closes the file drops the other's locks, and the
    catalog was damaged when both were at work in one process.
    """
    with write_lock(location, timeout_s=60):
        age(location, DAY)


class Writers:
    """Commands on one lake, which note how long their commits took."""

    def __init__(self, env: Mapping[str, str], folder: Path, until: float) -> None:
        self._env, self._until = {**env, "PYTHONPATH": str(ROOT)}, until
        self._notes = folder / "commits"
        self._location = Location.parse(env["RINGCX_LAKE"])

    def ingests(self) -> Seen:
        """One after the other, each with an end, as the schedule's have one: the backfill's transcripts are due too."""
        seen = Seen()
        while time.time() < self._until:
            self.run(seen, "ingest", "--max-minutes", INGEST_MINUTES)
            time.sleep(INGEST_PAUSE_S)
        return seen

    def backfill(self, end: datetime) -> Seen:
        """One, of more than it can load in this time."""
        seen = Seen()
        minutes = str((self._until - time.time()) / 60)
        span = ("--start", (end - timedelta(hours=20)).isoformat(), "--end", end.isoformat())
        self.run(seen, "backfill", *span, "--max-minutes", minutes)
        return seen

    def maintenances(self) -> Seen:
        """One a day, of which there are several a minute."""
        seen = Seen()
        with spawning(1) as calendar:
            while time.time() + MAINTAIN_EVERY_S < self._until:
                time.sleep(MAINTAIN_EVERY_S)
                calendar.submit(let_a_day_pass, self._location).result()
                self.run(seen, "maintain")
        return seen

    def run(self, seen: Seen, *command: str) -> None:
        """One command, to its end."""
        launcher = (sys.executable, "-m", "tests.bench.timed", str(self._notes), *command)
        done = subprocess.run(
            launcher,
            env=self._env,
            cwd=self._notes.parent,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        seen.done += 1
        if done.returncode:
            seen.errors.append(f"{command[0]}: exit code {done.returncode}: {done.stdout}")

    def commits(self) -> list[float]:
        """How long each commit took, in seconds."""
        return sorted(map(float, self._notes.read_text().split()))


class Size(NamedTuple):
    """Parquet files that make up the lake now, those on the disk, and the snapshots that can be read."""

    live: int
    on_disk: int
    snapshots: int
    expired: int

    def __str__(self) -> str:
        return f"{self.live:,} files in use, {self.on_disk:,} on the disk, {self.snapshots:,} snapshots"


def size(lake: Lake) -> Size:
    """How large the lake is now. Snapshots are numbered from 0, so those that are not there have expired."""
    with lake.read() as con:
        live = con.execute("SELECT sum(file_count + delete_file_count) FROM ducklake_table_info('lake')").fetchall()
        snapshots = con.execute("SELECT count(*), max(snapshot_id) + 1 FROM ducklake_snapshots('lake')").fetchall()
    there, ever = snapshots[0]
    on_disk = sum(1 for _ in Path(lake.location.data_path).rglob("*.parquet"))
    return Size(int(live[0][0]), on_disk, there, ever - there)


def lake_at(catalog: str) -> Lake:
    """The lake with this catalog."""
    return open_lake(load_settings(_env_file=None, ringcx_lake=f"sqlite:{catalog}"))


def all_at_once(sandbox: SandboxProcess, folder: Path, minutes: float) -> bool:
    """Let all of them work for so long, and print what came of it; whether nothing was wrong."""
    now = datetime.now(UTC).replace(second=0, microsecond=0)
    start = now - timedelta(minutes=10)
    env = sandbox.settings(folder) | {f"RINGCX_{kind.upper()}_LIMITS": limit for kind, limit in LIMITS.items()}
    env |= {"RINGCX_WINDOW_SECONDS": "60", "RINGCX_START": start.isoformat(), "RINGCX_SNAPSHOT_DAYS": "2"}
    catalog = str(folder / "lake" / "catalog.sqlite")
    first = run_cli("ingest", env=env)
    assert first.returncode == 0, first.stdout + first.stderr
    until = time.time() + 60 * minutes
    writers = Writers(env, folder, until)
    with lake_at(catalog) as lake, ThreadPoolExecutor() as threads, spawning(2) as processes:
        before = size(lake)
        writing = {name: threads.submit(getattr(writers, name)) for name in ("ingests", "maintenances")}
        writing["backfill"] = threads.submit(writers.backfill, start)
        pools = {"plain": processes, "query": threads, "session": threads, "transaction": processes}
        reading = {name: pool.submit(keep_reading, name, catalog, until) for name, pool in pools.items()}
        wrote, read = results(writing), results(reading)
        after = size(lake)
    show(wrote, read, writers.commits())
    print(f"lake before: {before}")
    print(f"lake after:  {after}, {after.expired:,} expired")
    return not any(seen.errors or seen.inconsistent for seen in (*wrote.values(), *read.values()))


def spawning(workers: int) -> ProcessPoolExecutor:
    """Processes that begin afresh: DuckDB does not survive a fork."""
    return ProcessPoolExecutor(workers, mp_context=get_context("spawn"))


def results(futures: Mapping[str, Future[Seen]]) -> dict[str, Seen]:
    """What each came to, when all have ended."""
    return {name: future.result() for name, future in futures.items()}


def show(wrote: Mapping[str, Seen], read: Mapping[str, Seen], commits: list[float]) -> None:
    """The figures, and the first of whatever was wrong."""
    for name, seen in wrote.items():
        print(f"{name}: {seen.done} done, {len(seen.errors)} errors")
    for name, seen in read.items():
        print(f"reader {name}: {seen.done:,} reads, {len(seen.inconsistent)} inconsistent, {len(seen.errors)} errors")
    most = max((seen.most for seen in read.values()), key=lambda one: one.utterances)
    print(f"last seen: {most.segments:,} segments, {most.utterances:,} utterances, {most.windows:,} windows")
    p50, p95 = statistics.median(commits), statistics.quantiles(commits, n=20)[-1]
    print(
        f"commits: {len(commits):,}, waits for the lock included: median {1000 * p50:.0f} ms,"
        f" p95 {1000 * p95:.0f} ms, worst {1000 * max(commits):,.0f} ms"
    )
    everybody = {**wrote, **read}.items()
    wrong = [f"{name}: {said}" for name, seen in everybody for said in (*seen.errors, *seen.inconsistent)]
    print(f"wrong: {len(wrong)}")
    for said in wrong[:10]:
        print(f"  {said[:1000]}")


def main() -> None:
    """Run, print, and exit with 1 if anything was wrong."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=3.0)
    options = parser.parse_args()
    arguments = [word for kind, limit in LIMITS.items() for word in (f"--{kind}-limits", limit)]
    arguments += ["--dialogs-per-hour", "600", "--days", "2"]
    with tempfile.TemporaryDirectory() as folder, sandbox_process(*arguments) as sandbox:
        well = all_at_once(sandbox, Path(folder), options.minutes)
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[1]:.1f} in the last 5 minutes; {time.strftime('%Y-%m-%d')}")
    sys.exit(0 if well else 1)


if __name__ == "__main__":
    main()
