"""`ringcx-etl receive` as a user starts it, and callers of the sandbox that talk to it."""

import asyncio
import json
import os
import re
import signal
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from connectors.sandbox.callers import CallScript, Line, Speaker, Trouble
from connectors.sandbox.callers.script import tracks
from tests.processes import clean_environment, cli, run_cli

TOKEN = "a-token-of-the-tests"


@dataclass(frozen=True, slots=True)
class Receiver:
    """A receiver in a process of its own."""

    process: "subprocess.Popen[str]"
    folder: Path
    urls: Mapping[str, str]  # by transport

    def line(self, transport: str, pace: float | None = 1.0) -> Line:
        """How callers reach it."""
        return Line(url=self.urls[transport], token=TOKEN, ca=self.folder / "receiver.crt", pace=pace)

    def stop(self) -> str:
        """End it as Ctrl-C does; what it printed."""
        self.process.send_signal(signal.SIGINT)
        return self.process.communicate(timeout=60)[0]


def environment(folder: Path, **more: str) -> dict[str, str]:
    """The settings of a receiver whose everything is in `folder`, on free ports."""
    paths = {"LAKE": "lake", "STATE_PATH": "state", "AUDIO_PATH": "audio"}
    paths |= {"RECEIVE_CERTIFICATE": "receiver.crt", "RECEIVE_KEY": "receiver.key"}
    settings = {f"RINGCX_{name}": str(folder / value) for name, value in paths.items()}
    settings |= {"RINGCX_RECEIVE_WSS_PORT": "0", "RINGCX_RECEIVE_GRPC_PORT": "0", "RINGCX_RECEIVE_TOKENS": TOKEN}
    return clean_environment() | settings | more


@contextmanager
def receiving(folder: Path, **settings: str) -> Iterator[Receiver]:
    """A receiver that listens, over TLS; killed at the end if it still runs."""
    env = environment(folder, **settings)
    if not (folder / "receiver.crt").exists():
        assert run_cli("certificate", env=env).returncode == 0
    process = cli("receive", env=env)
    try:
        assert process.stdout is not None
        said = ""
        for text in process.stdout:
            said += text
            if found := re.search(r"at (wss://\S+) and (grpcs://\S+);", said):
                yield Receiver(process, folder, {"wss": found[1], "grpc": found[2]})
                break
        else:
            raise AssertionError(f"it never listened: {said}")
    finally:
        process.kill()
        process.communicate()


def recordings(folder: Path) -> list[dict[str, Any]]:
    """The rows of `recordings`."""
    done = run_cli("query", "FROM recordings", "--format", "json", env=environment(folder))
    assert done.returncode == 0, done.stderr
    rows: list[dict[str, Any]] = json.loads(done.stdout)
    return rows


async def on_disk(folder: Path, files: int, seconds: float) -> None:
    """Return once so many recordings hold so much audio of each channel, or more."""
    wanted = 58 + int(8000 * seconds)
    async with asyncio.timeout(30):
        while sum(path.stat().st_size >= wanted for path in (folder / "audio").glob("live/*/*.wav")) < files:
            await asyncio.sleep(0.05)


def two_speakers(name: str, seconds: float, trouble: Trouble | None = None) -> CallScript:
    """A call in which every sample differs from its neighbours, and nobody says what others say."""
    size = int(seconds * 8000)
    speakers = (
        Speaker(segment_id=f"{name}-agent", kind="AGENT", audio=os.urandom(size)),
        Speaker(segment_id=f"{name}-contact", kind="CONTACT", audio=os.urandom(size)),
    )
    return CallScript(
        dialog_id=f"d-{name}", segment_id=f"{name}-agent", speakers=speakers, trouble=trouble or Trouble()
    )


def sent(script: CallScript, transport: str) -> dict[str, bytes]:
    """What is to be in the file of each segment: on WSS both perspectives side by side."""
    heard = {track.name: track.audio for track in tracks(script, transport)}  # type: ignore[arg-type]
    if transport == "grpc":
        return heard
    left, right = heard["Participant"], heard["Conference"]
    frames = bytearray(2 * len(left))
    frames[0::2], frames[1::2] = left, right
    return {script.segment_id: bytes(frames)}
