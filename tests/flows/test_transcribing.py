"""Speech to text over a lake: what is heard, once, under a budget, and where it stands afterwards."""

import asyncio
import shutil
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from connectors.errors import ConnectorError, Rejected, Unauthorized, Unavailable
from connectors.speech import Heard, Track, Transcription
from flows import tables
from flows.calls.speech.to_hear import Wish, waiting
from flows.calls.speech.transcribing import Transcribed, transcribe
from flows.calls.tables import RECORDINGS
from flows.commands.speech import transcribe as command
from flows.runtime import open_lake, open_runtime
from flows.settings import Settings, load_settings
from flows.verify import verify
from flows.windows import Window
from sinks.changes import Append, Upsert
from tests.connectors.speech.sounds import CALL, call, tone, wav

NOON = datetime(2026, 8, 1, 12, tzinfo=UTC)
NOW = NOON + timedelta(hours=6)
Row = dict[str, Any]


class Said:
    """An engine that says of each track what it is told, and remembers what it was asked."""

    source = "pocketsphinx"

    def __init__(self, *, fails: Mapping[str, ConnectorError] | None = None, source: str = "pocketsphinx") -> None:
        self.source, self.asked, self._fails = source, [], dict(fails or {})  # type: ignore[var-annotated]

    async def transcribe(self, tracks: Sequence[Track], language: str) -> Transcription:
        del language
        self.asked.append([(track.path.stem, track.channel) for track in tracks])
        if error := next((self._fails[track.path.stem] for track in tracks if track.path.stem in self._fails), None):
            raise error
        lines = [
            Heard(t.starts_ms + 1000 * n, t.starts_ms + 1000 * n + 500, i, f"{t.path.stem} {t.channel} {n}", 0.5)
            for i, t in enumerate(tracks)
            for n in range(2)
        ]
        return Transcription(tuple(sorted(lines, key=lambda one: one.start_ms)), 2000)


@pytest.fixture
def settings(tmp_path: Path, empty_lake: Path) -> Settings:
    """A lake with nothing in it, and no account."""
    shutil.copytree(empty_lake, tmp_path / "lake")
    return load_settings(
        _env_file=None,
        ringcx_access_token="none",
        ringcx_lake=str(tmp_path / "lake"),
        ringcx_state_path=str(tmp_path / "state"),
        ringcx_audio_path=str(tmp_path / "audio"),
    )


def segment(name: str, *, state: str = "absent", minutes: float = 0) -> Row:
    """A segment that began so many minutes after noon."""
    began = NOON + timedelta(minutes=minutes)
    return {
        "sub_account_id": "1",
        "dialog_id": f"d-{name}",
        "segment_id": name,
        "segment_participant_id": "ann",
        "segment_type": "AGENT",
        "segment_start_time": began,
        "segment_end_time": began + timedelta(seconds=60),
        "segment_duration_ms": 60_000,
        "transcript_state": state,
        "utterance_count": 0,
    }


def recording(name: str, *, began: datetime = NOON, **changes: Any) -> Row:
    """The recording of a segment, a minute long; a download unless something else is said."""
    row: Row = {"recording_id": name, "sub_account_id": "1", "dialog_id": f"d-{name}", "segment_id": name}
    row |= {"origin": "ringcx", "state": "stored", "path": f"{name}.wav", "encoding": "PCMU", "rate_hz": 8000}
    return {**row, "channels": 1, "started_at": began, "duration_ms": 60_000, **changes}


def fill(settings: Settings, segments: Sequence[Row] = (), recordings: Sequence[Row] = ()) -> None:
    """Store these rows."""
    changes = []
    for table, rows in ((tables.SEGMENTS, segments), (RECORDINGS, recordings)):
        if rows:
            names = dict.fromkeys(name for row in rows for name in row)
            schema = pa.schema([table.schema.field(name) for name in names])
            changes.append(Upsert(table, pa.Table.from_pylist(list(rows), schema)))
    with open_lake(settings) as lake:
        lake.commit(changes)


def hear(settings: Settings, engine: Any, now: datetime = NOW, **wish: Any) -> Transcribed:
    """One run with this engine."""

    async def run() -> Transcribed:
        async with open_runtime(settings, now.timestamp) as runtime:
            return await transcribe(runtime, Wish(**wish), transcriber=engine)

    return asyncio.run(run())


def ask(settings: Settings, sql: str) -> list[Row]:
    """The rows of a query."""
    with open_lake(settings) as lake:
        rows: list[Row] = lake.query(sql).to_pylist()
        return rows


def stored(settings: Settings) -> list[str]:
    """What is in `spoken`, in its order."""
    return [row["message"] for row in ask(settings, "FROM spoken ORDER BY dialog_id, segment_id, seq")]


def test_what_has_no_transcript_is_heard_once_and_newest_first(settings: Settings) -> None:
    """And stands in the views beside RingCX's own; a second run finds nothing to do."""
    fill(
        settings,
        [segment("a"), segment("b", state="stored"), segment("c", state="pending"), segment("e", state="empty")],
        [recording(name, began=NOON + timedelta(minutes=n)) for n, name in enumerate("abcef")],
    )
    engine = Said()
    done = hear(settings, engine)
    assert done.ok
    assert sorted(path for asked in engine.asked for path, _ in asked) == ["a", "e", "f"]
    assert hear(settings, again := Said()).hearing.done == 0
    assert again.asked == []
    assert stored(settings) == ["a 0 0", "a 0 1", "e 0 0", "e 0 1"]  # metadata does not list f yet
    assert {row["segment_id"] for row in ask(settings, "FROM best_utterances")} == {"a", "e", "f"}
    with open_lake(settings) as lake:
        proof = verify(lake, NOON, NOW + timedelta(hours=1), timedelta(minutes=15), timedelta(minutes=5))
    of_speech = [check for check in proof.checks if "speech" in check.name]
    assert [(check.found, check.looked_at) for check in of_speech] == [(0, 3), (0, 6)]


def test_a_live_call_is_one_conversation(settings: Settings) -> None:
    """Two files, each with a segment of its own, and metadata lists the agent's: both sides are heard with that."""
    live: Row = {"origin": "grpc", "state": "complete", "session_id": "s", "dialog_id": "d-a"}
    late = NOON + timedelta(milliseconds=300)
    agent: Row = {**live, "participant_type": "agent", "participant_id": "ann", "participant_name": "Ann"}
    fill(
        settings,
        [segment("a")],
        [
            recording("a", **agent),
            recording("a-contact", **live, participant_type="contact", participant_id="+1650", began=late),
        ],
    )
    assert hear(settings, Said()).hearing.done == 1
    rows = ask(settings, "SELECT seq, speaker, participant_name, message, spoken_at FROM turns ORDER BY turn")
    assert [(row["seq"], row["speaker"], row["message"]) for row in rows] == [
        (0, "agent", "a 0 0"),
        (1, "contact", "a-contact 0 0"),
        (2, "agent", "a 0 1"),
        (3, "contact", "a-contact 0 1"),
    ]
    assert rows[1]["spoken_at"] == late
    assert rows[0]["participant_name"] == "Ann"


def test_after_a_transfer_the_contact_is_heard_with_whoever_had_joined_last(settings: Settings) -> None:
    """One stream of the contact, two agents: nothing that the contact says is in both."""
    live: Row = {"origin": "grpc", "state": "complete", "session_id": "s", "dialog_id": "d-a"}
    second: Row = {"began": NOON + timedelta(milliseconds=900), "participant_type": "agent"}
    fill(
        settings,
        [segment("a"), {**segment("b"), "dialog_id": "d-a"}],
        [
            recording("a", **live, participant_type="agent"),
            recording("b", **live, **second),
            recording("c", **live, participant_type="contact"),
        ],
    )
    hear(settings, Said())
    assert stored(settings) == ["a 0 0", "c 0 0", "a 0 1", "b 0 0", "c 0 1", "b 0 1"]


def test_stereo_has_the_agent_on_the_left(settings: Settings) -> None:
    """As WSS streams are written; a segment that is still being received waits for its end."""
    live: Row = {"origin": "wss", "channels": 2, "session_id": "s"}
    fill(
        settings,
        [segment("a"), segment("b")],
        [recording("a", **live, state="cut"), recording("b", **live, state="open", path=None, duration_ms=None)],
    )
    engine = Said()
    hear(settings, engine)
    assert engine.asked == [[("a", 0), ("a", 1)]]
    assert [row["speaker"] for row in ask(settings, "FROM turns ORDER BY turn")] == ["agent", "contact"] * 2


def test_the_budget_ends_a_run(settings: Settings) -> None:
    """Minutes of audio: the newest go first, and the rest is left for the next run."""
    names = "abcd"
    fill(
        settings,
        [segment(name, minutes=n) for n, name in enumerate(names)],
        [recording(name, began=NOON + timedelta(minutes=n)) for n, name in enumerate(names)],
    )
    done = hear(settings, engine := Said(), minutes=1.5)
    assert (done.hearing.done, done.left) == (2, 2)
    assert sorted(path for asked in engine.asked for path, _ in asked) == ["c", "d"]
    late = Window(NOON, NOON + timedelta(minutes=1, seconds=30))
    assert hear(settings, other := Said(), span=late).hearing.done == 1
    assert other.asked == [[("a", 0)]]


def test_a_platform_transcript_that_comes_later_takes_the_place(settings: Settings) -> None:
    """Nobody's words are thrown away: the engine's stay in the table, and the views tell RingCX's."""
    fill(settings, [segment("a")], [recording("a")])
    hear(settings, Said())
    hear(settings, Said(source="google"))
    assert {row["source"] for row in ask(settings, "SELECT DISTINCT source FROM spoken")} == {"google"}
    line: Row = {"sub_account_id": "1", "dialog_id": "d-a", "segment_id": "a"}
    line |= {"source": "ringcx", "seq": 0, "spoken_at": NOON, "message": "Hello", "segment_day": NOON.date()}
    row = {**segment("a", state="stored"), "utterance_count": 1, "transcript_day": NOON.date()}
    schema = pa.schema([tables.SEGMENTS.schema.field(name) for name in row])
    with open_lake(settings) as lake:
        said = Append(
            tables.UTTERANCES,
            pa.Table.from_pylist([line], tables.UTTERANCES.schema),
            under=tables.SEGMENTS,
            replace=True,
            alike=("source",),
        )
        lake.commit([Upsert(tables.SEGMENTS, pa.Table.from_pylist([row], schema)), said])
    assert stored(settings) == ["Hello"]
    counts = ask(settings, "SELECT source, count(*) AS n FROM utterances GROUP BY ALL ORDER BY ALL")
    assert [tuple(row.values()) for row in counts] == [("google", 2), ("pocketsphinx", 2), ("ringcx", 1)]


FAILURES: Mapping[str, tuple[ConnectorError, str, list[int]]] = {
    "an unfit file": (Rejected("speech: a.wav is no WAV file"), "failed", [0]),
    "an engine in trouble": (Unavailable("speech: took too long"), "waiting", [1, 1, 0]),
}


@pytest.mark.parametrize("name", FAILURES)
def test_what_goes_wrong_with_one_segment_stops_no_other(settings: Settings, name: str) -> None:
    """It is on record with its reason; what may pass is tried again later, three times in all."""
    error, state, again = FAILURES[name]
    fill(settings, [segment("a"), segment("b")], [recording("a"), recording("b")])
    done = hear(settings, Said(fails={"a": error}))
    assert not done.ok
    assert str(error) in done.hearing.troubles[0]
    jobs = ask(settings, "SELECT state, error, claimed_by FROM jobs ORDER BY segment_id")
    assert [(job["state"], job["error"], job["claimed_by"]) for job in jobs] == [
        (state, str(error), None),
        ("done", None, None),
    ]
    later = [hear(settings, Said(fails={"a": error}), NOW + timedelta(hours=1 + n)) for n in range(len(again))]
    assert [run.hearing.done for run in later] == again
    assert ask(settings, "SELECT state FROM jobs WHERE segment_id = 'a'") == [{"state": "failed"}]


def test_a_killed_run_keeps_nothing_from_being_heard(settings: Settings) -> None:
    """What it had claimed is due again as soon as another run sees that it is dead; what it had stored stays."""
    fill(settings, [segment("a"), segment("b")], [recording("a"), recording("b")])
    with pytest.raises(Unauthorized):
        hear(settings, Said(fails={"a": Unauthorized("speech: no credentials"), "b": Unauthorized("the same")}))
    assert {job["claimed_by"] for job in ask(settings, "FROM jobs")} == {None}
    assert hear(settings, Said()).hearing.states == {"done": 2}
    assert len(stored(settings)) == 4


def test_two_runs_at_once_hear_each_segment_once(settings: Settings) -> None:
    """Claims keep them apart, as they do with transcripts."""
    names = "abcdef"
    fill(settings, [segment(name) for name in names], [recording(name) for name in names])
    one, other = Said(), Said()

    async def both() -> None:
        async with open_runtime(settings, NOW.timestamp) as first, open_runtime(settings, NOW.timestamp) as second:
            await asyncio.gather(transcribe(first, transcriber=one), transcribe(second, transcriber=other))

    asyncio.run(both())
    assert sorted(path for asked in one.asked + other.asked for path, _ in asked) == list(names)
    assert len(stored(settings)) == 12


def test_what_there_is_to_hear_is_told_without_hearing_it(settings: Settings) -> None:
    """A dry run costs nothing and changes nothing."""
    fill(settings, [segment("a")], [recording("a")])

    async def look() -> list[Any]:
        async with open_runtime(settings, NOW.timestamp) as runtime:
            return waiting(runtime, Wish(), "pocketsphinx")

    found = asyncio.run(look())
    assert [(one.key, one.audio_ms, one.recording_ids) for one in found] == [(("1", "d-a", "a"), 60_000, "a")]
    assert ask(settings, "FROM jobs") == []


@pytest.mark.skipif(not CALL.exists(), reason="the corpus is not here")
def test_a_real_call_is_heard_by_the_command(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With no account and no network, through pocketsphinx in a process of its own."""
    wav(tmp_path / "audio" / "a.wav", call(4, 9), tone(1, 0), mulaw=True)
    live: Row = {"origin": "wss", "state": "complete", "channels": 2, "session_id": "s", "duration_ms": 5000}
    fill(settings, [segment("a")], [recording("a", **live)])
    monkeypatch.setenv("RINGCX_LAKE", str(tmp_path / "lake"))
    monkeypatch.setenv("RINGCX_STATE_PATH", str(tmp_path / "state"))
    monkeypatch.setenv("RINGCX_AUDIO_PATH", str(tmp_path / "audio"))
    monkeypatch.chdir(tmp_path)
    assert command(dry_run=True) == 0
    assert command() == 0
    assert "1 done" in capsys.readouterr().out
    rows = ask(settings, "SELECT source, speaker, message, spoken_at FROM spoken")
    assert {(row["source"], row["speaker"]) for row in rows} == {("pocketsphinx", "agent")}
    assert "wondering" in " ".join(row["message"] for row in rows)
    assert all(NOON <= row["spoken_at"] < NOON + timedelta(seconds=5) for row in rows)
