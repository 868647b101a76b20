"""`ringcx-etl`, which kills itself just before one line of its own source runs, or a moment into it.

    python -m tests.crash_launcher FILE LINE OCCURRENCE HIT AFTER_MS COMMAND...

FILE is a path in this repository, LINE how the line begins, OCCURRENCE which of such lines (0: the first, -1: the
last), HIT which of its executions, AFTER_MS how long after its beginning (0: before it). Nothing is replaced: a trace
function watches, and SIGKILL ends the process, so that nothing is cleaned up. A line that does not exist is an error,
so that these places move along with the code.
"""

import os
import signal
import sys
import threading
from pathlib import Path
from types import FrameType
from typing import Any

ROOT = Path(__file__).parent.parent


def line_number(file: str, line: str, occurrence: int) -> int:
    """Where the line is, counted from 1."""
    text = (ROOT / file).read_text("utf-8").splitlines()
    return [number for number, said in enumerate(text, 1) if said.strip().startswith(line)][occurrence]


def die_at(file: str, number: int, hit: int, after_ms: float) -> None:
    """Arm it, for this thread and all that are started from now on."""
    left = hit
    path = str(ROOT / file)

    def in_file(frame: FrameType, event: str, _: Any) -> Any:
        nonlocal left
        if event == "line" and frame.f_lineno == number:
            left -= 1
            if left == 0:
                die(after_ms)
        return in_file

    def everywhere(frame: FrameType, _: str, __: Any) -> Any:
        return in_file if frame.f_code.co_filename == path else None

    threading.settrace(everywhere)
    sys.settrace(everywhere)


def die(after_ms: float) -> None:
    """Now; or soon, which a thread sees to while this one goes on."""
    if after_ms:
        threading.Timer(after_ms / 1000, die, [0]).start()
    else:
        os.kill(os.getpid(), signal.SIGKILL)


def main(file: str, line: str, occurrence: str, hit: str, after_ms: str, *command: str) -> None:
    """Run the command until it dies."""
    from flows import cli, loading  # noqa: F401 - imported before the watch begins, which slows everything down

    sys.argv = ["ringcx-etl", *command]
    die_at(file, line_number(file, line, int(occurrence)), int(hit), float(after_ms))
    cli.main()


if __name__ == "__main__":
    main(*sys.argv[1:])
