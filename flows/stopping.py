"""A run that is cancelled or suspended in Prefect stops by itself, and leaves nothing half done.

Prefect 3.8.4 stops a process by a signal whose handler raises, wherever asyncio happens to be: inside a callback, that
ends the callback and nothing else. Of 30 runs two went on or hung, and were killed half a minute later. So here the
event loop takes the signal, and a run looks at its own state now and then.
"""

import asyncio
import signal
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, TypeVar
from uuid import UUID

import httpx
from prefect import get_client
from prefect.client.schemas.objects import State
from prefect.exceptions import Abort, Pause, PrefectException, TerminationSignal
from prefect.runtime import flow_run
from prefect.states import Cancelled

T = TypeVar("T")
LOOK_EVERY_S = 2.0
ANSWER_WITHIN_S = 5.0  # of a server that may be away, from a process that is about to be killed


class ToldToStop(Exception):
    """This run is to stop. `state`: what Prefect has put it into; None: a signal came, and nothing is known."""

    def __init__(self, state: State[Any] | None) -> None:
        super().__init__()
        self.state = state


async def stoppable(work: Callable[[], Awaitable[T]]) -> T:
    """What `work` returns. When this run is to stop, `work` is cancelled, and the signal that ends a run is raised.

    A run that is cancelled ends Cancelled. One that is suspended ends its process; when it is resumed, a new process
    begins. One that is paused, which the API can do and no button, waits and begins `work` again.
    """
    while True:
        try:
            return await _unless_told(work)
        except ToldToStop as told:
            await _obey(told.state)


async def _unless_told(work: Callable[[], Awaitable[T]]) -> T:
    with _sigterm() as terminated:
        working = asyncio.ensure_future(work())
        looking = asyncio.ensure_future(_state_that(lambda state: not state.is_running()))
        signalled = asyncio.ensure_future(terminated.wait())
        everyone = {working, looking, signalled}
        try:
            await asyncio.wait(everyone, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for one in everyone:
                one.cancel()
            await asyncio.wait(everyone)  # `work` keeps what it has meanwhile, and gives back its claims
    if working.cancelled() and not looking.cancelled():
        raise ToldToStop(looking.result())
    if working.cancelled() and not signalled.cancelled():
        raise ToldToStop(None)
    return working.result()


async def _obey(state: State[Any] | None) -> None:
    """Return when the run may go on; otherwise end it as Prefect ends a run in this state."""
    if state is None:
        with suppress(TimeoutError):
            state = await asyncio.wait_for(_state_that(lambda state: True), ANSWER_WITHIN_S)
    if state is None or state.is_running():  # nobody cancelled it: the machine or the worker is going down
        raise TerminationSignal(signal.SIGTERM)
    if state.is_cancelling():
        async with get_client() as client:
            message = "What was fetched is stored: run it again to go on."
            await client.set_flow_run_state(UUID(flow_run.id), Cancelled(message=message))
    if not state.is_paused():
        raise Abort
    if state.state_details.pause_reschedule:
        raise Pause(state=state)
    state = await _state_that(lambda state: not state.is_paused())
    if not state.is_running():
        await _obey(state)


async def _state_that(wanted: Callable[[State[Any]], bool]) -> State[Any]:
    """The state of this run, once it is `wanted`."""
    async with get_client() as client:
        while True:
            with suppress(httpx.HTTPError, PrefectException):  # the server is away for a moment
                state = (await client.read_flow_run(UUID(flow_run.id))).state
                if state and wanted(state):
                    return state
            await asyncio.sleep(LOOK_EVERY_S)


@contextmanager
def _sigterm() -> Iterator[asyncio.Event]:
    """Set by SIGTERM for as long as the block lasts, where there are signals; afterwards it is Prefect's again."""
    came, loop, before = asyncio.Event(), asyncio.get_running_loop(), signal.getsignal(signal.SIGTERM)
    try:
        loop.add_signal_handler(signal.SIGTERM, came.set)
    except (NotImplementedError, RuntimeError):  # Windows, or not the main thread
        yield came
        return
    try:
        yield came
    finally:
        loop.remove_signal_handler(signal.SIGTERM)
        signal.signal(signal.SIGTERM, before)
