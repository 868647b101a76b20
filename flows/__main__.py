"""`python3 -m flows COMMAND`: the `ringcx-etl` command line from a bare checkout; sets itself up when it has to."""

import os
import sys

from flows.bootstrap import ensure_environment

if __name__ == "__main__":
    program = str(ensure_environment() / "ringcx-etl")
    os.execv(program, [program, *sys.argv[1:]])  # noqa: S606 - replaces this process by the one it has just installed
