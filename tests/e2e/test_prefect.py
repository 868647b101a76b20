"""An operator's Prefect: a real server, a real worker, the deployments of prefect.yaml, and what the UI would show."""

import json
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import httpx
import msgspec
import pytest

from connectors.sandbox import SandboxConfig, SandboxServer, generate_account
from flows.sandboxes import point_at
from tests.processes import ROOT, free_port, run, run_cli, running, sandbox_process

pytestmark = pytest.mark.slow
T = TypeVar("T")
UNLIMITED = "1000000/60"
INGEST, BACKFILL = "ingest/every-15-minutes", "backfill/by-hand"
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

    def run_of(self, deployment: str, *options: str) -> dict[str, Any]:
        """The flow run that `prefect deployment run` started, once it has ended."""
        started = run("prefect", "deployment", "run", deployment, *options, env=self.env, cwd=self.folder)
        assert started.returncode == 0, started.stdout + started.stderr
        flow_run_id = re.findall(r"UUID: (\S+)", started.stdout)[0]

        def ended() -> dict[str, Any] | None:
            flow_run: dict[str, Any] = self.api.get(f"/flow_runs/{flow_run_id}").raise_for_status().json()
            return flow_run if flow_run["state_type"] in ENDED else None

        return until(ended, self.output)

    def rows(self, sql: str, **settings: str) -> list[dict[str, Any]]:
        """What `ringcx-etl query` prints."""
        done = run_cli("query", sql, "--format", "json", env=self.env | settings, cwd=self.folder)
        assert done.returncode == 0, done.stderr
        return list(json.loads(done.stdout))

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


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Server, work pool, deployments and worker, started by the commands of the manual, and a sandbox."""
    folder, port = tmp_path_factory.mktemp("prefect"), free_port()
    url = f"http://127.0.0.1:{port}/api"
    limits = ("--transcript-limits", UNLIMITED, "--metadata-limits", UNLIMITED)
    with sandbox_process("--days", "1", "--dialogs-per-hour", "20", *limits) as sandbox:
        env = sandbox.settings(folder) | {
            "RINGCX_TRANSCRIPT_LIMITS": UNLIMITED,
            "RINGCX_METADATA_LIMITS": UNLIMITED,
            "RINGCX_START": (datetime.now(UTC) - timedelta(hours=3)).isoformat(),
            "PREFECT_HOME": str(folder / "prefect"),
            "PREFECT_API_URL": url,
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
            "PREFECT_WORKER_QUERY_SECONDS": "1",
            # Prefect 3.8.4 on SQLite: "database is locked" whenever a worker polls, tried again with success
            # (PrefectHQ/prefect#22967 and #23052, in 3.8.6). A library's logger says it; Prefect's own have levels.
            "PREFECT_LOGGING_ROOT_LEVEL": "CRITICAL",
        }
        start = ("prefect", "server", "start", "--port", str(port))
        work = ("prefect", "worker", "start", "--pool", "ringcx")
        with (
            running(*start, env=env, cwd=folder, log=folder / "server.log"),
            httpx.Client(base_url=url, timeout=30) as api,
        ):
            site = Site(api, env, folder)
            until(lambda: is_up(api), site.output)
            for command in (("work-pool", "create", "--type", "process", "ringcx"), ("deploy", "--all")):
                done = run("prefect", *command, env=env, cwd=ROOT)
                assert done.returncode == 0, done.stdout + done.stderr
                assert "warning" not in (done.stdout + done.stderr).lower()
            ingest = api.get(f"/deployments/name/{INGEST}").raise_for_status().json()
            site.ask(f"/deployments/{ingest['id']}/pause_deployment")  # its schedule would come between
            with running(*work, env=env, cwd=folder, log=folder / "worker.log"):
                yield site


def test_what_an_operator_starts_in_prefect_arrives_in_the_tables_and_shows_in_the_ui(site: Site) -> None:
    """Nothing but this finds a deployment that Prefect cannot load, or a flow that only runs from the command line."""
    now = datetime.now(UTC).replace(microsecond=0, tzinfo=None)
    span = [("-p", f"{name}={(now - timedelta(hours=ago)).isoformat()}") for name, ago in (("start", 8), ("end", 5))]
    ended = [site.run_of(INGEST), site.run_of(BACKFILL, *span[0], *span[1])]
    assert [flow_run["state_name"] for flow_run in ended] == ["Completed", "Completed"], site.output()
    pages = {page["key"]: page["data"] for page in site.ask("/artifacts/latest/filter")}
    rows = site.rows("SELECT * FROM runs ORDER BY started_at")
    assert [row["kind"] for row in rows] == ["ingest", "backfill"]
    for row in rows:
        assert row["utterances_loaded"] > 100
        assert f"| {row['segments_loaded']} |" in pages[row["kind"]]
        assert f"**{row['transcripts_stored']}** transcripts stored" in pages[row["kind"]]
    tasks = {task["name"].partition(" ")[0] for task in site.ask("/task_runs/filter")}
    assert tasks == {"poll", "store"}  # not one for each transcript
    said = (site.folder / "worker.log").read_text()
    assert not [word for word in ("ERROR", "CRITICAL", "WARNING", "Traceback") if word in said], said
    assert "Encountered exception in request" not in site.output()  # of the server, which knows nothing of our code


def test_a_sub_account_that_is_denied_fails_the_run_with_the_reason_and_the_other_is_loaded(site: Site) -> None:
    """A green run with half the data missing is found by the people who need the other half."""
    account = generate_account(dialogs_per_hour=20)
    allowed, *others = account.sub_accounts
    sub_accounts = (allowed, *(msgspec.structs.replace(other, denied=True) for other in others))
    config = SandboxConfig(account=account, sub_accounts=sub_accounts, limits={"metadata": UNLIMITED})
    with SandboxServer(config) as sandbox:
        settings = point_at(config, sandbox.base_url) | {"RINGCX_LAKE": str(site.folder / "denied")}
        ended = site.run_of(INGEST, "--job-variable", f"env={json.dumps(settings)}")
    assert ended["state_name"] == "Failed", site.output()
    assert f"sub-account {others[0].sub_account_id}" in ended["state"]["message"]
    assert "status 403" in ended["state"]["message"]
    loaded = site.rows("SELECT DISTINCT sub_account_id FROM utterances", RINGCX_LAKE=settings["RINGCX_LAKE"])
    assert loaded == [{"sub_account_id": allowed.sub_account_id}]
    assert "Traceback" not in (site.folder / "worker.log").read_text()


def test_no_secret_reaches_what_prefect_keeps_and_prints(site: Site) -> None:
    """Prefect's database and logs are read by more people than the settings are."""
    kept = json.dumps(
        [site.ask("/logs/filter", limit=200), site.ask("/artifacts/filter"), site.ask("/task_runs/filter")]
    )
    assert "Beginning flow run" in kept
    secrets = (site.env["RINGCENTRAL_CLIENT_SECRET"], site.env["RINGCENTRAL_JWT"], "Bearer ")
    assert not [secret for secret in secrets if secret in kept + site.output()]
