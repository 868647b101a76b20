"""Flows that may be called from anywhere: `asyncio.run(ingest())` without a server is as quiet as with one."""

from collections.abc import Callable, Coroutine
from typing import Any, ParamSpec, TypeVar

from prefect import Flow
from prefect.settings import temporary_settings

P = ParamSpec("P")
T = TypeVar("T")

# Prefect 3.8.4, without a server, starts one for the call; its telemetry meets a locked database there and prints a
# traceback on most calls. pyproject.toml sets the same, which holds only where it is in the working folder.
TEMPORARY_SERVER = {"server.analytics_enabled": False, "server.ephemeral.startup_timeout_seconds": 60}


class DirectFlow(Flow[P, Coroutine[Any, Any, T]]):
    """A flow whose temporary server, where it needs one, is given settings; those of the user come first."""

    async def __call__(self, *args: P.args, **kwargs: P.kwargs) -> T:  # type: ignore[override]
        """Run here, now."""
        with temporary_settings(set_defaults=TEMPORARY_SERVER):
            return await super().__call__(*args, **kwargs)


def direct_flow(
    name: str, *, run_name: str | None = None
) -> Callable[[Callable[P, Coroutine[Any, Any, T]]], DirectFlow[P, T]]:
    """Make a flow of the function that follows. Its result stays with the caller: Prefect keeps only what it shows."""
    return lambda function: DirectFlow(function, name=name, flow_run_name=run_name, persist_result=False)
