"""Events of calls become files and rows; what a killed receiver left becomes right; who may talk to it."""

import asyncio
import hashlib
import itertools
import os
import socket
import stat
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from cryptography import x509

from connectors.receivers.events import (
    CallEnded,
    CallStarted,
    Cause,
    Chunk,
    Event,
    Info,
    SegmentStarted,
    SegmentStopped,
)
from flows.alive import LiveRuns
from flows.calls.receiving.certificate import make
from flows.calls.receiving.disk import Disk, journal
from flows.calls.receiving.intake import Intake
from flows.calls.receiving.ledger import Ledger, RunRow
from flows.calls.receiving.receiver import Show, receive
from flows.calls.receiving.recovery import recover
from flows.calls.receiving.tokens import Tokens
from flows.calls.tables import STREAMS
from flows.settings import SettingsError, load_settings
from sinks.audio import describe
from sinks.changes import Upsert
from sinks.lake import Lake
from tests.told import told_lake

NOW = datetime(2026, 9, 1, 12, tzinfo=UTC)
CHUNK = os.urandom(800)
pytestmark = pytest.mark.usefixtures("laid_out")


@dataclass
class Run:
    """A receiver's run without its sockets; its clock goes on a millisecond with each look."""

    intake: Intake
    ledger: Ledger
    disk: Disk
    lake: Lake
    audio: Path

    def hear(self, *events: Event) -> None:
        """One call."""
        start, *others = events
        assert isinstance(start, CallStarted)
        sink = self.intake.begin(start)
        for event in others:
            sink(event)

    def table(self, name: str) -> list[dict[str, Any]]:
        return self.lake.query(f"FROM {name}").to_pylist()


def run(folder: Path, story: Callable[[Run], Awaitable[None]], run_id: str = "run-1") -> None:
    """A story in a run that is alive for as long as it lasts, and killed after it."""

    async def told() -> None:
        ticks = itertools.count()
        with told_lake(folder / "lake") as lake:
            disk = Disk(folder / "audio", run_id)
            tokens = Tokens("", lake)
            intake = Intake(disk, run_id, tokens.accepts, 50, lambda: NOW.timestamp() + next(ticks) / 1000)
            ledger = Ledger(lake, folder / "audio", intake, disk, RunRow(run_id, NOW))
            try:
                await story(Run(intake, ledger, disk, lake, folder / "audio"))
            finally:
                intake.close()

    lives = LiveRuns(journal(folder / "audio"))

    class Killed(Exception):
        """So that the run is not taken for one that has ended."""

    with suppress(Killed), lives.living(run_id):
        asyncio.run(told())
        raise Killed


def call(**more: Any) -> CallStarted:
    return CallStarted(**{"origin": "grpc", "session_id": "x", "sub_account_id": "1", "dialog_id": "d", **more})


def chunks(count: int, segment_id: str = "s", first: int = 1) -> list[Event]:
    return [Chunk(segment_id, 0, seq, CHUNK) for seq in range(first, first + count)]


def start(segment_id: str = "s", **more: Any) -> SegmentStarted:
    return SegmentStarted(segment_id=segment_id, **more)


def test_a_segment_is_in_the_table_when_it_begins_and_whole_when_it_has_ended(tmp_path: Path) -> None:
    """Analysts see that a call is live; afterwards its row says what the file holds."""

    async def story(at: Run) -> None:
        sink = at.intake.begin(call(ani="+1"))
        for event in [start(participant_type="agent"), *chunks(3)]:
            sink(event)
        await at.intake.flush()
        assert await at.ledger.commit()
        (row,) = at.table("recordings")
        assert (row["state"], row["segment_id"], row["participant_type"], row["ani"]) == ("open", "s", "agent", "+1")
        for event in [*chunks(2, first=4), SegmentStopped("s"), CallEnded()]:
            sink(event)
        await at.intake.flush()
        assert await at.ledger.commit()
        (row,) = at.table("recordings")
        path = at.audio / row["path"]
        assert (row["state"], row["chunks"], row["duration_ms"], row["run_id"]) == ("complete", 5, 500, "run-1")
        assert path.read_bytes()[58:] == CHUNK * 5
        assert row["size_bytes"] == path.stat().st_size
        assert not list(journal(at.audio).glob("*/*.json"))
        assert [one["state"] for one in at.table("runs")] == ["running"]

    run(tmp_path / "new", story)


def test_all_that_happens_on_a_stream_is_told_in_its_order(tmp_path: Path) -> None:
    """Holds, refusals, and how it ended; refusals are counted, not listed: anybody can make a million of them."""

    async def story(at: Run) -> None:
        at.hear(call(), start(), Info("s", "hold", '{"by":"agent"}'), *chunks(1), CallEnded("the line broke"))
        for _ in range(1000):
            at.intake.refused("wss", Cause.WRONG_TOKEN)
        await at.intake.flush()
        await at.ledger.commit()
        told = [(row["event"], row["segment_id"], row["data"]) for row in at.table("stream_events ORDER BY number")]
        assert [event for event, _, _ in told] == ["connected", "start", "hold", "cut", "refused"]
        assert told[2] == ("hold", "s", '{"data":{"by":"agent"}}')
        assert told[4][2] == '{"why":"wrong token","times":1000}'
        assert [(row["state"], row["error"]) for row in at.table("recordings")] == [("cut", "the line broke")]

    run(tmp_path, story)


def test_ids_from_the_wire_are_data_and_never_paths(tmp_path: Path) -> None:
    """Whoever has a token must not choose where files go, nor stop the others' rows."""
    odd = ["../../etc/passwd", "/abs", "a\0b", "'; DROP TABLE recordings; --", "日本", "." * 500]

    async def story(at: Run) -> None:
        for one in odd:
            at.hear(call(dialog_id=one, session_id=one, sub_account_id=one), start(one), *chunks(2, one), CallEnded())
        await at.intake.flush()
        assert await at.ledger.commit(), at.ledger.trouble
        rows = at.table("recordings")
        assert sorted(row["dialog_id"] for row in rows) == sorted(row["segment_id"] for row in rows) == sorted(odd)
        files = {path.relative_to(at.audio).as_posix() for path in tmp_path.rglob("*.wav")}
        assert files == {f"live/2026-09-01/{row['recording_id']}.wav" for row in rows} == {row["path"] for row in rows}

    run(tmp_path, story)


def test_the_same_segment_streamed_twice_is_two_recordings(tmp_path: Path) -> None:
    """A line that broke may come back: neither half may take the other's place."""

    async def story(at: Run) -> None:
        for _ in range(2):
            at.hear(call(), start(), *chunks(2), CallEnded())
        await at.intake.flush()
        await at.ledger.commit()
        assert len({row["path"] for row in at.table("recordings")}) == 2

    run(tmp_path, story)


def test_a_receiver_killed_before_its_first_commit_loses_nothing(tmp_path: Path) -> None:
    """The note beside the audio knows all that the row will say."""

    async def killed(at: Run) -> None:
        at.hear(call(), start(), *chunks(4))
        at.hear(call(dialog_id="whole"), start(), *chunks(2), SegmentStopped("s"), CallEnded())
        await at.intake.flush()

    run(tmp_path, killed)
    with told_lake(tmp_path / "lake") as lake:
        done = recover(lake, tmp_path / "audio")
        assert (done.runs, done.cut, done.complete) == (1, 1, 1)
        rows = lake.query("FROM recordings ORDER BY dialog_id").to_pylist()
        assert [(row["state"], row["duration_ms"]) for row in rows] == [("cut", 400), ("complete", 200)]
        assert rows[0]["ended_at"] - rows[0]["started_at"] == timedelta(milliseconds=400)
        assert lake.query("SELECT count(*) AS n FROM stream_events").to_pylist() == [{"n": 6}]
        assert recover(lake, tmp_path / "audio").runs == 0
        assert lake.query("SELECT count(*) AS n FROM stream_events").to_pylist() == [{"n": 6}]


def test_audio_that_a_crash_left_beyond_the_header_is_kept(tmp_path: Path) -> None:
    """It had arrived; and a torn frame at the end is not audio."""

    async def killed(at: Run) -> None:
        at.hear(call(origin="wss"), start(channels=2), *chunks(3), *[Chunk("s", 1, n, CHUNK) for n in (1, 2, 3)])
        await at.intake.flush()
        await at.ledger.commit()

    run(tmp_path, killed)
    (path,) = (tmp_path / "audio").rglob("*.wav")
    with path.open("ab") as file:
        file.write(b"x" * 801)
    with told_lake(tmp_path / "lake") as lake:
        assert recover(lake, tmp_path / "audio").cut == 1
        (row,) = lake.query("SELECT state, duration_ms, size_bytes FROM recordings").to_pylist()
        runs = lake.query("SELECT state FROM runs").to_pylist()
    assert (row["state"], row["duration_ms"]) == ("cut", 350)
    assert row["size_bytes"] == path.stat().st_size == describe(path).size_bytes
    assert runs == [{"state": "killed"}]


def test_events_that_were_committed_before_the_crash_are_not_told_twice(tmp_path: Path) -> None:
    """The journal may still hold them."""

    async def killed(at: Run) -> None:
        at.hear(call(), start(), *chunks(1))
        await at.intake.flush()
        notes = journal(at.audio) / "run-1" / "events.jsonl"
        before = notes.read_bytes()
        await at.ledger.commit()
        at.hear(call(dialog_id="later"))
        await at.intake.flush()
        notes.write_bytes(before + notes.read_bytes() + b'{"number": 7, "to')

    run(tmp_path, killed)
    with told_lake(tmp_path / "lake") as lake:
        assert recover(lake, tmp_path / "audio").events == 1
        rows = lake.query("SELECT number FROM stream_events ORDER BY number").to_pylist()
        assert [row["number"] for row in rows] == [0, 1, 2]


def test_a_living_receivers_recordings_are_left_alone(tmp_path: Path) -> None:
    """`--recover` may be run at any time, by a timer too."""

    async def story(at: Run) -> None:
        at.hear(call(), start(), *chunks(2))
        await at.intake.flush()
        await at.ledger.commit()
        assert recover(at.lake, at.audio).runs == 0
        assert [row["state"] for row in at.table("recordings")] == ["open"]

    run(tmp_path, story)


def test_a_disk_that_refuses_for_a_while_costs_no_audio(tmp_path: Path) -> None:
    """What could not be written waits in memory, and callers wait when it is too much."""

    async def story(at: Run) -> None:
        day = at.audio / "live" / "2026-09-01"
        day.parent.mkdir(parents=True)
        day.write_text("in the way")
        at.hear(call(), start(), *chunks(3), CallEnded())
        await at.intake.flush()
        assert "the disk" in at.intake.tally.trouble
        assert at.table("recordings") == []
        day.unlink()
        await at.intake.flush()
        assert not at.intake.tally.trouble
        await at.ledger.commit()
        (row,) = at.table("recordings")
        assert (at.audio / row["path"]).read_bytes()[58:] == CHUNK * 3
        assert row["state"] == "complete"

    run(tmp_path, story)


@pytest.mark.parametrize(
    ("state", "token", "welcome"),
    [
        ("started", "of-a-stream", True),
        ("stopped", "of-a-stream", False),
        ("started", "of-nobody", False),
        ("stopped", "set", True),
        ("stopped", "", False),
    ],
)
def test_tokens_of_the_settings_and_of_running_streams_are_welcome(
    state: str, token: str, welcome: bool, tmp_path: Path
) -> None:
    """`stream start` makes a token that is nowhere but in its request; the table knows its digest."""
    digest = hashlib.sha256(b"of-a-stream").hexdigest()
    row = {"stream_id": "1", "state": state, "token_digest": f"{'0' * 64} {digest}"}
    with told_lake(tmp_path) as lake:
        lake.commit([Upsert(STREAMS, pa.Table.from_pylist([row], STREAMS.schema))])

        async def ask() -> bool:
            return await Tokens("other, set", lake).accepts(token)

        assert asyncio.run(ask()) is welcome


def test_without_tls_it_listens_on_loopback_only(tmp_path: Path) -> None:
    """Tokens and talk in the clear are for tests on one machine."""
    settings = load_settings(ringcx_receive_host="192.0.2.1", ringcx_audio_path=tmp_path)
    with pytest.raises(SettingsError, match="RINGCX_RECEIVE_HOST"):
        asyncio.run(receive(settings, Show(), plain=True))


@pytest.mark.parametrize("transport", ["wss", "grpc"])
def test_a_port_that_is_taken_is_named_and_nothing_is_left_running(transport: str, tmp_path: Path) -> None:
    """Two receivers on one port would share the calls by chance."""
    make(tmp_path / "a.crt", tmp_path / "a.key", (), NOW, 1)
    paths = {"audio_path": tmp_path / "audio", "lake": str(tmp_path / "lake"), "state_path": tmp_path / "state"}
    paths |= {"receive_certificate": tmp_path / "a.crt", "receive_key": tmp_path / "a.key"}
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ports = {"receive_wss_port": 0, "receive_grpc_port": 0} | {f"receive_{transport}_port": port}
        settings = load_settings(**{f"ringcx_{name}": value for name, value in (paths | ports).items()})
        with pytest.raises(OSError, match=str(port)):
            asyncio.run(receive(settings, Show()))


@pytest.mark.parametrize("wrong", ["missing", "not PEM", "another key"])
def test_a_certificate_that_cannot_be_used_is_named_with_what_to_do(wrong: str, tmp_path: Path) -> None:
    """And nothing of the key is shown."""
    certificate, key = tmp_path / "a.crt", tmp_path / "a.key"
    if wrong != "missing":
        make(certificate, key, (), NOW, 1)
    if wrong == "not PEM":
        key.write_text("not a key")
    if wrong == "another key":
        make(tmp_path / "b.crt", key, (), NOW, 1, force=True)
    settings = load_settings(ringcx_receive_certificate=certificate, ringcx_receive_key=key, ringcx_audio_path=tmp_path)
    with pytest.raises(SettingsError, match=r"RINGCX_RECEIVE_KEY.*a\.(crt|key)") as raised:
        asyncio.run(receive(settings, Show()))
    assert "BEGIN" not in str(raised.value)


def test_a_certificate_is_for_the_names_given_and_this_machine(tmp_path: Path) -> None:
    """Its key is for its user only, and neither is replaced unasked."""
    certificate, key = tmp_path / "a.crt", tmp_path / "a.key"
    make(certificate, key, ("calls.example.com", "10.0.0.7"), NOW, 30)
    made = x509.load_pem_x509_certificate(certificate.read_bytes())
    names = made.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["calls.example.com", "localhost"]
    assert [str(one) for one in names.get_values_for_type(x509.IPAddress)] == ["10.0.0.7", "127.0.0.1"]
    assert made.not_valid_after_utc == NOW + timedelta(days=30)
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    with pytest.raises(FileExistsError):
        make(certificate, key, (), NOW, 30)
