"""verify finds what is wrong, whatever it is: a proof that cannot fail proves nothing."""

import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from connectors.sandbox import SandboxConfig, generate_account
from connectors.sandbox.faults import Faults
from flows import loading
from flows.runtime import open_lake, open_runtime
from flows.settings import load_settings
from flows.verify import Proof, verify
from sinks.lake import Lake
from tests.virtual_time import NOON, World, run_virtually

START = datetime.fromtimestamp(NOON, UTC) - timedelta(hours=2)
STEP, OFFSET = timedelta(minutes=15), timedelta(minutes=5)


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lake with two hours of conversations, some of whose lines are in quarantine."""
    folder = tmp_path_factory.mktemp("loaded")
    faults = Faults(malformed_phrase_share=0.2)
    config = SandboxConfig(account=generate_account(start=NOON - 7200, dialogs_per_hour=12), faults=faults)

    async def load(world: World) -> None:
        async with open_runtime(world.settings(ringcx_start=START), world.clock, world.transport) as runtime:
            await loading.ingest(runtime)

    run_virtually(load, config, folder)
    return folder / "lake"


@pytest.fixture
def lake(loaded: Path, tmp_path: Path) -> Iterator[Lake]:
    """A copy of it, to be damaged."""
    shutil.copytree(loaded, tmp_path / "lake")
    with open_lake(load_settings(_env_file=None, ringcx_lake=str(tmp_path / "lake"))) as copy:
        copy.create()
        yield copy


def proof_after(damage: str, lake: Lake) -> Proof:
    """What verify says after an SQL statement that no program of ours runs."""
    if damage:
        with lake.exclusive() as con:
            con.execute("USE lake")
            con.execute(damage)
            con.execute("USE memory")
    return verify(lake, None, START + timedelta(hours=1.75), STEP, OFFSET)


def test_a_complete_lake_passes_every_check(lake: Lake) -> None:
    """And every check has looked at something, but for those whose cases are rare."""
    proof = proof_after("", lake)
    assert proof.ok
    assert [check.name for check in proof.checks if not check.looked_at] == [
        "every pending transcript has a time at which it is asked for again",
        "every segment that was put through speech to text has its utterances, each once",
        "every utterance of speech to text belongs to a job that is done",
    ]


@pytest.mark.parametrize(
    ("damage", "name"),
    [
        ("DELETE FROM windows WHERE window_start = TIMESTAMPTZ '2026-09-01 11:00:00Z'", "every minute lies"),
        ("UPDATE windows SET polled_at = window_end", "every window was polled after it was complete"),
        ("UPDATE segments SET transcript_state = 'absent'", "every flagged segment"),
        ("UPDATE segments SET transcript_state = 'pending', next_attempt_at = NULL", "every pending transcript"),
        ("DELETE FROM utterances WHERE seq = 2", "every stored transcript"),
        ("INSERT INTO utterances SELECT * FROM utterances WHERE seq = 1", "every stored transcript"),
        ("UPDATE utterances SET segment_day = segment_day + 1 WHERE seq = 2", "every stored transcript"),
        ("UPDATE utterances SET segment_day = segment_day + 1 WHERE seq = 2", "every utterance belongs"),
        ("DELETE FROM segments WHERE transcript_state = 'stored'", "every utterance belongs"),
        ("INSERT INTO segments SELECT * FROM segments LIMIT 1", "every segment is one row"),
        ("DELETE FROM quarantine", "what was given up"),
        ("UPDATE runs SET utterances_loaded = utterances_loaded - 1", "every run read"),
    ],
)
def test_damage_is_found_and_named(damage: str, name: str, lake: Lake) -> None:
    """Each check alone, by the damage that it is for."""
    proof = proof_after(damage, lake)
    assert not proof.ok
    assert [check for check in proof.checks if check.name.startswith(name) and check.found and check.wrong]


def test_a_gap_is_given_exactly(lake: Lake) -> None:
    """Whoever is woken wants to know from when to when, and of whom."""
    proof = proof_after("DELETE FROM windows WHERE hour(window_start) = 11 AND sub_account_id = '99999999'", lake)
    gap = {
        "sub_account_id": "99999999",
        "gap_from": START + timedelta(hours=1),
        "gap_until": START + timedelta(hours=1.75),
    }
    assert proof.checks[0].wrong == (gap,)
