"""The command line as a user meets it: what comes out, and with which exit code."""

import csv
import json
import re
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from connectors.sandbox import SandboxConfig
from flows import loading
from flows.runtime import open_runtime
from tests.processes import clean_environment, run_cli
from tests.virtual_time import World, run_virtually


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lake with a day's conversations of the default sandbox."""
    folder = tmp_path_factory.mktemp("lake")

    async def load(world: World) -> None:
        start = datetime.fromtimestamp(world.clock(), UTC) - timedelta(hours=1)
        async with open_runtime(world.settings(ringcx_start=start), world.clock, world.transport) as runtime:
            await loading.ingest(runtime)

    run_virtually(load, SandboxConfig(), folder)
    return folder / "lake"


@pytest.fixture
def env(lake: Path) -> dict[str, str]:
    """An environment that points at that lake and at no platform."""
    return clean_environment() | {"RINGCX_LAKE": str(lake)}


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["--help"], 0),
        (["--version"], 0),
        (["status"], 0),
        (["query", "SELECT 1"], 0),
        (["query", "SELEC 1"], 1),
        (["query", "DELETE FROM segments"], 1),
        (["query", "SELECT * FROM nowhere"], 1),
        (["query", "SELECT 1", "--format", "csv", "--output", "nowhere/rows.csv"], 1),
        (["nothing"], 2),
        (["query"], 2),
        (["ingest"], 2),
        (["maintain", "--dry-run"], 0),
        (["backfill", "--start", "2026-09-02", "--end", "2026-09-01"], 2),
        (["backfill", "--start", "soon", "--end", "2026-09-01"], 2),
    ],
)
def test_exit_codes_tell_done_failed_and_misused_apart(
    arguments: list[str], code: int, env: dict[str, str], tmp_path: Path
) -> None:
    """Schedulers and scripts read nothing else."""
    done = run_cli(*arguments, env=env, cwd=tmp_path)
    assert done.returncode == code
    assert "Traceback" not in done.stderr


def test_a_query_comes_out_as_json(env: dict[str, str], tmp_path: Path) -> None:
    """For programs."""
    done = run_cli("query", "SELECT 1 AS one, 'é' AS text", "--format", "json", env=env, cwd=tmp_path)
    assert json.loads(done.stdout) == [{"one": 1, "text": "é"}]


def test_a_query_comes_out_as_csv_in_a_file(env: dict[str, str], tmp_path: Path) -> None:
    """For spreadsheets."""
    sql = "SELECT 'a,b' AS text"
    run_cli("query", sql, "--format", "csv", "--output", "rows.csv", env=env, cwd=tmp_path)
    assert list(csv.reader((tmp_path / "rows.csv").read_text().splitlines())) == [["text"], ["a,b"]]


def test_a_query_comes_out_as_parquet_with_its_types(env: dict[str, str], tmp_path: Path) -> None:
    """For everything else; JSON columns as text that any reader knows."""
    sql = "SELECT segment_end_time, has_transcript, segment_events FROM segments"
    run_cli("query", sql, "--format", "parquet", "--output", "rows.parquet", env=env, cwd=tmp_path)
    schema = pq.read_schema(tmp_path / "rows.parquet")
    assert [str(kind) for kind in schema.types] == ["timestamp[us, tz=UTC]", "bool", "string"]


def test_markup_in_the_data_is_shown_as_it_is(env: dict[str, str], tmp_path: Path) -> None:
    """Text from outside is data: no colours, no control over the terminal."""
    done = run_cli("query", "SELECT '[red]hi[/red]' || chr(27) || '[2J' AS text", env=env, cwd=tmp_path)
    assert "[red]hi[/red]␛[2J" in done.stdout


def test_maintain_says_what_it_saves_and_then_saves_it(lake: Path, env: dict[str, str], tmp_path: Path) -> None:
    """First a look, then the deed; only the deed is on record."""
    shutil.copytree(lake, tmp_path / "copy")
    env = env | {"RINGCX_LAKE": str(tmp_path / "copy"), "RINGCX_STATE_PATH": str(tmp_path / "state")}
    look = run_cli("maintain", "--dry-run", env=env, cwd=tmp_path)
    deed = run_cli("maintain", env=env, cwd=tmp_path)
    total = re.compile(r"^ *all +(\d+) +(\d+) ", re.MULTILINE)
    files = [[int(count) for count in total.findall(done.stdout)[0]] for done in (look, deed)]
    assert files[0][0] > files[0][1]
    assert files[1][0] >= files[0][0]
    assert "to be removed: 0 old files" in look.stdout
    runs = run_cli(
        "query", "SELECT kind, state FROM runs ORDER BY started_at", "--format", "csv", env=env, cwd=tmp_path
    )
    assert runs.stdout.splitlines()[1:] == ['"ingest","done"', '"maintain","done"']


def test_status_says_how_far_everything_is(env: dict[str, str], tmp_path: Path) -> None:
    """One object: per sub-account the watermark, what is pending, the last runs."""
    found = json.loads(run_cli("status", "--json", env=env, cwd=tmp_path).stdout)
    assert [account["watermark"] for account in found["sub_accounts"]] == ["2026-09-01T11:45:00Z"] * 2
    assert found["runs"][0]["state"] == "done"
    assert found["pending"] == {"under an hour": 0, "under a day": 0, "under a week": 0, "older": 0}


def test_reading_a_lake_that_is_not_there_says_so_and_makes_none(tmp_path: Path) -> None:
    """A wrong path must not look like an empty lake."""
    done = run_cli("status", env=clean_environment() | {"RINGCX_LAKE": "nowhere"}, cwd=tmp_path)
    assert done.returncode == 1
    assert "nowhere" in done.stderr
    assert not (tmp_path / "nowhere").exists()
