"""How a run shows in Prefect: a task for each poll and each store, its progress, and a page that says what came.

Nothing here is needed to load: a run whose progress cannot be shown goes on.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import cast
from uuid import UUID

import httpx
from prefect import get_run_logger, task
from prefect.artifacts import acreate_markdown_artifact, acreate_progress_artifact, aupdate_progress_artifact
from prefect.cache_policies import NO_CACHE
from prefect.exceptions import PrefectException
from prefect.runtime import flow_run
from prefect.states import Failed

from connectors.errors import ConnectorError
from flows.loading import Report
from flows.progress import shown
from flows.settings import SettingsError
from flows.tally import Tally
from sinks.errors import LakeError

PROGRESS_S = 10.0


class RunFailed(Exception):
    """A run that could not get everything it asked for; what it got is stored."""


class Recorder:
    """Shows one run as it goes: `step` and `on_progress` are what `flows.loading` asks for."""

    def __init__(self, kind: str, show: Callable[[Tally], None]) -> None:
        self.on_progress = show
        self._kind = kind
        self._artifact: UUID | None = None
        self._tally = Tally()
        self._due = time.monotonic() + PROGRESS_S  # a run that is over by then needs no progress bar
        self._show = show

    async def step(self, name: str, work: Callable[[], Awaitable[None]]) -> None:
        """Run a step as a task run of that name. Never retried here: `connectors.http` has retried already."""
