"""Fetching once more: another transcript takes the stored one's place, nothing else does; no request is repeated."""

import asyncio
from collections import Counter
from datetime import timedelta
from pathlib import Path

import pytest

from connectors.sandbox.faults import Fault
from flows import loading
from flows.runtime import Runtime
from flows.tally import Tally
from flows.verify import verify
from flows.windows import Window
from tests.flows.test_loading import START, count, play, transcripts_asked
from tests.virtual_time import World

SPAN = Window(START, START + timedelta(hours=2))
SAID = "SELECT * EXCLUDE (segment_day) FROM utterances ORDER BY sub_account_id, dialog_id, segment_id, seq"
pytestmark = pytest.mark.usefixtures("laid_out")


async def load(runtime: Runtime) -> None:
    """What there is, a minute before the refetch."""
    await loading.backfill(runtime, SPAN)
    await asyncio.sleep(60)


def spoil(runtime: Runtime) -> None:
    """Every other utterance is wrong, one is missing and one is there too often."""
    with runtime.lake.exclusive() as con:
        con.execute("UPDATE utterances SET message = 'wrong' WHERE seq % 2 = 0")
        con.execute("DELETE FROM utterances WHERE seq = 1 AND message LIKE '%a%'")


def test_another_transcript_takes_the_place_of_the_stored_one(tmp_path: Path) -> None:
    """Windows and transcripts are asked for once more, and the tables are as if they had been right all along."""

    async def scenario(world: World, runtime: Runtime) -> None:
        await load(runtime)
        right, stored = runtime.lake.query(SAID), count(runtime, "segments WHERE transcript_state = 'stored'")
        spoil(runtime)
        assert not runtime.lake.query(SAID).equals(right)
        before = len(world.sandbox.log)
        report = await loading.backfill(runtime, SPAN, refetch=True)
        assert report.ok
        assert runtime.lake.query(SAID).equals(right)
        assert sum(r.group == "metadata:99999999" for r in world.sandbox.log[before:]) == 2
        assert report.tally.transcripts_stored >= stored > 0
        assert report.tally.utterances_read == report.tally.utterances_loaded == right.num_rows
        assert count(runtime, "segments WHERE refetch_asked_at IS NOT NULL OR next_attempt_at IS NOT NULL") == 0
        assert verify(runtime.lake, START, START + timedelta(hours=1.75), runtime.grid.step, runtime.grid.offset).ok

    play(scenario, tmp_path)


def test_a_stored_transcript_stays_where_no_other_comes(tmp_path: Path) -> None:
    """RingCX may have deleted it since, or answer with nothing: a refetch never takes anything away."""

    async def scenario(world: World, runtime: Runtime) -> None:
        await load(runtime)
        before, stored = runtime.lake.query(SAID), count(runtime, "segments WHERE transcript_state = 'stored'")
        world.sandbox.script("transcripts", [Fault(status=404), Fault(status=400)] * 500)
        report = await loading.backfill(runtime, SPAN, refetch=True)
        assert runtime.lake.query(SAID).equals(before)
        assert count(runtime, "segments WHERE transcript_state = 'stored'") == stored
        assert report.tally.transcripts_left == report.tally.fetched >= stored
        assert count(runtime, "segments WHERE refetch_asked_at IS NOT NULL OR next_attempt_at IS NOT NULL") == 0

    play(scenario, tmp_path)


def test_an_interrupted_refetch_goes_on_where_it_stopped(tmp_path: Path) -> None:
    """The same command once more asks for what is left, not for everything; then, for everything again."""

    async def scenario(world: World, runtime: Runtime) -> None:
        def interrupt(tally: Tally) -> None:
            if tally.fetched == 5:
                running.cancel()

        await load(runtime)
        world.sandbox.script("transcripts", [Fault(delay_s=1)] * 20)
        running = asyncio.create_task(loading.backfill(runtime, SPAN, refetch=True, on_progress=interrupt))
        with pytest.raises(asyncio.CancelledError):
            await running
        cost = await loading.forecast(runtime, SPAN, refetch=True)
        assert cost.again == cost.transcripts
        assert 0 < cost.again < len(transcripts_asked(world))
        await loading.backfill(runtime, SPAN, refetch=True)
        asked = Counter(transcripts_asked(world).values())
        assert asked[2] + asked[3] == asked.total()
        assert asked[3] <= runtime.settings.ringcx_concurrency  # on their way when it was interrupted
        before = asked[2]
        await loading.backfill(runtime, SPAN, refetch=True)
        assert Counter(transcripts_asked(world).values())[3] >= before

    play(scenario, tmp_path)


def test_the_schedule_leaves_refetches_to_the_backfill(tmp_path: Path) -> None:
    """Ingest is for what is new: it spends nothing on what somebody would like to have once more."""

    async def scenario(world: World, runtime: Runtime) -> None:
        await load(runtime)

        def stop(tally: Tally) -> None:
            if tally.requests_done == 1:
                running.cancel()

        running = asyncio.create_task(loading.backfill(runtime, SPAN, refetch=True, on_progress=stop))
        with pytest.raises(asyncio.CancelledError):
            await running
        wanted = count(runtime, "segments WHERE refetch_asked_at IS NOT NULL")
        await loading.ingest(runtime)
        assert count(runtime, "segments WHERE refetch_asked_at IS NOT NULL") == wanted > 0

    play(scenario, tmp_path)


def test_two_refetches_at_once_ask_once(tmp_path: Path) -> None:
    """Started twice by mistake: they share the work."""

    async def scenario(world: World, runtime: Runtime) -> None:
        await load(runtime)
        await asyncio.gather(*(loading.backfill(runtime, SPAN, refetch=True) for _ in range(2)))
        assert set(transcripts_asked(world).values()) == {2}

    play(scenario, tmp_path)
