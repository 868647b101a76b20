"""Ingest and backfill against the sandbox, at virtual time: the promises of the pipeline, one by one."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from connectors.errors import Unauthorized
from connectors.sandbox import SandboxConfig, SubAccount, generate_account
from connectors.sandbox.faults import Fault, Faults
from flows import loading
from flows.runtime import Runtime, open_runtime
from flows.settings import SettingsError
from flows.tally import Tally
from flows.windows import Window
from tests.virtual_time import NOON, World, run_virtually

START = datetime.fromtimestamp(NOON, UTC) - timedelta(hours=2)
Scenario = Callable[[World, Runtime], Coroutine[Any, Any, Any]]
pytestmark = pytest.mark.usefixtures("laid_out")


def play(scenario: Scenario, folder: Path, config: SandboxConfig | None = None, **settings: object) -> Any:
    """What a scenario returns, in a world with two hours of conversations before noon and a live tail."""
    account = generate_account(start=NOON - 7200, dialogs_per_hour=12)
    chosen = config or SandboxConfig(account=account)

    async def work(world: World) -> Any:
        async with open_runtime(
            world.settings(**{"ringcx_start": START, **settings}), world.clock, world.transport
        ) as runtime:
            return await scenario(world, runtime)

    return run_virtually(work, chosen, folder)


def count(runtime: Runtime, what: str) -> int:
    """The number that `SELECT count(*) FROM what` gives."""
    return int(runtime.lake.query(f"SELECT count(*) AS n FROM {what}").to_pylist()[0]["n"])


def transcripts_asked(world: World) -> Counter[tuple[str | None, str | None]]:
    """How often each transcript was asked for and given."""
    log = world.sandbox.log
    return Counter((r.dialog_id, r.segment_id) for r in log if r.group == "transcripts" and r.status == 200)


def test_a_pass_loads_what_there_is_and_adds_up(tmp_path: Path) -> None:
    """Every flagged segment stored or empty, every item read accounted for, the run on record."""

    async def scenario(world: World, runtime: Runtime) -> None:
        report = await loading.ingest(runtime)
        assert report.ok
        assert report.tally.adds_up()
        assert count(runtime, "segments WHERE has_transcript AND transcript_state NOT IN ('stored', 'empty')") == 0
        assert count(runtime, "utterances") == report.tally.utterances_loaded > 100
        assert count(runtime, "runs WHERE state = 'done' AND segments_read = segments_loaded + segments_skipped") == 1

    play(scenario, tmp_path / "new")


def test_what_is_being_stored_when_the_last_transcript_comes_is_counted(tmp_path: Path) -> None:
    """On a slow machine a run said that it had stored 21 of 119: the store in progress was cancelled at the end."""

    async def scenario(_: World, runtime: Runtime) -> None:
        almost = asyncio.Event()

        async def step(name: str, work: Callable[[], Awaitable[None]]) -> None:
            if name.startswith("store"):
                await almost.wait()
            await work()

        def look(tally: Tally) -> None:
            if tally.fetched and tally.fetched >= tally.flagged - 1:
                almost.set()

        span = Window(START, START + timedelta(hours=1))
        report = await loading.backfill(runtime, span, step=step, on_progress=look)
        assert report.tally.transcripts_stored == count(
            runtime, "segments WHERE transcript_state IN ('stored', 'empty')"
        )

    play(scenario, tmp_path, ringcx_transcript_limits="10/10")


def test_what_was_fetched_is_stored_when_a_run_is_cancelled_before_its_store_begins(tmp_path: Path) -> None:
    """The half minute's requests that it took would be spent again."""

    async def scenario(world: World, runtime: Runtime) -> None:
        running = asyncio.ensure_future(loading.ingest(runtime, step=slow_step))
        await asyncio.sleep(7)  # the first store waits from 5 to 25
        running.cancel()
        await asyncio.wait([running])
        await loading.ingest(runtime)
        assert set(transcripts_asked(world).values()) == {1}

    play(scenario, tmp_path, ringcx_transcript_limits="10/10")


async def slow_step(name: str, work: Callable[[], Awaitable[None]]) -> None:
    """A store that takes 20 s to begin, as one of Prefect's tasks may on a busy machine."""
    if name.startswith("store"):
        await asyncio.sleep(20)
    await work()


def test_an_outage_is_caught_up_newest_first_if_asked(tmp_path: Path) -> None:
    """Some would rather see today first; either way nothing between is left out."""

    async def scenario(world: World, runtime: Runtime) -> None:
        newest: list[datetime] = []

        def look(tally: Tally) -> None:
            if tally.requests_done == 1:
                newest.append(runtime.lake.query("SELECT max(window_end) AS newest FROM windows")["newest"][0].as_py())

        await loading.ingest(runtime)
        await asyncio.sleep(3 * 3600)
        before = len(world.sandbox.log)
        await loading.ingest(runtime, on_progress=look)
        assert newest[0] == START + timedelta(hours=4.75)
        assert sum(r.group == "metadata:99999999" for r in world.sandbox.log[before:]) == 3
        assert count(runtime, "gaps") == 0

    play(scenario, tmp_path, ringcx_newest_first=True)


def test_history_begins_where_its_first_pass_meant_it_to_even_if_killed(tmp_path: Path) -> None:
    """Newest first, after a backfill: the first window of ingest must not make the ones before it be forgotten."""

    async def scenario(_: World, runtime: Runtime) -> None:
        await loading.backfill(runtime, Window(START, START + timedelta(hours=1)))

        def stop(tally: Tally) -> None:
            if tally.requests_done == 1:
                running.cancel()

        running = asyncio.create_task(loading.ingest(runtime, on_progress=stop))
        with pytest.raises(asyncio.CancelledError):
            await running
        await loading.ingest(runtime)
        assert count(runtime, "windows WHERE sub_account_id = '99999999'") == (24 - 0.25) * 4

    play(scenario, tmp_path, ringcx_newest_first=True, ringcx_start=None)


def test_what_a_killed_run_held_is_due_at_once(tmp_path: Path) -> None:
    """Nobody waits for a claim to run out; a living run's claims are left alone."""
    span = Window(START, START + timedelta(hours=2))

    async def scenario(world: World, runtime: Runtime) -> None:
        await loading.backfill(runtime, span)
        claim = "UPDATE segments SET transcript_state = 'pending', next_attempt_at = now() + INTERVAL 9 YEARS"
        runs = runtime.lake.query("SELECT run_id FROM runs").to_pylist()
        with runtime.lake.exclusive() as con:
            con.execute("DELETE FROM utterances")
            con.execute(f"{claim}, claimed_by = 'alive/1' WHERE transcript_state = 'stored'")
            dead = f"claimed_by = '{runs[0]['run_id']}/1'"
            con.execute(f"UPDATE segments SET {dead} WHERE claimed_by = 'alive/1' AND sub_account_id = '99999999'")
            con.execute("UPDATE runs SET state = 'running'")
        with suppress(ZeroDivisionError), runtime.live_runs.living(runs[0]["run_id"]):
            raise ZeroDivisionError
        with runtime.live_runs.living("alive"):
            await loading.backfill(runtime, span)
        assert count(runtime, "segments WHERE claimed_by LIKE 'alive/%' AND sub_account_id <> '99999999'") > 10
        assert count(runtime, "segments WHERE transcript_state = 'pending' AND sub_account_id = '99999999'") == 0
        assert runtime.lake.query("SELECT state FROM runs ORDER BY state")["state"].to_pylist() == ["done", "killed"]

    play(scenario, tmp_path)


def test_a_second_pass_asks_for_nothing_twice(tmp_path: Path) -> None:
    """Quota is scarce: what is stored is never fetched again."""

    async def scenario(world: World, runtime: Runtime) -> None:
        for _ in range(5):
            await loading.ingest(runtime)
            await asyncio.sleep(900)
        assert max(transcripts_asked(world).values()) == 1
        assert count(runtime, "(SELECT * FROM utterances GROUP BY ALL HAVING count(*) > 1)") == 0
        metadata = [r for r in world.sandbox.log if r.group == "metadata:99999999"]
        assert len(metadata) == 2 + 4  # two spans of up to an hour, then one for each new window

    play(scenario, tmp_path)


def test_a_pass_that_finds_nothing_is_on_record(tmp_path: Path) -> None:
    """An ingest that ran and found nothing must be told from one that never ran."""
    config = SandboxConfig(account=generate_account(start=NOON, end=NOON + 1))

    async def scenario(world: World, runtime: Runtime) -> None:
        assert (await loading.ingest(runtime)).ok
        assert count(runtime, "runs WHERE state = 'done' AND segments_read = 0") == 1
        assert count(runtime, "windows WHERE segments = 0") == count(runtime, "windows") == 2 * 7

    play(scenario, tmp_path, config)


def test_a_denied_sub_account_does_not_stop_the_others(tmp_path: Path) -> None:
    """Its run fails and says which permission is missing; everybody else's conversations come all the same."""
    subs = (SubAccount("1", "open"), SubAccount("2", "closed", denied=True), SubAccount("3", "open"))
    account = generate_account(start=NOON - 7200, sub_accounts=subs, dialogs_per_hour=12)

    async def scenario(world: World, runtime: Runtime) -> None:
        report = await loading.ingest(runtime)
        assert not report.ok
        assert "sub-account 2" in report.tally.troubles[0]
        assert "WEM" in report.tally.troubles[0]
        loaded = runtime.lake.query("SELECT DISTINCT sub_account_id AS id FROM utterances ORDER BY id").to_pylist()
        assert [row["id"] for row in loaded] == ["1", "3"]

    play(scenario, tmp_path, SandboxConfig(account=account), ringcx_sub_account_ids=("1", "2", "3"))


def test_two_passes_at_once_fetch_every_transcript_once(tmp_path: Path) -> None:
    """Claims keep them apart; whoever is second finds nothing to do."""

    async def scenario(world: World, runtime: Runtime) -> None:
        async with open_runtime(runtime.settings, world.clock, world.transport) as other:
            reports = await asyncio.gather(loading.ingest(runtime), loading.ingest(other))
        assert max(transcripts_asked(world).values()) == 1
        assert count(runtime, "segments WHERE has_transcript AND transcript_state NOT IN ('stored', 'empty')") == 0
        assert count(runtime, "utterances") == sum(report.tally.utterances_loaded for report in reports)

    play(scenario, tmp_path)


def test_an_interrupted_backfill_goes_on_where_it_stopped(tmp_path: Path) -> None:
    """What was fetched before the interruption is stored, and not asked for again."""
    span = Window(START, START + timedelta(hours=2))

    async def scenario(world: World, runtime: Runtime) -> None:
        def interrupt(tally: Tally) -> None:
            if tally.fetched == 5:
                running.cancel()

        running = asyncio.create_task(loading.backfill(runtime, span, on_progress=interrupt))
        with pytest.raises(asyncio.CancelledError):
            await running
        report = await loading.backfill(runtime, span)
        assert report.ok
        assert report.pending == 0
        assert max(transcripts_asked(world).values()) == 1
        assert count(runtime, "runs WHERE kind = 'backfill' AND state = 'failed'") == 1

    play(scenario, tmp_path)


@pytest.mark.slow
def test_fresh_conversations_do_not_wait_for_a_backfill(tmp_path: Path) -> None:
    """Neither run has any of its hundreds of claims before them: they take the next places that the limit gives."""
    account = generate_account(start=NOON - 7200, dialogs_per_hour=300)
    fresh = Window(START + timedelta(hours=1.5), START + timedelta(hours=1.75))

    async def scenario(world: World, runtime: Runtime) -> None:
        async with open_runtime(runtime.settings, world.clock, world.transport, in_background=True) as behind:
            running = asyncio.create_task(loading.backfill(behind, Window(START, fresh.start)))
            await asyncio.sleep(90)
            began = runtime.now()
            await loading.ingest(runtime, max_minutes=2)
            running.cancel()
            with suppress(asyncio.CancelledError):
                await running
        sql = "SELECT max(transcript_at) AS last, count(*) AS n FROM segments WHERE segment_end_time >= ?"
        found = runtime.lake.query(sql, [fresh.start]).to_pylist()[0]
        assert found["n"] > 100
        assert found["last"] - began < timedelta(seconds=130)
        pending = f"transcript_state = 'pending' AND segment_end_time >= '{fresh.start}'"
        assert count(runtime, f"segments WHERE {pending}") == 0

    play(scenario, tmp_path, SandboxConfig(account=account), ringcx_start=fresh.start)


def test_a_backfill_of_polled_windows_sends_no_request(tmp_path: Path) -> None:
    """Windows done are skipped."""
    span = Window(START, START + timedelta(hours=2))

    async def scenario(world: World, runtime: Runtime) -> None:
        await loading.backfill(runtime, span)
        before = len(world.sandbox.log)
        await loading.backfill(runtime, span)
        assert [r.group for r in world.sandbox.log[before:] if r.group.startswith(("meta", "trans"))] == []

    play(scenario, tmp_path)


def test_a_forecast_says_what_a_backfill_will_cost_and_costs_nothing(tmp_path: Path) -> None:
    """Requests by sub-account, what is there already, transcripts by what was seen so far."""
    span = Window(START - timedelta(hours=4), START + timedelta(hours=2))

    async def scenario(world: World, runtime: Runtime) -> None:
        unknown = await loading.forecast(runtime, span)
        assert unknown.transcripts is None
        await loading.ingest(runtime)
        before = len([r for r in world.sandbox.log if r.group != "accounts"])
        cost = await loading.forecast(runtime, span, ["99999999"])
        assert cost.requests == {"99999999": 4}
        assert (cost.windows, cost.windows_done) == ({"99999999": 16}, 7)
        assert (cost.transcripts or 0) > 10
        assert len([r for r in world.sandbox.log if r.group != "accounts"]) == before

    play(scenario, tmp_path / "new")


def test_a_backfill_of_one_sub_account_leaves_the_others_alone(tmp_path: Path) -> None:
    """And one that this user cannot see is named."""
    span = Window(START, START + timedelta(hours=1))

    async def scenario(world: World, runtime: Runtime) -> None:
        await loading.backfill(runtime, span, only=["99999999"])
        polled = runtime.lake.query("SELECT DISTINCT sub_account_id FROM windows").to_pylist()
        assert polled == [{"sub_account_id": "99999999"}]
        with pytest.raises(SettingsError, match="--sub-account 5"):
            await loading.backfill(runtime, span, only=["5"])

    play(scenario, tmp_path)


def test_time_that_is_up_leaves_the_rest_to_the_next_pass(tmp_path: Path) -> None:
    """A pass must end before the next is due, with nothing lost and nothing claimed."""
    account = generate_account(start=NOON - 7200, dialogs_per_hour=200)

    async def scenario(world: World, runtime: Runtime) -> None:
        first = await loading.ingest(runtime, max_minutes=1)
        assert first.ok
        assert first.pending > 0
        assert count(runtime, "segments WHERE claimed_by IS NOT NULL") == 0
        second = await loading.ingest(runtime)
        assert second.pending == 0
        assert max(transcripts_asked(world).values()) == 1

    play(scenario, tmp_path, SandboxConfig(account=account))


def test_malformed_items_are_quarantined_and_the_rest_is_loaded(tmp_path: Path) -> None:
    """Never dropped, never in the way, and once however often the window is read again."""
    faults = Faults(malformed_item_share=0.3, malformed_phrase_share=0.3, unknown_field_share=0.3)
    config = SandboxConfig(account=generate_account(start=NOON - 7200, dialogs_per_hour=12), faults=faults)

    async def scenario(world: World, runtime: Runtime) -> None:
        reports = []
        for _ in range(3):
            reports.append(await loading.ingest(runtime))
            await asyncio.sleep(900)
        kinds = runtime.lake.query("SELECT kind, count(*) AS n FROM quarantine GROUP BY kind ORDER BY kind").to_pylist()
        assert [row["kind"] for row in kinds] == ["segment", "utterance"]
        assert count(runtime, "quarantine WHERE reason IS NULL OR raw IS NULL") == 0
        assert reports[0].tally.unknown_fields
        assert count(runtime, "utterances WHERE extra IS NOT NULL") > 0
        assert all(report.ok and report.tally.adds_up() for report in reports)

    play(scenario, tmp_path, config)


def test_a_platform_in_trouble_is_left_alone_and_made_up_for(tmp_path: Path) -> None:
    """A few answers in vain end the pass for that sub-account; the next one loads everything."""
    account = generate_account(start=NOON - 7200, dialogs_per_hour=30)

    async def scenario(world: World, runtime: Runtime) -> None:
        world.sandbox.script("transcripts", [Fault(status=503)] * 100)
        first = await loading.ingest(runtime)
        assert not first.ok
        spent = sum(r.group == "transcripts" for r in world.sandbox.log)
        assert spent <= 5 * (8 + 7)  # attempts at eight in a row, and at those that were in flight beside the last
        await loading.ingest(runtime)
        await asyncio.sleep(3600)
        for _ in range(3):
            last = await loading.ingest(runtime)
            await asyncio.sleep(900)
        assert last.ok
        assert count(runtime, "segments WHERE has_transcript AND transcript_state NOT IN ('stored', 'empty')") == 0

    play(scenario, tmp_path, SandboxConfig(account=account), ringcx_sub_account_ids=("99999999",))


def test_a_static_token_works_until_it_expires_and_then_says_so(tmp_path: Path) -> None:
    """The seed's sample takes a ready token; when it has ended, only its owner can help."""
    token: dict[str, Any] = {"ringcx_access_token": "sandbox-token", "ringcentral_jwt": "", "ringcentral_client_id": ""}

    async def scenario(world: World, runtime: Runtime) -> None:
        assert (await loading.ingest(runtime)).ok
        await asyncio.sleep(900)
        world.sandbox.script("metadata", [Fault(status=401)] * 9)
        with pytest.raises(Unauthorized, match="RINGCX_ACCESS_TOKEN"):
            await loading.ingest(runtime)
        assert count(runtime, "runs WHERE state = 'failed' AND error LIKE '%RINGCX_ACCESS_TOKEN%'") == 1

    play(scenario, tmp_path, **token)


def test_what_came_hours_late_is_found_by_reconcile(tmp_path: Path) -> None:
    """Ingest reads an hour again; what takes longer than that is not lost, but found within the days reconciled."""
    faults = Faults(late_flag_share=0.3, late_flag_s=5 * 3600, late_metadata_share=0.3, late_metadata_s=5 * 3600)
    config = SandboxConfig(account=generate_account(start=NOON - 7200, end=NOON, dialogs_per_hour=12), faults=faults)

    async def scenario(world: World, runtime: Runtime) -> None:
        for _ in range(3):
            await loading.ingest(runtime)
            await asyncio.sleep(900)
        before = count(runtime, "segments"), count(runtime, "segments WHERE transcript_state = 'stored'")
        await asyncio.sleep(12 * 3600)
        report = await loading.reconcile(runtime, 1)
        after = count(runtime, "segments"), count(runtime, "segments WHERE transcript_state = 'stored'")
        assert report.ok
        assert after[0] > before[0]
        assert after[1] > before[1]
        assert count(runtime, "segments WHERE has_transcript AND transcript_state NOT IN ('stored', 'empty')") == 0

    play(scenario, tmp_path, config)


def test_a_late_flag_is_seen_when_the_hour_is_read_again(tmp_path: Path) -> None:
    """hasTranscript may turn true after the window was polled."""
    faults = Faults(late_flag_share=1, late_flag_s=900)
    config = SandboxConfig(account=generate_account(start=NOON - 7200, end=NOON, dialogs_per_hour=12), faults=faults)

    async def scenario(world: World, runtime: Runtime) -> None:
        absent = []
        for _ in range(6):
            await loading.ingest(runtime)
            absent.append(count(runtime, "segments WHERE transcript_state = 'absent'"))
            await asyncio.sleep(900)
        assert absent[-1] < absent[0]
        assert count(runtime, "segments WHERE has_transcript AND transcript_state NOT IN ('stored', 'empty')") == 0

    play(scenario, tmp_path, config)
