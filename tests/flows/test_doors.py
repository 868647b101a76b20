"""The doors through which analysts come: shell, export, changes, the notebook and the README's snippets."""

import csv
import re
import shlex
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import pyarrow.parquet as pq
import pytest

from connectors.sandbox import SandboxConfig
from flows import loading
from flows.notebooks import ten_questions
from flows.runtime import open_runtime
from sinks.engine import extension_file
from tests.processes import ROOT, clean_environment, run, run_cli
from tests.virtual_time import World, run_virtually

README = (ROOT / "README.md").read_text()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a lake in it: an hour of the default sandbox. Nothing here changes it."""
    folder = tmp_path_factory.mktemp("doors")

    async def load(world: World) -> None:
        start = datetime.fromtimestamp(world.clock(), UTC) - timedelta(hours=1)
        async with open_runtime(world.settings(ringcx_start=start), world.clock, world.transport) as runtime:
            await loading.ingest(runtime)

    run_virtually(load, SandboxConfig(), folder)
    return folder


@pytest.fixture
def env(folder: Path) -> dict[str, str]:
    """An environment that points at that lake and at no platform."""
    return clean_environment() | {"RINGCX_LAKE": str(folder / "lake")}


def test_the_shell_cannot_change_the_lake_and_can_make_files_of_ones_own(env: dict[str, str], tmp_path: Path) -> None:
    """The attach is read-only, views are there by their bare names, times are UTC; the rest is its user's."""
    sql = "CREATE TABLE own.main.mine AS SELECT *, current_setting('TimeZone') AS zone FROM agent_daily"
    done = run_cli("shell", "own.duckdb", "-c", f"{sql}; DELETE FROM segments", env=env, cwd=tmp_path)
    assert (done.returncode, "read-only" in done.stderr) == (1, True)
    with duckdb.connect(tmp_path / "own.duckdb") as con:
        assert con.execute("SELECT DISTINCT zone FROM mine").fetchall() == [("UTC",)]


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("shell", "-init", "mine.sql"), 2, "-cmd"),
        (("export", "out.duckdb", "--since", "2026-01-01"), 2, "leave out --since"),
        (("export", "out", "--tables", "segments", "words"), 1, "no tables words: choose of segments"),
        (("changes", "segments", "--since", "soon"), 2, "ISO 8601"),
    ],
)
def test_what_cannot_be_done_says_what_can(
    arguments: tuple[str, ...], code: int, words: str, env: dict[str, str], tmp_path: Path
) -> None:
    """Exit codes as everywhere, and no traceback."""
    (tmp_path / "mine.txt").touch()
    done = run_cli(*arguments, env=env, cwd=tmp_path)
    assert (done.returncode, words in done.stderr, "Traceback" in done.stderr) == (code, True, False), done.stderr


def test_the_notebook_answers_all_ten_questions(
    env: dict[str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As a script: on a sandbox's conversations, each with rows. A cell that fails would raise here."""
    monkeypatch.setenv("RINGCX_LAKE", env["RINGCX_LAKE"])
    _, defined = ten_questions.app.run()
    answers = defined["answers"]
    defined["lake"].close()
    assert [question.split(".")[0] for question in answers] == [str(number) for number in range(1, 11)]
    assert [question for question, rows in answers.items() if not rows.num_rows] == []
    printed = capsys.readouterr().out
    assert all(question in printed for question in answers)


def snippets(language: str) -> list[str]:
    """The README's blocks of one language, of what analysts do."""
    section = README.partition("## For analysts")[2].partition("\n## ")[0]
    return re.findall(rf"```{language}\n(.*?)```", section, re.DOTALL)


@pytest.fixture
def reader(env: dict[str, str], folder: Path, tmp_path: Path) -> dict[str, str]:
    """A home in which DuckDB's extensions are installed, as INSTALL would, so that nobody needs the network."""
    place = tmp_path / "home" / ".duckdb" / "extensions" / f"v{duckdb.__version__}" / platform()
    place.mkdir(parents=True)
    for name in ("ducklake", "sqlite_scanner"):
        file = extension_file(name)
        assert file
        (place / file.name).symlink_to(file)
    (tmp_path / "lake").symlink_to(folder / "lake")
    return env | {"HOME": str(tmp_path / "home")}


def platform() -> str:
    with duckdb.connect() as con:
        return str(con.execute("PRAGMA platform").fetchall()[0][0])


def test_the_readmes_sql_runs_in_duckdbs_own_program(reader: dict[str, str], tmp_path: Path) -> None:
    """Attached as written there; a day ago is too long ago for this lake."""
    attach, past, changed = snippets("sql")
    sql = attach + past.replace("INTERVAL 1 DAY", "INTERVAL 0 DAY") + changed
    done = run("duckdb", "-csv", "-bail", "-c", sql, env=reader, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert "channel_type" in done.stdout


def test_the_readmes_python_runs(reader: dict[str, str], tmp_path: Path) -> None:
    """But for pandas, which is nobody's dependency here."""
    code = snippets("python")[0].replace(".df()", ".fetchall()") + "print(len(frame))"
    done = run("python", "-c", code, env=reader, cwd=tmp_path)
    assert done.stdout.strip().isdecimal(), done.stderr


def test_the_readmes_commands_run(env: dict[str, str], folder: Path, tmp_path: Path) -> None:
    """All but the notebook's editor."""
    section = README.partition("## For analysts")[2]
    lines = re.findall(r"```\n(.*?)```", section, re.DOTALL)[0].splitlines()
    commands = [shlex.split(line, comments=True)[1:] for line in lines if line.startswith("ringcx-etl")]
    assert {command[0] for command in commands} == {"shell", "export", "changes"}
    done = [run("ringcx-etl", *command, env=env, cwd=tmp_path) for command in commands]
    assert [it.returncode for it in done] == [0] * len(commands), done
    said = dict(zip((" ".join(command[:2]) for command in commands), (it.stdout for it in done), strict=True))
    with duckdb.connect(tmp_path / "warehouse.duckdb", read_only=True) as con:
        utterances = con.execute("SELECT sum(turns) FROM conversations").fetchall()[0][0]
        assert con.execute("SELECT count(*) FROM utterances").fetchall() == [(utterances,)]
        assert con.execute("SELECT count(*) > 0 FROM search_turns('order')").fetchall() == [(True,)]
    assert pq.read_table(tmp_path / "warehouse" / "utterances").num_rows == utterances
    assert f" {utterances:,} utterances, " in said["export warehouse"]
    assert f" {utterances:,} utterances, " in said["export warehouse.duckdb"]
    table = list(csv.DictReader(said["shell -csv"].splitlines()))
    assert "conversations" in table[0]
    assert not done[1].stderr  # nothing but the rows comes out of a shell
    assert 0 < pq.read_table(tmp_path / "new.parquet").num_rows <= utterances
    assert said["changes utterances"].strip().isdecimal()
