"""DuckDB's own command line on the lake: it takes the place of this process.

The lake is attached read-only, and that is all the protection: it is its user's own shell, which may read and write
whatever that user may. What it is told to begin with holds secrets, so it comes through a pipe: it is in no file, and
not among the arguments that a list of processes shows.
"""

import importlib.util
import os
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from sinks import engine
from sinks.errors import LakeError
from sinks.lake import Lake


def become_shell(lake: Lake, arguments: Sequence[str]) -> NoReturn:
    """Never come back: from here on this process is DuckDB's, with these arguments. LakeError if it cannot be."""
    program = _program()
    with lake.read():  # says what is wrong with a lake better than the program would
        pass
    lake.close()
    quietly = ".startup_text none\n.output /dev/null\n{}.output\n"  # CREATE SECRET has a result, which is nobody's rows
    beginning = quietly.format(engine.script(lake.location))
    source, sink = os.pipe()
    os.write(sink, beginning.encode())  # far less than a pipe holds
    os.close(sink)
    os.set_inheritable(source, True)
    os.execv(program, ["duckdb", "-init", f"/dev/fd/{source}", *arguments])  # noqa: S606 - a program of ours, no shell


def _program() -> str:
    spec = importlib.util.find_spec("duckdb_cli")
    for folder in (spec.submodule_search_locations or []) if spec else []:
        if os.access(program := Path(folder) / "duckdb", os.X_OK):
            return str(program)
    raise LakeError("DuckDB's command line is not installed here: install the package duckdb-cli")
