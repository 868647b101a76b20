"""Runs that died are told from runs that live, and what they held is due at once."""

import subprocess
import sys
from pathlib import Path

import pytest

from flows.alive import LiveRuns

HOLD = "import sys; from pathlib import Path; from flows.alive import LiveRuns\n"
HOLD += "with LiveRuns(Path(sys.argv[1])).living('x'): print('alive', flush=True); sys.stdin.read()"


def hold(folder: Path) -> "subprocess.Popen[str]":
    """Another process whose run `x` is alive."""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(folder)], **pipes, text=True)  # type: ignore[call-overload]
    assert process.stdout.readline() == "alive\n"
    return process  # type: ignore[no-any-return]


def test_a_killed_run_is_dead_once_and_a_living_one_never(tmp_path: Path) -> None:
    """Its claims must be voided, and no living run's: that would spend requests twice."""
    runs = LiveRuns(tmp_path / "runs")
    other = hold(tmp_path / "runs")
    with runs.living("mine"), runs.dead() as dead:
        assert dead == []
    other.kill()
    other.communicate()
    with runs.dead() as dead, LiveRuns(tmp_path / "runs").dead() as told_to_another:
        assert (dead, told_to_another) == (["x"], [])
    with runs.dead() as dead:
        assert dead == []
    assert list((tmp_path / "runs").iterdir()) == []


def test_a_death_that_could_not_be_made_up_for_is_told_again(tmp_path: Path) -> None:
    """The one who cleans up may be killed too, or find the lake busy."""
    runs = LiveRuns(tmp_path)
    with pytest.raises(ZeroDivisionError), runs.living("failed"):
        raise ZeroDivisionError
    with pytest.raises(ZeroDivisionError), runs.dead():
        raise ZeroDivisionError
    with runs.dead() as dead:
        assert dead == ["failed"]
