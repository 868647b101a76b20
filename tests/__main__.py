"""`python3 -m tests`: lint, types and the whole suite from a bare checkout; sets itself up when it has to.

The suite runs on all cores, a file at a time in each process. Arguments go to pytest (`python3 -m tests tests/sinks`),
and then only pytest runs, in one. What Python compiles is kept, even where PYTHONDONTWRITEBYTECODE says otherwise: each
process would compile all of it anew, and each of pytest's rewrite all asserts.
"""

import os
import subprocess
import sys

from flows.bootstrap import ROOT, ensure_environment

WORKERS = str((os.cpu_count() or 1) + 1)  # tests that start servers wait for them now and then
IN_PARALLEL = ("-n", WORKERS, "--dist", "loadfile", "--no-loadscope-reorder")  # the order is in conftest.py
CHECKS = (("ruff", "check"), ("ruff", "format", "--check"), ("mypy",))

if __name__ == "__main__":
    programs = ensure_environment()
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    arguments = sys.argv[1:]
    commands = [] if arguments else list(CHECKS)
    commands.append(("python", "-m", "pytest", *(arguments or IN_PARALLEL)))
    for program, *rest in commands:
        done = subprocess.run([programs / program, *rest], cwd=ROOT, env=environment, check=False)
        if done.returncode:
            sys.exit(done.returncode)
