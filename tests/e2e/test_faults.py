"""Whatever goes wrong on the way, the tables end the same."""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest

from connectors.sandbox import SandboxConfig, generate_account
from connectors.sandbox.faults import Faults
from flows import loading
from flows.runtime import open_runtime
from flows.sandboxes import EVERY_FAULT
from tests.virtual_time import NOON, World, run_virtually

HOURS = 3
SEGMENTS_SQL = """
    SELECT * EXCLUDE (extra, transcript_attempts, next_attempt_at, claimed_by, transcript_error, quarantined_count,
                      transcript_at, first_seen_at)
    FROM segments ORDER BY ALL
"""
UTTERANCES_SQL = "SELECT * EXCLUDE (extra, seq, segment_day) FROM utterances ORDER BY ALL"


def load_for_a_day(faults: Faults, folder: Path) -> tuple[pa.Table, pa.Table, World]:
    """Three hours of conversations, ingested as they happen and for a day after, every 15 minutes."""
    account = generate_account(start=NOON - 3600 * HOURS, end=NOON, dialogs_per_hour=20, odd_id_share=0.2)
    config = SandboxConfig(account=account, faults=faults, limits={"metadata": "30/60,90/900"})

    async def work(world: World) -> tuple[pa.Table, pa.Table, World]:
        start = datetime.fromtimestamp(NOON, UTC) - timedelta(hours=HOURS)
        settings = world.settings(ringcx_start=start, ringcx_metadata_limits="30/60,90/900")
        async with open_runtime(settings, world.clock, world.transport) as runtime:
            for minutes in [15] * 12 + [240] * 6:
                await loading.ingest(runtime)
                await asyncio.sleep(60 * minutes)
            return runtime.lake.query(SEGMENTS_SQL), runtime.lake.query(UTTERANCES_SQL), world

    return run_virtually(work, config, folder)


@pytest.mark.slow
def test_a_run_with_every_fault_on_ends_with_the_same_tables(tmp_path: Path) -> None:
    """The promise behind all others: trouble costs time, never data."""
    calm = load_for_a_day(Faults(rejected_transcript_share=EVERY_FAULT.rejected_transcript_share), tmp_path / "calm")
    rough = load_for_a_day(EVERY_FAULT, tmp_path / "rough")
    assert rough[0].equals(calm[0])
    assert rough[1].equals(calm[1])
    assert calm[1].num_rows > 1000
    assert {record.fault for record in rough[2].sandbox.log if record.fault} > {"reset", "truncate", "html", "503"}
