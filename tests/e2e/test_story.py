"""The story that `ringcx-etl demo --calls` tells: live calls and recordings end in the same tables as transcripts."""

import asyncio
import logging
import logging.config
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from connectors.sandbox.sound import pcm_of_wav, wav_of_pcm
from flows.calls.demonstration import Told, scene_in, tell
from flows.runtime import open_lake
from sinks.lake import Lake
from tests.processes import CORPUS

VOICE = CORPUS.parent / "audio" / "google_commercial_mono_8k.wav"
SECONDS = 12  # of the voice: what speech to text hears takes a third of it
HEADER = 58  # bytes of a mu-law WAV before its samples

pytestmark = [pytest.mark.slow, pytest.mark.skipif(not VOICE.exists(), reason="the corpus is not here")]


@dataclass(frozen=True)
class Heard:
    """The story as it was told, and all that was written or said meanwhile."""

    told: Told
    folder: Path
    lake: Lake
    said: str
    secrets: set[str]


class Kept(logging.Handler):
    """Every log line there is, of whatever library, with its traceback."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep it, as it would be shown."""
        self.lines.append(self.format(record))


@pytest.fixture(scope="module")
def heard(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Heard]:
    """The story, told once."""
    folder = tmp_path_factory.mktemp("story")
    voice = folder / "voice.wav"
    voice.write_bytes(wav_of_pcm(pcm_of_wav(VOICE)[: SECONDS * 16_000]))
    voice.with_suffix(".json").write_bytes(VOICE.with_suffix(".json").read_bytes())
    logging.config.dictConfig({"version": 1, "disable_existing_loggers": False})  # as Prefect does: wakes what slept
    kept, root = Kept(), logging.getLogger()
    level = root.level
    root.addHandler(kept)
    root.setLevel(logging.DEBUG)
    try:
        with scene_in(folder / "calls", voice) as scene:
            told = asyncio.run(tell(scene, kept.lines.append))
            with open_lake(scene.settings) as lake:
                yield Heard(told, folder / "calls", lake, "\n".join(kept.lines), scene.server.sandbox.secrets())
    finally:
        root.setLevel(level)
        root.removeHandler(kept)


def test_every_part_of_it_came(heard: Heard) -> None:
    """Whoever runs the command sees no complaint."""
    assert heard.told.troubles == ()
    assert heard.told.received.uncommitted == ""


def test_the_files_are_what_was_sent_sample_for_sample(heard: Heard) -> None:
    """Over gRPC a file for each participant; over WSS the agent left, everybody else right."""
    rows = heard.lake.query("SELECT origin, segment_id, path FROM recordings WHERE state = 'complete'").to_pylist()
    files = {(row["origin"], row["segment_id"]): (heard.folder / "audio" / row["path"]).read_bytes() for row in rows}
    grpc, wss = heard.told.sent["grpc"], heard.told.sent["wss"]
    assert {name: content[HEADER:] for (origin, name), content in files.items() if origin == "grpc"} == {
        name: track.audio for name, track in grpc.items()
    }
    frames = files["wss", "segment-wss"][HEADER:]
    left, right = wss["Participant"].audio, wss["Conference"].audio
    silence = b"\xff" * (len(right) - len(left))
    assert (frames[0::2], frames[1::2]) == (left + silence, right)


def test_what_was_heard_stands_beside_transcripts(heard: Heard) -> None:
    """Analysts ask one view, and see who heard it."""
    rows = heard.lake.query("SELECT DISTINCT source, dialog_id FROM turns WHERE dialog_id LIKE 'call-%'").to_pylist()
    assert {(row["source"], row["dialog_id"]) for row in rows} == {
        ("pocketsphinx", "call-grpc"),
        ("pocketsphinx", "call-wss"),
        ("ringcentral-ai", "call-recorded"),
    }
    assert heard.lake.query("SELECT 1 FROM turns WHERE source = 'ringcx' LIMIT 1").num_rows == 1


def test_the_ai_api_was_asked_with_a_webhook_that_answered(heard: Heard) -> None:
    """The recording went through RingCentral, and its words are those that were said in it."""
    jobs = heard.lake.query("SELECT dialog_id, state FROM jobs WHERE source = 'ringcentral-ai'").to_pylist()
    assert {"dialog_id": "call-recorded", "state": "done"} in jobs
    said = heard.lake.query("SELECT message FROM turns WHERE dialog_id = 'call-recorded'").to_pylist()
    assert "chromecast" in str(said).lower()


def test_no_secret_is_anywhere(heard: Heard) -> None:
    """No token, secret or address with a token in it: in no log, table, file or traceback, at the lowest level."""
    private = ("tokens.json", "receiver.key")  # files that only their owner may read
    files = [path for path in heard.folder.rglob("*") if path.is_file() and path.name not in private]
    everything = heard.said.encode() + b"\n".join(path.read_bytes() for path in files)
    tables = heard.lake.query("SELECT table_name FROM duckdb_tables() WHERE database_name = 'lake'").to_pylist()
    for table in tables:
        everything += str(heard.lake.query(f"FROM {table['table_name']}").to_pylist()).encode()
    secrets = {part for secret in heard.secrets for part in (secret, secret.rpartition("/")[2]) if len(part) >= 8}
    assert len(secrets) > 10
    assert len(tables) > 8
    assert len(everything) > 100_000
    shown = [everything[max(0, at - 200) : at] for secret in secrets if (at := everything.find(secret.encode())) >= 0]
    assert shown == []
    assert b"access_token=" not in everything
