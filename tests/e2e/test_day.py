"""A day of a contact centre whose platform has every trouble we know of: at its end, the tables are the truth."""

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import groupby
from operator import attrgetter
from typing import Any, NamedTuple

import httpx
import msgspec
import pytest

from connectors.sandbox import LogRecord, SandboxConfig, SubAccount, generate_account
from flows import loading
from flows.runtime import Runtime, open_runtime
from flows.sandboxes import EVERY_FAULT
from flows.verify import Proof, verify
from flows.windows import horizon
from sinks.maintenance import maintain
from tests.crash import PHRASE, SEGMENTS_SQL, UTTERANCES_SQL, Key
from tests.virtual_time import NOON, World, run_virtually

START = datetime.fromtimestamp(NOON, UTC)
WINDOW_S, HOUR_S = 1800, 3600
TALKING_HOURS = 10  # then come a quiet evening and a night
MAINTAIN_H, RECONCILE_H = 14.5, 15 + 2 / 3  # after noon: as scheduled in prefect.yaml
RETENTION = timedelta(hours=9)
ONE_WAY_S, PENALTY_S = 0.1, 60.0
# A flag that flips within the hour is seen by ingest, which reads the last hour again; metadata two hours late only by
# reconcile. Transcripts that never come expire at the first attempt after retention: the seventh, within 12 hours.
FAULTS = replace(
    EVERY_FAULT,
    late_metadata_s=2 * HOUR_S,
    late_flag_s=1800,
    late_transcript_s=2 * HOUR_S,
    missing_transcript_share=0.01,
    throttled_share=0.03,
)


class Day(NamedTuple):
    """What is there at the end: in the lake, in truth, and in the sandbox's log."""

    proof: Proof
    states: Mapping[Key, tuple[object, ...]]
    said: Mapping[Key, tuple[tuple[object, ...], ...]]
    asked_last: Mapping[Key, datetime]
    runs: Mapping[str, int]
    truth: Mapping[Key, dict[str, Any]]
    log: list[LogRecord]


class Far(httpx.AsyncBaseTransport):
    """A platform that requests take `ONE_WAY_S` to reach, and answers as long to come from."""

    def __init__(self, near: httpx.AsyncBaseTransport) -> None:
        self._near = near

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        await asyncio.sleep(ONE_WAY_S)
        try:
            return await self._near.handle_async_request(request)
        finally:
            await asyncio.sleep(ONE_WAY_S)


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> Day:
    """Ingest every half hour for 24 hours, and beside it maintenance and reconcile, under the documented limits."""
    end = NOON + TALKING_HOURS * HOUR_S
    account = generate_account(
        start=NOON, end=end, sub_accounts=[SubAccount("99999999")], dialogs_per_hour=30, odd_id_share=0.1
    )
    config = SandboxConfig(account=account, faults=FAULTS, penalty_seconds=PENALTY_S)

    async def work(world: World) -> Day:
        settings = world.settings(
            ringcx_start=START, ringcx_retention_days=RETENTION / timedelta(days=1), ringcx_window_seconds=WINDOW_S
        )
        far = Far(world.transport)
        async with (
            open_runtime(settings, world.clock, far) as runtime,
            open_runtime(settings, world.clock, far, in_background=True) as behind,
        ):
            night = asyncio.create_task(at_night(behind))
            for number in range(1, 49):
                await asyncio.sleep(NOON + number * WINDOW_S + 300 - world.clock())
                await loading.ingest(runtime)
            await night
            return await look(world, runtime)

    return run_virtually(work, config, tmp_path_factory.mktemp("day"))


async def at_night(runtime: Runtime) -> None:
    """What is scheduled once a day."""
    await asyncio.sleep(MAINTAIN_H * HOUR_S)
    await asyncio.to_thread(maintain, runtime.lake)
    await asyncio.sleep((RECONCILE_H - MAINTAIN_H) * HOUR_S)
    await loading.reconcile(runtime)


async def look(world: World, runtime: Runtime) -> Day:
    """Everything that the tests below compare."""
    grid, span = runtime.grid, [START, START + timedelta(days=2)]
    async with httpx.AsyncClient(transport=world.transport, base_url="http://sandbox") as client:
        truth = [msgspec.json.decode(line) for line in (await client.get("/_sandbox/truth")).text.splitlines()]
    with runtime.lake.read() as con:
        states = con.execute(SEGMENTS_SQL, span).fetchall()
        lines = con.execute(UTTERANCES_SQL, span).fetchall()
        asked = con.execute(ASKED_SQL).fetchall()
        runs = con.execute("SELECT 'expired', sum(transcripts_expired) FROM runs").fetchall()
        runs += con.execute("SELECT state, count(*) FROM runs GROUP BY state").fetchall()
    until = horizon(runtime.now(), grid.step, grid.offset)
    return Day(
        proof=verify(runtime.lake, START, until, grid.step, grid.offset),
        states={row[:3]: row[3:] for row in states},
        said={key: tuple(row[3:] for row in rows) for key, rows in groupby(lines, key=lambda row: row[:3])},
        asked_last={row[:3]: row[3] for row in asked},
        runs=dict(runs),
        truth={(row["subAccountId"], row["dialogId"], row["segmentId"]): row for row in truth},
        log=world.sandbox.log,
    )


ASKED_SQL = "SELECT sub_account_id, dialog_id, segment_id, transcript_at FROM segments WHERE transcript_at IS NOT NULL"


@pytest.mark.slow
def test_the_day_had_every_trouble(day: Day) -> None:
    """Otherwise the rest of this file would prove nothing."""
    shares = {"500", "503", "reset", "cut_headers", "truncate", "html", "expired", "429", "429+penalty"}
    assert shares <= {record.fault for record in day.log}
    assert {row["state"] for row in day.truth.values()} == {"absent", "stored", "empty", "rejected", "missing"}
    assert len(day.truth) > 400


@pytest.mark.slow
def test_verify_holds_and_every_run_is_on_record(day: Day) -> None:
    """The proof that a user has is the same as ours."""
    assert day.proof.ok, [check for check in day.proof.checks if not check.ok]
    assert "running" not in day.runs
    assert "killed" not in day.runs


@pytest.mark.slow
def test_the_tables_are_the_truth(day: Day) -> None:
    """Every segment, in the state it ends in, with its facts as they were put right; every transcript word for word."""
    assert day.states.keys() == day.truth.keys()
    facts = ("hasTranscript", "segmentType", "channelClass", "startMs", "endMs")
    for key, row in day.truth.items():
        state, *seen = day.states[key]
        assert seen == [row[name] for name in facts]
        assert row["state"] == ("missing" if state in ("pending", "expired") else state)
        assert day.said.get(key, ()) == tuple(tuple(phrase.get(name) for name in PHRASE) for phrase in row["phrases"])


@pytest.mark.slow
def test_what_never_comes_expires_when_retention_ends_and_is_reported(day: Day) -> None:
    """Given up no earlier, and no later than at the first attempt after it."""
    ends = {key: datetime.fromtimestamp(row["endMs"] / 1000, UTC) for key, row in day.truth.items()}
    for key, (state, *_) in day.states.items():
        if state in ("pending", "expired"):
            assert (day.asked_last[key] - ends[key] > RETENTION) == (state == "expired")
    assert day.runs["expired"] == sum(state[0] == "expired" for state in day.states.values()) > 0


@pytest.mark.slow
def test_no_transcript_is_asked_for_after_it_was_committed(day: Day) -> None:
    """Of what is not pending, the lake's last attempt is the platform's last request, and one answer was enough."""
    asked: dict[Key, list[LogRecord]] = {}
    for record in day.log:
        if record.operation == "transcript":
            key = (record.sub_account_id or "", record.dialog_id or "", record.segment_id or "")
            asked.setdefault(key, []).append(record)
    for key, (state, *_) in day.states.items():
        if state not in ("absent", "pending"):
            assert asked[key][-1].at <= day.asked_last[key].timestamp()
        if state in ("stored", "empty"):
            assert [record.status for record in asked[key] if not record.fault].count(200) == 1


@pytest.mark.slow
def test_after_a_429_was_read_its_group_is_silent_until_the_penalty_ends(day: Day) -> None:
    """Each request in a penalty starts it anew: only those that were on their way before may arrive in it."""
    refused = 0
    for _, records in groupby(sorted(day.log, key=attrgetter("group", "number")), key=attrgetter("group")):
        read_at = end = 0.0
        for record in records:
            assert not read_at + ONE_WAY_S + 0.001 < record.at < end, record
            if record.status == 429:
                refused += 1
                read_at = read_at if record.at < end else record.at + ONE_WAY_S
                end = record.at + PENALTY_S
    assert refused > 10
