"""The schedule in one process: Prefect's runner where there is a server, plain loops where there is none."""

import asyncio
import logging
import os
import signal
import sys
import time as clocks
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import UTC, datetime, time, timedelta
from typing import TYPE_CHECKING, cast

import httpx

from connectors.errors import ConnectorError
from flows import loading, upkeep
from flows.calls.enriching import enrich as enrich_all
from flows.calls.enriching import is_on
from flows.calls.show import enriched as show_enriched
from flows.pipeline import unbroken
from flows.planning import Grid
from flows.runtime import grid_of, open_runtime
from flows.settings import Settings, SettingsError
from flows.show import report as show_report
from flows.show import upkeep as show_upkeep
from flows.windows import floor
from sinks.errors import LakeError

if TYPE_CHECKING:
    from prefect.deployments.runner import RunnerDeployment

log = logging.getLogger(__name__)

MAINTAIN_AT, RECONCILE_AT = time(2, 30), time(3, 40)  # UTC, as in prefect.yaml
ENRICH_AFTER = timedelta(minutes=5)  # an ingest has begun; most are over by then


def serve(settings: Settings, max_minutes: float) -> None:
    """Run until Ctrl-C, which raises KeyboardInterrupt, or SIGTERM, which returns. Both give back what was claimed."""
    if os.environ.get("PREFECT_API_URL"):
        _serve_with_prefect(settings, max_minutes)
    else:
        with suppress(asyncio.CancelledError):
            asyncio.run(serve_alone(settings, max_minutes))


def next_pass(now: datetime, grid: Grid) -> datetime:
    """When the window that is open now, or the one that waits for its offset, may be asked for."""
    return floor(now - grid.offset, grid.step) + grid.step + grid.offset


def next_daily(now: datetime, at: time) -> datetime:
    """When it is next so late, in UTC."""
    today = datetime.combine(now, at, UTC)
    return today if today > now else today + timedelta(days=1)


async def serve_alone(
    settings: Settings,
    max_minutes: float,
    clock: Callable[[], float] = clocks.time,
    transport: httpx.AsyncBaseTransport | None = None,
) -> None:
    """An ingest at once and one after each window; a maintenance and a reconcile each day; what else is switched on.

    They go on side by side, as those of several processes do: a reconcile waits hours for its polls. What fails is
    reported, and the next one makes up for it.
    """
    if (this := asyncio.current_task()) and sys.platform != "win32":
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, this.cancel)
    grid = grid_of(settings)

    async def ingest() -> None:
        async with open_runtime(settings, clock, transport) as runtime:
            show_report(await loading.ingest(runtime, max_minutes=max_minutes))

    async def maintain() -> None:
        show_upkeep(await unbroken(upkeep.maintain, settings, clock))

    async def reconcile() -> None:
        async with open_runtime(settings, clock, transport, in_background=True) as runtime:
            show_report(await loading.reconcile(runtime))

    async def enrich() -> None:
        async with open_runtime(settings, clock, transport) as runtime:
            show_enriched(await enrich_all(runtime, max_minutes=max_minutes))

    async def repeat(work: Callable[[], Awaitable[None]], due: Callable[[datetime], datetime]) -> None:
        while True:
            now = datetime.fromtimestamp(clock(), UTC)
            await asyncio.sleep((due(now) - now) / timedelta(seconds=1))
            await _reported(work)

    async with asyncio.TaskGroup() as group:
        group.create_task(repeat(maintain, lambda now: next_daily(now, MAINTAIN_AT)))
        group.create_task(repeat(reconcile, lambda now: next_daily(now, RECONCILE_AT)))
        if is_on(settings):
            group.create_task(repeat(enrich, lambda now: next_pass(now - ENRICH_AFTER, grid) + ENRICH_AFTER))
        await _reported(ingest)
        await repeat(ingest, lambda now: next_pass(now, grid))


async def _reported(work: Callable[[], Awaitable[None]]) -> None:
    try:
        await work()
    except (ConnectorError, LakeError, SettingsError) as error:
        log.error("%s failed error=%s", work.__name__, error)  # noqa: TRY400 - a known error needs no traceback


def _serve_with_prefect(settings: Settings, max_minutes: float) -> None:
    from prefect import serve as prefect_serve
    from prefect.client.schemas.objects import ConcurrencyLimitConfig, ConcurrencyLimitStrategy
    from prefect.schedules import Cron, Interval

    from flows.backfill import backfill
    from flows.calls.enrich import enrich
    from flows.calls.stream_flows import start_stream, stop_stream
    from flows.ingest import ingest
    from flows.maintain import maintain
    from flows.reconcile import reconcile

    offset = timedelta(seconds=settings.ringcx_offset_seconds)
    step, first = (
        timedelta(seconds=settings.ringcx_window_seconds),
        datetime.fromisoformat("2024-01-01T00:00Z") + offset,
    )
    schedule, afterwards = Interval(step, anchor_date=first), Interval(step, anchor_date=first + ENRICH_AFTER)
    nightly, daily = (Cron(cron(at), timezone="UTC") for at in (MAINTAIN_AT, RECONCILE_AT))
    alone = ConcurrencyLimitConfig(limit=1, collision_strategy=ConcurrencyLimitStrategy.CANCEL_NEW)
    in_turn = ConcurrencyLimitConfig(limit=1, collision_strategy=ConcurrencyLimitStrategy.ENQUEUE)
    parameters = {"max_minutes": max_minutes}
    deployments = (
        ingest.to_deployment("served", schedule=schedule, concurrency_limit=alone, parameters=parameters),
        maintain.to_deployment("served", schedule=nightly, concurrency_limit=alone),
        reconcile.to_deployment("served", schedule=daily, concurrency_limit=alone),
        enrich.to_deployment("served", schedule=afterwards, concurrency_limit=alone, parameters=parameters),
        backfill.to_deployment("served-by-hand", concurrency_limit=in_turn),
        start_stream.to_deployment("served-by-hand"),
        stop_stream.to_deployment("served-by-hand"),
    )
    prefect_serve(*cast("tuple[RunnerDeployment, ...]", deployments))  # coroutines only inside an event loop


def cron(at: time) -> str:
    """Daily at that time, as cron has it."""
    return f"{at.minute} {at.hour} * * *"
