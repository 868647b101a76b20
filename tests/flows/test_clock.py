"""This machine's clock is wrong, or jumps: nothing counts as polled that was not over, and nothing is lost."""

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from connectors.errors import ClockAhead
from connectors.sandbox import SandboxConfig, SubAccount, generate_account, judge
from connectors.sandbox.faults import Fault, Faults
from flows import loading
from flows.runtime import Runtime, open_runtime
from flows.tally import Tally
from flows.verify import verify
from tests.virtual_time import NOON, World, run_virtually

HOUR, DAY = 3600.0, 86400.0
START = datetime.fromtimestamp(NOON, UTC) - timedelta(hours=1)
FETCHED_SQL = """
    SELECT dialog_id, segment_id, transcript_state, coalesce(utterance_count, 0) AS said FROM segments
    WHERE segment_end_time < ?
"""
Scenario = Callable[[World, Runtime, "Machine"], Coroutine[Any, Any, None]]
pytestmark = pytest.mark.usefixtures("laid_out")


class Machine:
    """A clock beside the world's true one."""

    def __init__(self, world: World) -> None:
        self._world, self.ahead_s = world, 0.0

    def __call__(self) -> float:
        """What this machine takes for the time."""
        return self._world.clock() + self.ahead_s


def play(scenario: Scenario, folder: Path) -> None:
    """A scenario on a machine whose clock may be set, with one sub-account's conversations around noon."""

    async def work(world: World) -> None:
        machine = Machine(world)
        async with open_runtime(world.settings(ringcx_start=START), machine, world.transport) as runtime:
            await scenario(world, runtime, machine)

    account = generate_account(start=NOON - HOUR, sub_accounts=(SubAccount("1", "only"),), dialogs_per_hour=20)
    run_virtually(work, SandboxConfig(account=account), folder)


def truth(world: World, end: datetime) -> set[tuple[str, str, str, int]]:
    """Every segment that ended from the start until then, its transcript's state and how much was said in it."""
    life, now_ms = world.sandbox.world.life, int(world.clock() * 1000)
    rows = judge.truth(life, world.sandbox.world.sub_accounts.values(), Faults(), now_ms, final=True)
    ended = [row for row in rows if START.timestamp() <= row.end_ms / 1000 < end.timestamp()]
    return {(row.dialog_id, row.segment_id, row.state, len(row.phrases)) for row in ended}


@pytest.mark.slow
@pytest.mark.parametrize(("ahead_s", "at_once"), [(DAY, True), (-HOUR, False)])
def test_a_clock_that_was_wrong_for_a_run_changes_nothing(ahead_s: float, at_once: bool, tmp_path: Path) -> None:
    """Not a window is missing or was polled before it was complete; no transcript expired or was fetched twice.

    It jumps before that run, or after its first request.
    """

    async def scenario(world: World, runtime: Runtime, machine: Machine) -> None:
        def jump(tally: Tally) -> None:
            machine.ahead_s = ahead_s * (at_once or tally.requests_done > 0)

        await loading.ingest(runtime)
        await asyncio.sleep(3 * HOUR)
        jump(Tally())
        with suppress(ClockAhead):
            await loading.ingest(runtime, on_progress=jump)
        machine.ahead_s = 0.0
        await asyncio.sleep(HOUR)
        await loading.ingest(runtime)
        end = START + timedelta(hours=4.75)
        proof = verify(runtime.lake, START, end, runtime.grid.step, runtime.grid.offset)
        assert [check for check in proof.checks if not check.ok] == []
        fetched = runtime.lake.query(FETCHED_SQL, [end]).to_pylist()
        assert {tuple(row.values()) for row in fetched} == truth(world, end)
        asked = [(r.dialog_id, r.segment_id) for r in world.sandbox.log if r.group == "transcripts" and r.status == 200]
        assert len(asked) == len(set(asked)) > 10

    play(scenario, tmp_path)


def test_a_clock_ahead_is_named_and_nothing_is_kept(tmp_path: Path) -> None:
    """Windows of tomorrow are empty today: taken for polled, they would never be asked for again."""

    async def scenario(_: World, runtime: Runtime, machine: Machine) -> None:
        machine.ahead_s = DAY
        with pytest.raises(ClockAhead, match=r"1 day, 0:00:00 ahead .*set it \(NTP\)"):
            await loading.ingest(runtime)
        assert runtime.lake.query("SELECT * FROM windows").num_rows == 0
        assert runtime.lake.query("SELECT * FROM runs WHERE error LIKE '%clock%'").num_rows == 1

    play(scenario, tmp_path)


def test_a_clock_within_a_minute_is_close_enough(tmp_path: Path) -> None:
    """Machines without NTP drift, and an offset of five minutes leaves room."""

    async def scenario(_: World, runtime: Runtime, machine: Machine) -> None:
        for machine.ahead_s in (55.0, -55.0):
            assert (await loading.ingest(runtime)).ok

    play(scenario, tmp_path)


def test_what_was_claimed_by_a_clock_ahead_is_due_at_once(tmp_path: Path) -> None:
    """A claim that is given back a year ahead would wait for that year."""

    async def scenario(world: World, runtime: Runtime, machine: Machine) -> None:
        def jump(tally: Tally) -> None:
            machine.ahead_s = 400 * DAY * (tally.fetched >= 5)

        world.sandbox.script("transcripts", [Fault(delay_s=1)] * 1000)
        with pytest.raises(ClockAhead):
            await loading.ingest(runtime, on_progress=jump)
        machine.ahead_s = 0.0
        late = "SELECT * FROM segments WHERE transcript_state = 'pending' AND next_attempt_at > segment_end_time"
        assert runtime.lake.query(late).num_rows == 0
        assert (await loading.ingest(runtime)).pending == 0

    play(scenario, tmp_path)


def test_no_transcript_expires_by_a_clock_ahead(tmp_path: Path) -> None:
    """One that is not there yet would be given up for good, as older than the retention."""

    async def scenario(world: World, runtime: Runtime, machine: Machine) -> None:
        def jump(tally: Tally) -> None:
            machine.ahead_s = 400 * DAY * (tally.fetched >= 5)

        world.sandbox.script("transcripts", [Fault(status=404, delay_s=1)] * 1000)
        with pytest.raises(ClockAhead):
            await loading.ingest(runtime, on_progress=jump)
        assert runtime.lake.query("SELECT * FROM segments WHERE transcript_state = 'expired'").num_rows == 0
        assert runtime.lake.query("SELECT * FROM segments WHERE transcript_attempts > 0").num_rows >= 5

    play(scenario, tmp_path)
