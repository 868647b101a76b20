"""What `serve` runs, and when."""

import asyncio
import re
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from typing import Any

import pytest

from connectors.sandbox import SandboxConfig, generate_account
from flows.planning import Grid
from flows.runtime import open_lake
from flows.serving import ENRICH_AFTER, MAINTAIN_AT, RECONCILE_AT, cron, next_daily, next_pass, serve_alone
from tests.processes import ROOT
from tests.virtual_time import NOON, World, run_virtually

GRID = Grid(step=timedelta(minutes=15), offset=timedelta(minutes=5), longest=timedelta(hours=1))


def at(hour: int, minute: int, second: int = 0) -> datetime:
    return datetime(2026, 9, 1, hour, minute, second, tzinfo=UTC)


@pytest.mark.parametrize(
    ("now", "due"),
    [
        (at(12, 0), at(12, 5)),
        (at(12, 4, 59), at(12, 5)),
        (at(12, 5), at(12, 20)),
        (at(12, 19, 59), at(12, 20)),
        (at(23, 50), at(23, 50) + timedelta(minutes=15)),
    ],
)
def test_a_pass_begins_five_minutes_after_each_window_has_ended(now: datetime, due: datetime) -> None:
    """Earlier, the window would be refused by the horizon and come a quarter of an hour late."""
    assert next_pass(now, GRID) == due


@pytest.mark.parametrize(("now", "due"), [(at(2, 29), at(2, 30)), (at(2, 30), at(2, 30) + timedelta(days=1))])
def test_what_runs_daily_begins_once_a_day(now: datetime, due: datetime) -> None:
    """At its own time, and not again at once when it took less than a second."""
    assert next_daily(now, time(2, 30)) == due


def test_serve_keeps_the_times_of_the_deployments() -> None:
    """Who changes from one to the other shall find reconcile and maintain where they were."""
    crons = re.findall(r'cron: "([^"]+)"', (ROOT / "prefect.yaml").read_text())
    assert {cron(MAINTAIN_AT), cron(RECONCILE_AT)} < set(crons)
    ingest, enrich = (next(line for line in crons if line.startswith(f"{minute}-59/15")) for minute in (5, 10))
    assert timedelta(minutes=int(enrich.partition("-")[0]) - int(ingest.partition("-")[0])) == ENRICH_AFTER


def test_serve_enriches_after_each_ingest_if_it_is_switched_on(tmp_path: Path) -> None:
    """And not before: what an ingest lists is what there is to fetch."""
    account = generate_account(start=NOON - 3600, dialogs_per_hour=4, sub_accounts=generate_account().sub_accounts[:1])

    async def serve(world: World) -> list[dict[str, Any]]:
        settings = world.settings(
            ringcx_start=at(11, 0), ringcx_summaries=True, ringcx_audio_path=str(tmp_path / "audio")
        )
        serving = asyncio.create_task(serve_alone(settings, 13.0, world.clock, world.transport))
        await asyncio.sleep(timedelta(minutes=26).total_seconds())
        serving.cancel()
        await asyncio.wait([serving])
        with open_lake(settings) as lake:
            return lake.query("SELECT kind, state, started_at FROM runs ORDER BY started_at").to_pylist()

    runs = run_virtually(serve, SandboxConfig(account=account), tmp_path)
    began = [(row["kind"], round((row["started_at"] - at(12, 0)).total_seconds() / 60)) for row in runs]
    assert began == [("ingest", 0), ("ingest", 5), ("summaries", 10), ("ingest", 20), ("summaries", 25)]
    assert {row["state"] for row in runs} == {"done"}


@pytest.mark.slow
@pytest.mark.usefixtures("laid_out")
def test_serve_reconciles_and_maintains_while_it_ingests(tmp_path: Path) -> None:
    """Here a reconcile waits a quarter of an hour for its polls: an ingest that waited for it would be late."""
    one = generate_account().sub_accounts[:1]
    account = generate_account(start=NOON, dialogs_per_hour=2, sub_accounts=one)
    night = datetime.fromtimestamp(NOON, UTC).replace(hour=2) + timedelta(days=1)

    async def serve(world: World) -> list[dict[str, Any]]:
        settings = world.settings(ringcx_start=night - timedelta(hours=4), ringcx_metadata_limits="3/60,6/900")
        await asyncio.sleep((night - at(12, 0)).total_seconds())
        serving = asyncio.create_task(serve_alone(settings, 13.0, world.clock, world.transport))
        await asyncio.sleep(timedelta(hours=2, minutes=10).total_seconds())
        serving.cancel()
        await asyncio.wait([serving])
        with open_lake(settings) as lake:
            return lake.query("SELECT kind, state, started_at, finished_at FROM runs ORDER BY started_at").to_pylist()

    runs = run_virtually(serve, SandboxConfig(account=account), tmp_path)
    assert {row["state"] for row in runs} == {"done"}
    began = [(row["started_at"] - night) // timedelta(minutes=1) for row in runs if row["kind"] == "ingest"]
    assert began == [0, *range(5, 130, 15)]
    (maintained,) = (row for row in runs if row["kind"] == "maintain")
    (reconciled,) = (row for row in runs if row["kind"] == "reconcile")
    assert (maintained["started_at"].time(), reconciled["started_at"].time()) == (MAINTAIN_AT, RECONCILE_AT)
    assert reconciled["finished_at"] - reconciled["started_at"] > timedelta(minutes=10)
