"""An operator's Prefect: a real server, a real worker, the deployments of prefect.yaml, and what the UI would show."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import httpx
import pytest

from tests.processes import ROOT, SandboxProcess, free_port, run, run_cli, running, sandbox_process

pytestmark = pytest.mark.slow
T = TypeVar("T")
UNLIMITED = "1000000/60"
ENDED = {"COMPLETED", "FAILED", "CRASHED", "CANCELLED"}


@dataclass(frozen=True, slots=True)
class Site:
    """A server with a worker, and the settings that everything on it has."""

    api: httpx.Client
    env: dict[str, str]
    folder: Path

    def ask(self, path: str, **body: object) -> Any:
        """The answer to one POST."""
        answer = self.api.post(path, json=body).raise_for_status()
        return answer.json() if answer.content else None

    def run_of(self, deployment: str, *parameters: str) -> dict[str, Any]:
        """The flow run that `prefect deployment run` started, once it has ended."""
        given = [part for parameter in parameters for part in ("-p", parameter)]
        started = run("prefect", "deployment", "run", deployment, *given, env=self.env, cwd=self.folder)
        assert started.returncode == 0, started.stderr
        flow = deployment.partition("/")[0]

        def ended() -> dict[str, Any] | None:
            runs = self.ask("/flow_runs/filter", flows={"name": {"any_": [flow]}})
            return next((found for found in runs if found["state_type"] in ENDED), None)

        return until(ended, self.output)

    def output(self) -> str:
        """All that server and worker have printed."""
        return "".join(log.read_text() for log in sorted(self.folder.glob("*.log")))


def until(found: Callable[[], T | None], otherwise: Callable[[], str], seconds: float = 60) -> T:
    """What `found` gives once it gives something."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if (value := found()) is not None:
            return value
        time.sleep(0.25)
    pytest.fail(otherwise())


def is_up(api: httpx.Client) -> bool | None:
    try:
        return api.get("/health").is_success or None
    except httpx.TransportError:
        return None


@contextmanager
def prefect_site(sandbox: SandboxProcess, folder: Path) -> Iterator[Site]:
    """Server, work pool, deployments and worker, started by the commands of the manual."""
    port = free_port()
    url = f"http://127.0.0.1:{port}/api"
    env = sandbox.settings(folder) | {
        "RINGCX_TRANSCRIPT_LIMITS": UNLIMITED,
        "RINGCX_METADATA_LIMITS": UNLIMITED,
        "RINGCX_START": (datetime.now(UTC) - timedelta(hours=3)).isoformat(),
        "PREFECT_HOME": str(folder / "prefect"),
        "PREFECT_API_URL": url,
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_WORKER_QUERY_SECONDS": "1",
        # Prefect 3.8.4 on SQLite: "database is locked" whenever a worker polls, tried again with success
        # (PrefectHQ/prefect#22967 and #23052, in 3.8.6). It comes from a library's logger; Prefect's own have levels.
        "PREFECT_LOGGING_ROOT_LEVEL": "CRITICAL",
    }
    server = running("prefect", "server", "start", "--port", str(port), env=env, cwd=folder, log=folder / "server.log")
    with server, httpx.Client(base_url=url, timeout=30) as api:
        site = Site(api, env, folder)
        until(lambda: is_up(api), site.output)
        for command in (("work-pool", "create", "--type", "process", "ringcx"), ("deploy", "--all")):
            done = run("prefect", *command, env=env, cwd=ROOT)
            assert done.returncode == 0, done.stdout + done.stderr
            assert "warning" not in (done.stdout + done.stderr).lower()
        ingest = api.get("/deployments/name/ingest/every-15-minutes").raise_for_status().json()
        site.ask(f"/deployments/{ingest['id']}/pause_deployment")  # its schedule would come between, four times an hour
        with running("prefect", "worker", "start", "--pool", "ringcx", env=env, cwd=folder, log=folder / "worker.log"):
            yield site


def test_what_an_operator_starts_in_prefect_arrives_in_the_tables_and_shows_in_the_ui(tmp_path: Path) -> None:
    """Nothing but this finds a deployment that Prefect cannot load, or a flow that only runs from the command line."""
    limits = ("--transcript-limits", UNLIMITED, "--metadata-limits", UNLIMITED)
    now = datetime.now(UTC).replace(microsecond=0, tzinfo=None)
    span = (f"start={(now - timedelta(hours=8)).isoformat()}", f"end={(now - timedelta(hours=5)).isoformat()}")
    with (
        sandbox_process("--days", "1", "--dialogs-per-hour", "20", *limits) as sandbox,
        prefect_site(sandbox, tmp_path) as site,
    ):
        ended = [site.run_of("ingest/every-15-minutes"), site.run_of("backfill/by-hand", *span)]
        assert [flow_run["state_name"] for flow_run in ended] == ["Completed", "Completed"], site.output()
        pages = {page["key"]: page["data"] for page in site.ask("/artifacts/latest/filter")}
        tasks = {name.partition(" ")[0] for name in (task["name"] for task in site.ask("/task_runs/filter"))}
        logs = json.dumps(site.ask("/logs/filter", limit=200))
        sql = "SELECT kind, segments_loaded, transcripts_stored, utterances_loaded FROM runs ORDER BY started_at"
        rows = json.loads(run_cli("query", sql, "--format", "json", env=site.env, cwd=tmp_path).stdout)
    assert [row["kind"] for row in rows] == ["ingest", "backfill"]
    for row in rows:
        assert row["utterances_loaded"] > 100
        assert f"| {row['segments_loaded']} |" in pages[row["kind"]]
        assert f"**{row['transcripts_stored']}** transcripts stored" in pages[row["kind"]]
    assert tasks == {"poll", "store"}  # not one for each transcript
    assert not [word for word in ("ERROR", "CRITICAL", "WARNING", "Traceback") if word in site.output()], site.output()
    secrets = (sandbox.exports["RINGCENTRAL_CLIENT_SECRET"], sandbox.exports["RINGCENTRAL_JWT"], "Bearer ")
    assert not [secret for secret in secrets if secret in logs + site.output()]
