"""A world that breaks around the command line: it says what is wrong and what to do, and goes on once that is mended.

The judge is `tests.crash`: the lake is compared with the sandbox's truth, and its log tells what was asked for again.
"""

import re
import shutil
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from connectors.sandbox import SandboxConfig, generate_account
from connectors.sandbox.server import SandboxServer
from flows.sandboxes import point_at
from tests.crash import crash_test
from tests.processes import clean_environment, run_cli

CATALOG = "catalog.sqlite"


def mount(*arguments: str) -> None:
    """`mount ARGUMENTS`; where that is not allowed, the test cannot be done."""
    done = subprocess.run(["mount", *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"needs the right to mount: {done.stderr.strip()}")


@contextmanager
def disk(folder: Path) -> Iterator[None]:
    """A disk of its own at this folder, with room for four megabytes."""
    folder.mkdir(parents=True, exist_ok=True)
    mount("-t", "tmpfs", "-o", "size=4m", "tmpfs", str(folder))
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


@contextmanager
def full(folder: Path, *, but_for: int) -> Iterator[None]:
    """The disk at this folder, with room for so many bytes; of what is written meanwhile, all stays."""
    free = shutil.disk_usage(folder).free
    ballast = folder / "ballast"
    ballast.write_bytes(bytes(free - but_for))
    try:
        yield
    finally:
        ballast.unlink()


@contextmanager
def read_only(folder: Path) -> Iterator[None]:
    """A disk that may only be read."""
    mount("--bind", str(folder), str(folder))
    try:
        mount("-o", "remount,bind,ro", str(folder))
        yield
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


@contextmanager
def changed(file: Path, change: Callable[[Path], object]) -> Iterator[None]:
    """A file that something happened to, as it was again at the end, with nothing new beside it."""
    before = set(file.parent.iterdir())
    kept = file.read_bytes()
    change(file)
    try:
        yield
    finally:
        for path in set(file.parent.iterdir()) - before:
            path.unlink()
        file.write_bytes(kept)


def damage(file: Path) -> None:
    """Another header than a SQLite file has."""
    file.write_bytes(b"\xa5" * 100 + file.read_bytes()[100:])


def make_newer(file: Path) -> None:
    """The catalog of a DuckLake that is not out yet."""
    with closing(sqlite3.connect(file)) as catalog, catalog:
        catalog.execute("UPDATE ducklake_metadata SET value = '99.0' WHERE key = 'version'")


def cut(file: Path) -> None:
    """Half of it."""
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def largest(folder: Path) -> Path:
    """The largest Parquet file of a table."""
    return max(folder.rglob("*.parquet"), key=lambda path: path.stat().st_size)


def contents(folder: Path) -> dict[Path, bytes]:
    """The catalog and every Parquet file below."""
    return {path: path.read_bytes() for path in folder.rglob("*") if path.suffix in (".sqlite", ".parquet")}


def breakages(folder: Path) -> Iterator[tuple[AbstractContextManager[None], tuple[str, ...], str]]:
    """What may happen to a lake, the command that meets it, and words of its message. Last, what exits with 2."""
    load = ("backfill", "--start", "2026-01-01", "--end", "2026-01-02")
    lake, data = folder / "lake", folder / "lake/data"
    yield read_only(lake), load, f"cannot write to {lake}: make it writable"
    yield read_only(data), load, f"cannot write to {data}: make it writable"
    yield read_only(folder / "state"), load, f"cannot use {folder}/state.*RINGCX_STATE_PATH must be"
    yield changed(lake / CATALOG, damage), load, f"{CATALOG}.* the catalog is damaged: put it back from a backup"
    yield changed(lake / CATALOG, make_newer), load, f"{CATALOG}.* is of DuckLake 99.0.* upgrade ringcx-etl"
    lost, short = largest(data / "main/segments"), largest(data / "main/utterances")
    yield changed(lost, Path.unlink), ("verify",), f"{lost.name}.*put it back from a backup"
    yield changed(short, cut), ("query", "SELECT max(message) FROM utterances"), f"{short.name}.*put it back from a"
    yield changed(lake / CATALOG, Path.unlink), load, f"RINGCX_LAKE.*should be at {lake / CATALOG}: put that back"


def assert_no_room(done: subprocess.CompletedProcess[str], folder: Path) -> None:
    """A command that ended with one message, which names the folder and says that it wants room."""
    *before, last = done.stderr.splitlines()
    assert done.returncode == 1
    assert re.fullmatch(rf"ringcx-etl: cannot use .*{folder}/.* (make|has|with) room.*", last), done.stderr
    assert not any("Error" in line for line in before)


@pytest.mark.slow
def test_a_full_disk_is_named_and_costs_nothing_that_was_stored(tmp_path: Path) -> None:
    """At the catalog, at what processes share, and at the data: there in the middle of a load."""
    lake, data, state = tmp_path / "lake", tmp_path / "lake/data", tmp_path / "state"
    with crash_test(tmp_path, hours=3, dialogs_per_hour=20) as test, disk(lake), disk(data), disk(state):
        half = (test.start + timedelta(hours=1.5)).isoformat()
        load = ("backfill", "--start", test.start.isoformat(), "--end")
        assert run_cli(*load, half, env=test.env, cwd=tmp_path).returncode == 0
        test.look()
        for folder, free in ((data, 60_000), (lake, 20_000), (state, 0)):
            with full(folder, but_for=free):
                assert_no_room(run_cli(*load, test.end.isoformat(), env=test.env, cwd=tmp_path), folder)
            test.look()
        assert test.finish().wrong == []
        assert test.figures.compared > 20


@pytest.mark.slow
def test_a_lake_that_somebody_broke_is_refused_and_goes_on_when_mended(tmp_path: Path) -> None:
    """Each message says what is wrong and what to do; nothing is made over the remains, nor written to them."""
    with crash_test(tmp_path, hours=3, dialogs_per_hour=20) as test:
        half = (test.start + timedelta(hours=2)).isoformat()
        run_cli("backfill", "--start", test.start.isoformat(), "--end", half, env=test.env, cwd=tmp_path)
        test.look()
        test.lake.close()
        whole = contents(tmp_path / "lake")
        for broken, command, words in breakages(tmp_path):
            with broken:
                done = run_cli(*command, env=test.env, cwd=tmp_path)
            assert done.returncode == (2 if "RINGCX_LAKE" in words else 1)
            assert re.fullmatch(f"ringcx-etl: .*{words}.*\n", done.stderr)
            assert contents(tmp_path / "lake") == whole
        assert test.finish().wrong == []
        assert test.figures.compared > 20


@pytest.mark.slow
def test_a_clock_a_day_ahead_is_named(tmp_path: Path) -> None:
    """Or windows of tomorrow would be polled today, and be empty for ever. See also tests/flows/test_clock.py."""
    now = time.time() - 86400
    config = SandboxConfig(account=generate_account(start=now - 7200, dialogs_per_hour=20))
    paths = {"RINGCX_LAKE": str(tmp_path / "lake"), "RINGCX_STATE_PATH": str(tmp_path / "state")}
    with SandboxServer(config, clock=lambda: time.time() - 86400) as sandbox:
        env = clean_environment() | point_at(config, sandbox.base_url) | paths
        done = run_cli("ingest", env=env, cwd=tmp_path)
    assert done.returncode == 1
    assert re.fullmatch(r"ringcx-etl: this machine's clock is .* ahead .*: set it \(NTP\).*\n", done.stderr)
