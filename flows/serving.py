"""Ingest on its schedule in one process: Prefect's runner where there is a server, a plain loop where there is none."""

import asyncio
import logging
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, cast

from connectors.errors import ConnectorError
from flows import loading
from flows.loading import Report
from flows.planning import Grid
from flows.runtime import Runtime, open_runtime
from flows.settings import Settings, SettingsError
from flows.show import report as show_report
from flows.windows import floor
from sinks.errors import LakeError

if TYPE_CHECKING:
    from prefect.deployments.runner import RunnerDeployment

log = logging.getLogger(__name__)


def serve(settings: Settings, max_minutes: float) -> None:
    """Run until Ctrl-C, which raises KeyboardInterrupt, or SIGTERM, which returns. Both give back what was claimed."""
    if os.environ.get("PREFECT_API_URL"):
        _serve_with_prefect(settings, max_minutes)
    else:
        with suppress(asyncio.CancelledError):
            asyncio.run(_serve_alone(settings, max_minutes))


def next_pass(now: datetime, grid: Grid) -> datetime:
    """When the window that is open now, or the one that waits for its offset, may be asked for."""
    return floor(now - grid.offset, grid.step) + grid.step + grid.offset


async def _serve_alone(settings: Settings, max_minutes: float) -> None:
    """A pass at once, then one after each window. A pass that fails is reported, and the next one makes up for it."""
    if (this := asyncio.current_task()) and sys.platform != "win32":
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, this.cancel)
    async with open_runtime(settings) as runtime:
        async for _ in _ticks(runtime):
            try:
                done: Report = await loading.ingest(runtime, max_minutes=max_minutes)
                show_report(done)
            except (ConnectorError, LakeError, SettingsError) as error:
                log.error("ingest failed error=%s", error)  # noqa: TRY400 - a known error needs no traceback


async def _ticks(runtime: Runtime) -> AsyncIterator[datetime]:
    while True:
        yield runtime.now()
        due = next_pass(runtime.now(), runtime.grid)
        await asyncio.sleep((due - runtime.now()) / timedelta(seconds=1))


def _serve_with_prefect(settings: Settings, max_minutes: float) -> None:
    from prefect import serve as prefect_serve
    from prefect.client.schemas.objects import ConcurrencyLimitConfig, ConcurrencyLimitStrategy
    from prefect.schedules import Interval

    from flows.backfill import backfill
    from flows.ingest import ingest

    offset = timedelta(seconds=settings.ringcx_offset_seconds)
    schedule = Interval(
        timedelta(seconds=settings.ringcx_window_seconds),
        anchor_date=datetime.fromisoformat("2024-01-01T00:00Z") + offset,
    )
    alone = ConcurrencyLimitConfig(limit=1, collision_strategy=ConcurrencyLimitStrategy.CANCEL_NEW)
    in_turn = ConcurrencyLimitConfig(limit=1, collision_strategy=ConcurrencyLimitStrategy.ENQUEUE)
    parameters = {"max_minutes": max_minutes}
    deployments = (
        ingest.to_deployment("served", schedule=schedule, concurrency_limit=alone, parameters=parameters),
        backfill.to_deployment("served-by-hand", concurrency_limit=in_turn),
    )
    prefect_serve(*cast("tuple[RunnerDeployment, ...]", deployments))  # coroutines only inside an event loop
