"""`ringcx-etl`, which notes how long each of its commits took, the wait for the write lock included.

    python -m tests.bench.timed FILE COMMAND...

One line of seconds for each call of `Lake.commit` is appended to FILE at the end. Nothing is replaced: a trace function
watches, as in `tests.crash_launcher`.
"""

import sys
import threading
import time
from pathlib import Path
from types import FrameType
from typing import Any

from flows import cli
from sinks.lake import Lake


def watch(durations: list[float]) -> None:
    """Note commits in this thread and all that are started from now on."""

    def everywhere(frame: FrameType, _: str, __: Any) -> Any:
        if frame.f_code is not Lake.commit.__code__:
            return None
        began = time.perf_counter()
        frame.f_trace_lines = False

        def in_commit(_: FrameType, event: str, __: Any) -> Any:
            if event == "return":
                durations.append(time.perf_counter() - began)
            return in_commit

        return in_commit

    threading.settrace(everywhere)
    sys.settrace(everywhere)


def main(file: str, *command: str) -> None:
    """Run the command, then write what was noted."""
    durations: list[float] = []
    sys.argv = ["ringcx-etl", *command]
    watch(durations)
    try:
        cli.main()
    finally:
        with Path(file).open("a") as notes:
            notes.writelines(f"{seconds}\n" for seconds in durations)


if __name__ == "__main__":
    main(*sys.argv[1:])
