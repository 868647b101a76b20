"""`transcribe` with RingCentral's AI: segments that only have a recording, chosen, heard and told beside all others."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from connectors.sandbox import JobTrouble
from flows import tables
from flows.calls.speech.to_hear import Wish, waiting
from flows.calls.speech.transcribing import transcribe
from flows.columns import SEGMENT_KEY
from flows.runtime import Runtime
from sinks.changes import Upsert
from tests.flows.elsewhere import BEGAN, LINES, Play, key, play

Row = dict[str, Any]
pytestmark = pytest.mark.usefixtures("laid_out")


def fill(runtime: Runtime, *states: str, **changes: object) -> None:
    """Segments with a recording, whose transcripts are in these states."""
    rows: list[Row] = [
        {
            **dict(zip(SEGMENT_KEY, key(number), strict=True)),
            "segment_participant_id": "ann",
            "segment_start_time": BEGAN,
            "segment_end_time": BEGAN + timedelta(seconds=20 + number),
            "segment_duration_ms": 20_000,
            "has_recording": True,
            "transcript_state": state,
            **changes,
        }
        for number, state in enumerate(states)
    ]
    schema = pa.schema([tables.SEGMENTS.schema.field(name) for name in rows[0]])
    runtime.lake.commit([Upsert(tables.SEGMENTS, pa.Table.from_pylist(rows, schema))])


def test_what_only_has_a_recording_is_heard_by_ringcentral(tmp_path: Path) -> None:
    """Under the budget, newest first, once; nobody says who of the speakers is the agent, so nor do the views."""

    async def scenario(stage: Play, runtime: Runtime) -> None:
        fill(runtime, "absent", "rejected", "stored", "pending")
        wish = Wish(engine="ringcentral-ai", minutes=0.1)
        assert [one.key for one in waiting(runtime, wish, "ringcentral-ai")] == [key(1), key(0)]
        first = await transcribe(runtime, wish)
        assert (first.ok, first.hearing.states, first.left) == (True, {"done": 1}, 1)
        second = await transcribe(runtime, Wish(engine="ringcentral-ai"))
        assert (second.hearing.states, second.hearing.utterances, second.left) == ({"done": 1}, 2, 0)
        assert (await transcribe(runtime, wish)).hearing.done == 0
        assert len(stage.asked("POST")) == 2
        told = runtime.lake.query("FROM spoken ORDER BY segment_id, seq").to_pylist()
        assert [(row["segment_id"], row["message"]) for row in told] == [
            (name, line) for name in ("s0", "s1") for line in LINES
        ]
        assert {(row["source"], row["speaker"]) for row in told} == {("ringcentral-ai", None)}

    play(scenario, tmp_path)


def test_a_recording_that_is_not_ready_waits(tmp_path: Path) -> None:
    """RingCX has it a quarter of an hour after the end; asked before, the job would fail for good."""

    async def scenario(stage: Play, runtime: Runtime) -> None:
        del stage
        fill(runtime, "absent", segment_end_time=runtime.now() - timedelta(minutes=14))
        assert waiting(runtime, Wish(), "ringcentral-ai") == []

    play(scenario, tmp_path)


def test_a_job_that_fails_is_said_with_its_reason(tmp_path: Path) -> None:
    """The run says so, and the row keeps it."""

    async def scenario(stage: Play, runtime: Runtime) -> None:
        stage.script(JobTrouble(fail=True))
        fill(runtime, "absent")
        done = await transcribe(runtime, Wish(engine="ringcentral-ai"))
        assert (done.ok, done.hearing.states) == (False, {"failed": 1})
        assert "CAI-110" in done.hearing.troubles[0]
        (run,) = runtime.lake.query("SELECT state, error FROM runs WHERE kind = 'transcribe'").to_pylist()
        assert (run["state"], run["error"]) == ("failed", done.hearing.troubles[0])

    play(scenario, tmp_path)
