"""Recordings and summaries: each fetched once, whole or not at all, asked for again until retention ends."""

import asyncio
import hashlib
import io
import wave
from collections import Counter
from collections.abc import Coroutine, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Protocol

import pytest

from connectors.sandbox import Fault, FixedAccount, SandboxConfig, SandboxServer, Segment, simple_segment
from flows import loading
from flows.calls import enriching
from flows.calls.downloads import recordings, summaries
from flows.calls.downloads.choice import Choice
from flows.calls.downloads.haul import Haul
from flows.runtime import Runtime, open_runtime
from flows.settings import SettingsError
from flows.verify import verify
from sinks.errors import LakeUnavailable
from tests.virtual_time import NOON, World, run_virtually

START = datetime.fromtimestamp(NOON, UTC) - timedelta(hours=2)
HOSTILE = ("../../../etc/passwd", "a/b", "..", "nul\x00", "ünï ✆")
Rows = list[dict[str, Any]]
pytestmark = pytest.mark.usefixtures("laid_out")


class Scenario(Protocol):
    """What happens in a world whose conversations have been ingested."""

    def __call__(self, world: World, runtime: Runtime) -> Coroutine[Any, Any, Any]: ...


def call(number: int, dialog: str | None = None, **changes: object) -> Segment:
    """A recorded call of a few seconds that ended an hour and `number` minutes before noon."""
    name = dialog or f"d-{number}"
    voice: dict[str, Any] = {
        "channel_type": "VOICE",
        "channel_class": "VOICE",
        "has_recording": True,
        "agent_notes": "settled",
    }
    return simple_segment(name, f"{name}/s", NOON - 3600 - 60 * number, **{**voice, **changes})


def play(scenario: Scenario, folder: Path, calls: Sequence[Segment], **settings: object) -> Any:
    """What a scenario returns, after an ingest of these calls."""

    async def work(world: World) -> Any:
        given = {"ringcx_start": START, "ringcx_audio_path": str(folder / "audio"), **settings}
        async with open_runtime(world.settings(**given), world.clock, world.transport) as runtime:
            assert (await loading.ingest(runtime)).ok
            return await scenario(world, runtime)

    return run_virtually(work, SandboxConfig(account=FixedAccount(calls)), folder)


def rows(runtime: Runtime, table: str = "recordings") -> Rows:
    """All of a table's rows."""
    found: Rows = runtime.lake.query(f"FROM {table} ORDER BY dialog_id, segment_id").to_pylist()
    return found


def asked(world: World, group: str = "recordings") -> Counter[str | None]:
    """How often each dialog's, or segment's, was asked for."""
    return Counter(r.dialog_id or r.segment_id for r in world.sandbox.log if r.group == group)


def test_recordings_are_downloaded_whole_and_once(tmp_path: Path) -> None:
    """The row tells the truth about the file; ids, which are the platform's, are no part of its name."""
    calls = [call(number, dialog) for number, dialog in enumerate(HOSTILE)]

    async def scenario(world: World, runtime: Runtime) -> None:
        done = await recordings.fetch(runtime)
        assert (done.ok, done.haul.states, done.left) == (True, {"stored": 5}, 0)
        for row in rows(runtime):
            content = (tmp_path / "audio" / row["path"]).read_bytes()
            with wave.open(io.BytesIO(content)) as heard:
                assert row["duration_ms"] == heard.getnframes() * 1000 // heard.getframerate()
            assert (row["size_bytes"], row["sha256"]) == (len(content), hashlib.sha256(content).hexdigest())
            assert row["path"] == f"ringcx/2026-09-01/{row['recording_id']}.wav"
        files = [path for path in (tmp_path / "audio").rglob("*") if path.is_file()]
        assert len(files) == 5
        await recordings.fetch(runtime)
        assert asked(world) == dict.fromkeys(HOSTILE, 1)
        (run,) = (row for row in runtime.lake.query("FROM runs WHERE kind = 'recordings'").to_pylist()[:1])
        assert run["state"] == "done"
        proof = verify(runtime.lake, START, runtime.now(), runtime.grid.step, runtime.grid.offset, tmp_path / "audio")
        assert [check.name for check in proof.checks if "recording" in check.name and check.looked_at == 5]
        files[0].unlink()
        proof = verify(runtime.lake, START, runtime.now(), runtime.grid.step, runtime.grid.offset, tmp_path / "audio")
        (wrong,) = (check for check in proof.checks if not check.ok and "file" in check.name)
        assert wrong.wrong[0]["path"] == files[0].relative_to(tmp_path / "audio").as_posix()

    play(scenario, tmp_path, calls)


def test_only_what_is_chosen_is_asked_for(tmp_path: Path) -> None:
    """Quota and disk are for what somebody wants to hear."""
    calls = [
        call(1),
        call(2, participant_id="42"),
        call(3, channel_type="OTHER"),
        call(30),
        call(4, has_recording=False),
    ]

    async def scenario(world: World, runtime: Runtime) -> None:
        early = Choice(end=runtime.now() - timedelta(minutes=80))
        chosen = [early, Choice(agents=("42",)), Choice(channels=("other",)), Choice(min_seconds=3600)]
        assert [(await recordings.wanted(runtime, choice))[0] for choice in chosen] == [1, 1, 1, 0]
        await recordings.fetch(runtime, early)
        assert asked(world) == {"d-30": 1}
        with pytest.raises(SettingsError, match="--sub-account 1 is none"):
            await recordings.fetch(runtime, Choice(sub_accounts=("1",)))

    play(scenario, tmp_path, calls)


def test_a_recording_that_is_not_there_is_asked_for_until_retention_ends(tmp_path: Path) -> None:
    """Not before it can be there; later and later; and at last it says so."""

    async def scenario(world: World, runtime: Runtime) -> None:
        states = []
        for hours in (0, 0, 1, 30, 40):
            world.sandbox.script("recordings", [Fault(status=404)])
            await asyncio.sleep(hours * 3600)
            await recordings.fetch(runtime)
            states.append([(row["state"], row["attempts"]) for row in rows(runtime)])
        assert states == [[("missing", n)] for n in (1, 1, 2, 3)] + [[("expired", 4)]]
        assert rows(runtime)[0]["next_attempt_at"] is None
        world.sandbox.script("recordings", [])

    play(scenario, tmp_path, [call(0)], ringcx_retention_days=2)


def test_what_has_just_ended_is_left_alone_until_it_is_ready(tmp_path: Path) -> None:
    """Ten to fifteen minutes: each 404 before that is a request for nothing."""

    async def scenario(world: World, runtime: Runtime) -> None:
        assert (await recordings.fetch(runtime)).left == 1
        assert not asked(world)
        await asyncio.sleep(3600)
        await recordings.fetch(runtime)
        assert [row["state"] for row in rows(runtime)] == ["stored"]

    play(scenario, tmp_path, [call(0)], ringcx_recording_ready_seconds=5400)


BAD = {
    "web-page": Fault(html=True),
    "nothing": Fault(status=200, body=""),
    "no-audio": Fault(status=200, body="RIFF\x04\x00\x00\x00WAVE"),
    "too-long": Fault(status=200, body="RIFF\x04\x00\x00\x00WAVEmore"),
}


def test_what_is_no_recording_is_never_stored(tmp_path: Path) -> None:
    """A player would find out months later; the row keeps the reason, and the next run asks again."""

    async def scenario(world: World, runtime: Runtime) -> None:
        for fault in BAD.values():
            world.sandbox.script("recordings", [fault] * 5)
            await recordings.fetch(runtime)
            (row,) = rows(runtime)
            assert (row["state"], row["path"]) == ("pending", None)
            assert "cannot be read" in row["error"]
            await asyncio.sleep(86400)
        assert not [path for path in (tmp_path / "audio").rglob("*") if path.is_file()]
        await recordings.fetch(runtime)
        assert rows(runtime)[0]["state"] == "stored"

    play(scenario, tmp_path, [call(0)])


def test_an_outage_is_not_hammered(tmp_path: Path) -> None:
    """Eight answers in vain end it; what came is kept, and the rest comes with the next run."""

    async def scenario(world: World, runtime: Runtime) -> None:
        world.sandbox.script("recordings", [Fault(), *[Fault(status=403)] * 8])
        done = await recordings.fetch(runtime)
        assert not done.ok
        assert "Recordings need" in done.haul.troubles[0]
        assert sum(asked(world).values()) == 9
        await asyncio.sleep(7200)
        assert (await recordings.fetch(runtime)).ok
        assert {row["state"] for row in rows(runtime)} == {"stored"}

    play(scenario, tmp_path, [call(number) for number in range(12)], ringcx_concurrency=1)


def test_what_came_is_kept_when_a_run_is_cancelled(tmp_path: Path) -> None:
    """And nothing of it is asked for again."""

    async def scenario(world: World, runtime: Runtime) -> None:
        world.sandbox.script("recordings", [Fault(), Fault(), Fault(delay_s=25)])
        running = asyncio.create_task(recordings.fetch(runtime))
        await asyncio.sleep(2)
        running.cancel()
        await asyncio.wait([running])
        assert [row["state"] for row in rows(runtime)] == ["stored"] * 2
        await recordings.fetch(runtime)
        assert sorted(asked(world).values()) == [1, 1, 1, 2]

    play(scenario, tmp_path, [call(number) for number in range(4)], ringcx_concurrency=1)


def test_two_runs_do_not_fetch_the_same(tmp_path: Path) -> None:
    """The schedule's and somebody's by hand: the second one says that the first is at it."""

    async def scenario(world: World, runtime: Runtime) -> None:
        world.sandbox.script("recordings", [Fault(delay_s=20)])
        first = asyncio.create_task(recordings.fetch(runtime))
        await asyncio.sleep(1)
        with pytest.raises(SettingsError, match="another run fetches recordings"):
            await recordings.fetch(runtime)
        assert (await first).ok
        assert asked(world) == {"d-0": 1}

    play(scenario, tmp_path, [call(0)])


def test_a_folder_that_cannot_be_written_ends_the_run_with_its_name(tmp_path: Path) -> None:
    """Nothing is marked as tried: it was not the recording's fault."""

    async def scenario(world: World, runtime: Runtime) -> None:
        (tmp_path / "audio").write_text("a file")
        with pytest.raises(LakeUnavailable, match="audio"):
            await recordings.fetch(runtime)
        assert rows(runtime) == []
        (tmp_path / "audio").unlink()
        assert (await recordings.fetch(runtime)).ok

    play(scenario, tmp_path, [call(0)])


def test_a_download_that_is_cut_in_the_middle_ends_whole(tmp_path: Path) -> None:
    """On a real socket; the first attempt's part is neither kept nor continued."""
    ended = datetime.now(UTC) - timedelta(hours=2)
    account = FixedAccount([_recent(ended)])

    async def work(server: SandboxServer, world: World) -> Rows:
        settings = world.settings(
            ringcx_base_url=server.base_url,
            ringcentral_base_url=server.base_url,
            ringcx_start=ended - timedelta(minutes=30),
            ringcx_audio_path=str(tmp_path / "audio"),
        )
        async with open_runtime(settings) as runtime:
            await loading.ingest(runtime)
            server.sandbox.script("recordings", [Fault(truncate=True)])
            assert (await recordings.fetch(runtime)).ok
            return rows(runtime)

    config = SandboxConfig(account=account)
    with SandboxServer(config) as server:
        (row,) = asyncio.run(work(server, World(config, tmp_path, server.sandbox.clock)))
        assert asked_of(server) == 2
    with wave.open(str(tmp_path / "audio" / row["path"])) as heard:
        assert heard.getnframes() * 1000 // heard.getframerate() == row["duration_ms"] > 0
    assert not list((tmp_path / "audio" / ".parts").iterdir())


def _recent(ended: datetime) -> Segment:
    return simple_segment("d", "s", ended.timestamp(), channel_type="VOICE", channel_class="VOICE", has_recording=True)


def asked_of(server: SandboxServer) -> int:
    """Recordings that were asked for."""
    return sum(record.group == "recordings" for record in server.sandbox.log)


def test_summaries_are_fetched_and_those_that_are_not_there_asked_for_again(tmp_path: Path) -> None:
    """Both kinds; an empty one may be filled in later, a missing one may come; then it is kept as it was sent."""

    async def scenario(world: World, runtime: Runtime) -> None:
        world.sandbox.script("summaries", [Fault(status=200, body=""), Fault(status=404)])
        await summaries.fetch(runtime)
        assert {row["kind"]: row["state"] for row in rows(runtime, "summaries")} == {
            "agent": "empty",
            "auto": "missing",
        }
        assert (await summaries.fetch(runtime)).haul.done == 0
        await asyncio.sleep(3600)
        done = await summaries.fetch(runtime)
        assert (done.haul.states, done.left) == ({"stored": 2}, 0)
        said = {row["kind"]: row["summary"] for row in rows(runtime, "summaries")}
        assert (said["agent"], said["auto"][:26]) == ("settled", "The conversation began wit")
        assert asked(world, "summaries").total() == 4

    play(scenario, tmp_path, [call(0)], ringcx_concurrency=1)


def test_a_summary_that_stays_empty_is_not_asked_for_for_ever(tmp_path: Path) -> None:
    """Most agents never write one."""

    async def scenario(world: World, runtime: Runtime) -> None:
        world.sandbox.script("summaries", [Fault(status=200, body=" \n")] * 99)
        for _ in range(8):
            await summaries.fetch(runtime)
            await asyncio.sleep(86400)
        assert {(row["state"], row["attempts"]) for row in rows(runtime, "summaries")} == {("empty", 5)}

    play(scenario, tmp_path, [call(0)])


def test_enrichment_does_what_is_switched_on_and_goes_on_after_a_failure(tmp_path: Path) -> None:
    """Off by default: each costs quota, or disk. A folder that is full does not keep summaries away."""

    async def scenario(world: World, runtime: Runtime) -> None:
        (tmp_path / "audio").write_text("a file")
        parts = await enriching.enrich(runtime)
        assert [(part.kind, part.ok) for part in parts] == [("recordings", False), ("summaries", True)]
        assert asked(world, "summaries").total() == 2

    play(scenario, tmp_path, [call(0)], ringcx_recordings=True, ringcx_summaries=True)

    async def nothing(world: World, runtime: Runtime) -> None:
        assert (enriching.is_on(runtime.settings), await enriching.enrich(runtime)) == (False, [])

    play(nothing, tmp_path, [call(0)])


def test_progress_ends_where_it_said_it_would(tmp_path: Path) -> None:
    """Done of wanted, all the way."""
    seen: list[tuple[int, int]] = []

    async def scenario(world: World, runtime: Runtime) -> None:
        def look(haul: Haul) -> None:
            seen.append((haul.done, haul.wanted))

        await recordings.fetch(runtime, on_progress=look)

    play(scenario, tmp_path, [call(number) for number in range(3)])
    assert seen == [(0, 3), (1, 3), (2, 3), (3, 3)]
