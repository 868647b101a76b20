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
from flows.freshness import FRESH, STALE
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
        started = self.command("deployment", "run", deployment, *options)
        return self.ended(str(re.findall(r"UUID: (\S+)", started)[0]))

    def begun(self, deployment: str, parameters: dict[str, str], env: dict[str, str]) -> str:
        """The id of a flow run that is started as by the UI, with more in its environment."""
        found = self.api.get(f"/deployments/name/{deployment}").raise_for_status().json()
        wanted = {"parameters": parameters, "job_variables": {"env": env}, "state": {"type": "SCHEDULED"}}
        return str(self.ask(f"/deployments/{found['id']}/create_flow_run", **wanted)["id"])

    def command(self, *arguments: str) -> str:
        """What `prefect ARGUMENTS` prints."""
        done = run("prefect", *arguments, env=self.env, cwd=self.folder)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def ended(self, flow_run_id: str, seconds: float = 60) -> dict[str, Any]:
        """The flow run once it has ended."""

        def ended() -> dict[str, Any] | None:
            flow_run: dict[str, Any] = self.api.get(f"/flow_runs/{flow_run_id}").raise_for_status().json()
            return flow_run if flow_run["state_type"] in ENDED else None

        return until(ended, self.output, seconds)

    def put(self, path: str, **body: object) -> None:
        """POST until it is accepted: on SQLite, Prefect 3.8.4 answers some with "database is locked"."""
        until(lambda: self.api.post(path, json=body).json().get("status") == "ACCEPT" or None, self.output)

    def events(self, *names: str) -> list[dict[str, Any]]:
        """Events of these names, as the UI's feed shows them."""
        found = self.ask("/events/filter", filter={"event": {"name": names}}, limit=50)
        return list(found["events"])

    def asked(self) -> dict[str, int]:
        """What the sandbox's judge says of transcripts: how many were given, and how many of them again."""
        summary = httpx.get(f"{self.env['RINGCX_BASE_URL']}/_sandbox/summary").raise_for_status().json()
        names = {"transcripts_served": "once", "transcripts_served_more_than_once": "again"}
        return {short: summary[name] for name, short in names.items()}

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
            rules = (ROOT / "flows" / "automations.yaml").read_text()
            (folder / "automations.yaml").write_text(rules.replace("within: 2700", "within: 10"))  # 45 minutes
            site.command("automation", "create", "--from-file", str(folder / "automations.yaml"))
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


def test_a_backfill_that_is_suspended_goes_on_and_one_that_is_cancelled_ends_with_nothing_asked_twice(
    site: Site,
) -> None:
    """Prefect's signal raises inside asyncio, which may lose it; its suspension refuses the task that stores."""
    now = datetime.now(UTC).replace(microsecond=0, tzinfo=None)
    span = {name: (now - timedelta(hours=ago)).isoformat() for name, ago in (("start", 20), ("end", 9))}
    lake = {"RINGCX_LAKE": str(site.folder / "stopped")}
    slowly = lake | {"RINGCX_TRANSCRIPT_LIMITS": "8/1"}
    before = site.asked()["once"]

    def asked(more: int) -> bool | None:
        return site.asked()["once"] >= before + more or None

    def left() -> bool | None:
        runs = site.rows("SELECT count(*) AS n FROM runs WHERE finished_at IS NULL", **lake)
        return runs[0]["n"] == 0 or None

    flow_run_id = site.begun(BACKFILL, span, slowly)
    until(lambda: asked(10), site.output)
    # What the UI's button sends.
    details = {"pause_timeout": (datetime.now(UTC) + timedelta(minutes=5)).isoformat(), "pause_reschedule": True}
    state = {"type": "PAUSED", "name": "Suspended", "state_details": details}
    site.put(f"/flow_runs/{flow_run_id}/set_state", state=state)
    until(left, site.output, 20)
    suspended = site.asked()["once"]
    site.put(f"/flow_runs/{flow_run_id}/resume")
    until(lambda: asked(suspended - before + 10), site.output)
    site.command("flow-run", "cancel", flow_run_id)
    assert site.ended(flow_run_id, 20)["state_name"] == "Cancelled", site.output()
    states = site.rows("SELECT state, error FROM runs", **lake)
    assert states == [{"state": "failed", "error": "interrupted"}] * 2
    kept = "transcript_state IN ('stored', 'empty')"
    counts = site.rows(f"SELECT count(claimed_by) AS held, count(*) FILTER ({kept}) AS kept FROM segments", **lake)
    assert counts == [{"held": 0, "kept": site.asked()["once"] - before}]
    assert site.ended(site.begun(BACKFILL, span, lake))["state_name"] == "Completed"
    assert site.asked()["again"] == 0


def test_a_sub_account_that_is_denied_fails_the_run_with_the_reason_and_the_other_is_loaded(site: Site) -> None:
    """A green run with half the data missing is found by the people who need the other half."""
    account = generate_account(dialogs_per_hour=20)
    allowed, *others = account.sub_accounts
    sub_accounts = (allowed, *(msgspec.structs.replace(other, denied=True) for other in others))
    config = SandboxConfig(account=account, sub_accounts=sub_accounts, limits={"metadata": UNLIMITED})
    lake = {"RINGCX_LAKE": str(site.folder / "denied")}
    span = [(datetime.now(UTC) - timedelta(hours=hours)).isoformat() for hours in (8, 7)]
    done = run_cli("backfill", "--start", span[0], "--end", span[1], env=site.env | lake, cwd=site.folder)
    assert done.returncode == 0, done.stderr  # so that there is data to become stale
    with SandboxServer(config) as sandbox:
        settings = point_at(config, sandbox.base_url) | lake
        ended = site.ended(site.begun(INGEST, {}, settings))
    assert ended["state_name"] == "Failed", site.output()
    assert f"sub-account {others[0].sub_account_id}" in ended["state"]["message"]
    assert "status 403" in ended["state"]["message"]
    loaded = site.rows("SELECT DISTINCT sub_account_id FROM windows WHERE purpose = 'ingest'", **lake)
    assert loaded == [{"sub_account_id": allowed.sub_account_id}]
    assert "Traceback" not in (site.folder / "worker.log").read_text()
    told = until(lambda: site.events(STALE) or None, site.output)
    assert [event["resource"]["prefect.resource.id"] for event in told] == [
        f"ringcx-etl.sub-account.{other.sub_account_id}" for other in others
    ]
    assert site.events(FRESH)


def test_the_automations_fire(site: Site) -> None:
    """After the tests above: a run has failed, data was stale, and no ingest succeeded for a while (here 10 s)."""
    rules = {rule["name"] for rule in site.ask("/automations/filter")}

    def fired() -> bool | None:
        told = site.events("prefect.automation.action.executed")
        return {event["resource"]["prefect.resource.name"] for event in told} == rules or None

    assert len(rules) == 3
    until(fired, site.output)


def test_no_secret_reaches_what_prefect_keeps_and_prints(site: Site) -> None:
    """Prefect's database and logs are read by more people than the settings are."""
    shown = [site.ask("/artifacts/filter"), site.ask("/task_runs/filter")]
    kept = json.dumps([site.ask("/logs/filter", limit=200), shown, site.events(FRESH, STALE)])
    assert "Beginning flow run" in kept
    secrets = (site.env["RINGCENTRAL_CLIENT_SECRET"], site.env["RINGCENTRAL_JWT"], "Bearer ")
    assert not [secret for secret in secrets if secret in kept + site.output()]
