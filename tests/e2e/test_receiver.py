"""A receiver as it is run: killed in the middle of calls, told to end, and found again by what it left behind."""

import asyncio
from pathlib import Path

import pytest

from connectors.sandbox.callers import CallScript, dial
from connectors.sandbox.callers.line import Outcome
from sinks.audio import describe
from tests.processes import run_cli
from tests.receiver import Receiver, environment, on_disk, receiving, recordings, sent, two_speakers

CALLS = 10  # over each transport
UNWRITTEN = 8000  # bytes of one channel: a second, of which a quarter waits for the disk's turn


async def talk(receiver: Receiver, calls: list[tuple[CallScript, str]]) -> list[Outcome]:
    """All calls at once, in real time; when something of each has been heard, the receiver is killed."""
    talking = [asyncio.create_task(dial(script, receiver.line(transport))) for script, transport in calls]
    await on_disk(receiver.folder, CALLS * 3, 2.0)
    receiver.process.kill()
    return list(await asyncio.gather(*talking))


@pytest.mark.slow
def test_what_had_arrived_when_the_receiver_was_killed_is_on_disk_and_the_table_says_cut(tmp_path: Path) -> None:
    """Twenty live calls cannot be heard once more: what was heard of them is all that there is."""
    calls = [(two_speakers(f"{way}-{number}", 60.0), way) for number in range(CALLS) for way in ("wss", "grpc")]
    with receiving(tmp_path) as receiver:
        outcomes = asyncio.run(talk(receiver, calls))
    done = run_cli("receive", "--recover", env=environment(tmp_path))
    assert f"{CALLS * 3} recordings marked cut" in done.stdout
    rows = {(row["dialog_id"], row["segment_id"]): row for row in recordings(tmp_path)}
    for (script, transport), outcome in zip(calls, outcomes, strict=True):
        for segment_id, audio in sent(script, transport).items():
            row = rows[script.dialog_id, segment_id]
            path = tmp_path / "audio" / row["path"]
            sound, content = describe(path), path.read_bytes()
            assert (row["state"], row["size_bytes"], row["duration_ms"]) == ("cut", len(content), sound.duration_ms)
            heard = content[58 : 58 + sound.audio_bytes]
            assert audio.startswith(heard)
            chunks = outcome.sent[segment_id] * 800 if transport == "grpc" else 2 * outcome.sent["Conference"] * 160
            assert chunks - len(heard) <= UNWRITTEN * sound.channels
            assert sound.duration_ms > 1000
    assert not list((tmp_path / "audio" / ".receiving").iterdir())
    again = run_cli("receive", "--recover", env=environment(tmp_path))
    assert "after 0 receivers" in again.stdout


@pytest.mark.slow
def test_told_to_end_it_lets_short_calls_finish_and_cuts_long_ones(tmp_path: Path) -> None:
    """Either way every file is whole, and every row says which."""
    short = [two_speakers(f"short-{way}", 2.0) for way in ("wss", "grpc")]
    endless = [two_speakers(f"long-{way}", 60.0) for way in ("wss", "grpc")]
    with receiving(tmp_path, RINGCX_RECEIVE_GRACE_SECONDS="2.5") as receiver:

        async def story() -> str:
            ways = ("wss", "grpc") * 2
            talking = [
                asyncio.create_task(dial(script, receiver.line(way)))
                for script, way in zip([*short, *endless], ways, strict=True)
            ]
            await on_disk(tmp_path, 6, 0.5)
            said = await asyncio.to_thread(receiver.stop)
            await asyncio.gather(*talking)
            return said

        said = asyncio.run(story())
    assert receiver.process.returncode == 0
    assert "3 segments complete, 3 cut" in said
    rows = {row["segment_id"]: row for row in recordings(tmp_path)}
    assert {row["state"] for name, row in rows.items() if name.startswith("short")} == {"complete"}
    assert {row["state"] for name, row in rows.items() if name.startswith("long")} == {"cut"}
    audio = sent(short[0], "wss")["short-wss-agent"]
    assert (tmp_path / "audio" / rows["short-wss-agent"]["path"]).read_bytes()[58:] == audio
    assert not list((tmp_path / "audio" / ".receiving").iterdir())


@pytest.mark.slow
def test_a_lake_that_cannot_be_reached_costs_no_audio(tmp_path: Path) -> None:
    """Files and notes stay; the rows are committed once it can."""
    script = two_speakers("late", 0.5)
    catalog = tmp_path / "lake" / "catalog.sqlite"
    catalog.parent.mkdir()
    catalog.write_text("not a catalog" * 1000)
    with receiving(tmp_path) as receiver:
        outcome = asyncio.run(dial(script, receiver.line("wss", None)))
        said = receiver.stop()
    assert (outcome.accepted, receiver.process.returncode) == (True, 1)
    assert "the lake: " in said
    assert "not committed yet" in said
    catalog.unlink()
    done = run_cli("receive", "--recover", env=environment(tmp_path))
    assert "1 complete ones committed" in done.stdout
    (row,) = recordings(tmp_path)
    content = (tmp_path / "audio" / row["path"]).read_bytes()
    assert content[58:] == sent(script, "wss")["late-agent"]
    assert (row["state"], row["size_bytes"]) == ("complete", len(content))
