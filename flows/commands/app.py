"""What all commands share: the application that they are part of, settings, complaints, a run's progress."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from importlib.metadata import version as installed_version
from typing import Literal

from cyclopts import App, Parameter
from rich.console import Console
from rich.text import Text

from flows.loading import Progress, Report
from flows.runtime import Runtime, open_runtime, quiet_logging
from flows.settings import Settings, load_settings

app = App(
    name="ringcx-etl",
    help="Your contact centre's conversations from RingCX, in tables you own.",
    version=lambda: installed_version("ringcx-etl"),
    help_format="markdown",
    # In the help: no --no-dry-run, which nobody needs, and no defaults that only say that nothing is set.
    default_parameter=Parameter(negative=(), show_default=lambda value: str(value) if value else None),
)
app.register_install_completion_command(add_to_startup=False)

DONE, FAILED, USAGE = 0, 1, 2
Format = Literal["table", "json", "csv", "parquet"]


def complain(what: object, code: int) -> int:
    """Say on standard error what is wrong; the exit code to end with."""
    Console(stderr=True, soft_wrap=True).print(Text(f"ringcx-etl: {what}", style="red"))
    return code


def ready_settings() -> Settings:
    """The settings, with logging set up as they say. Raises SettingsError."""
    settings = load_settings()
    quiet_logging(settings.ringcx_log_level)
    return settings


def utc(instant: datetime) -> datetime:
    """An instant from the command line: without a zone, UTC."""
    return instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)


def load(kind: str, call: Callable[[Runtime, Progress], Awaitable[Report]]) -> int:
    """One run with its progress, then what it brought."""
    from flows import show
    from flows.progress import shown

    settings = ready_settings()

    async def run() -> Report:
        async with open_runtime(settings, in_background=kind != "ingest") as runtime:
            with shown(kind) as on_progress:
                return await call(runtime, on_progress)

    done = asyncio.run(run())
    show.report(done)
    return DONE if done.ok else FAILED
