"""Programs that the tests start as a user would, and end themselves."""

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent
SHARED = Path(os.environ.get("RINGCX_SHARED", ROOT.parent / "shared"))
CORPUS = SHARED / "corpus" / "dev.jsonl.gz"
PROGRAM = Path(sys.executable).parent / "ringcx-etl"


@dataclass(frozen=True, slots=True)
class SandboxProcess:
    """A sandbox in a process of its own, and the settings that it printed."""

    base_url: str
    exports: dict[str, str]

    def settings(self, folder: Path) -> dict[str, str]:
        """An environment whose lake and shared state are in `folder`."""
        paths = {"RINGCX_LAKE": str(folder / "lake"), "RINGCX_STATE_PATH": str(folder / "state")}
        return clean_environment() | self.exports | paths


def clean_environment() -> dict[str, str]:
    """Ours without any setting of the project, so that a developer's own .env and shell do not matter."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("RINGC", "PREFECT"))}


def cli(*arguments: str, env: dict[str, str], **options: object) -> subprocess.Popen[str]:
    """`ringcx-etl ARGUMENTS`, running; output is captured, as text."""
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    return subprocess.Popen([PROGRAM, *arguments], env=env, **{**pipes, **options})  # type: ignore[call-overload,no-any-return]


def run_cli(*arguments: str, env: dict[str, str], cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """`ringcx-etl ARGUMENTS`, ended."""
    return subprocess.run(
        [PROGRAM, *arguments], env=env, cwd=cwd, capture_output=True, text=True, timeout=300, check=False
    )


@contextmanager
def sandbox_process(*arguments: str) -> Iterator[SandboxProcess]:
    """`ringcx-etl sandbox` on a free port, for as long as the block lasts."""
    process = cli("sandbox", "--port", "0", *arguments, env=clean_environment())
    try:
        exports: dict[str, str] = {}
        assert process.stdout is not None
        for line in process.stdout:
            if found := re.match(r"export (\w+)=(.*)", line):
                exports[found[1]] = found[2]
            if "RINGCX_BASE_URL" in exports:
                break
        yield SandboxProcess(exports["RINGCX_BASE_URL"], exports)
    finally:
        process.terminate()
        process.communicate(timeout=30)


@contextmanager
def running(*command: str, env: dict[str, str], cwd: Path, log: Path) -> Iterator[subprocess.Popen[str]]:
    """A program of our environment for as long as the block lasts; what it prints goes to `log`. Ended as by Ctrl-C."""
    with log.open("a") as output:
        process = subprocess.Popen(
            [PROGRAM.parent / command[0], *command[1:]], env=env, cwd=cwd, stdout=output, stderr=output, text=True
        )
        try:
            yield process
        finally:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def run(*command: str, env: dict[str, str], cwd: Path) -> subprocess.CompletedProcess[str]:
    """A program of our environment, ended; it gets no terminal and no input."""
    return subprocess.run(
        [PROGRAM.parent / command[0], *command[1:]],
        env=env,
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def free_port() -> int:
    """A port of loopback that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
