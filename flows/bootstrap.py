"""A complete `.venv` from nothing but Python: every locked version, checked by its hash, and the project itself.

Standard library only, because it runs before anything is installed. pip rather than a faster installer, because
pip is what a fresh machine has and what already knows that machine's package index.
"""

import hashlib
import os
import subprocess
import sys
import time
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
LOCK = ROOT / ".ci" / "requirements.txt"
BIN = VENV / ("Scripts" if os.name == "nt" else "bin")


def ensure_environment() -> Path:
    """The folder with the environment's programs; made on the first call and whenever the lock has changed.

    Harmless and instant (a hash of two small files) when there is nothing to do. Exits with what pip said if it fails.
    """
    wanted = hashlib.sha256(LOCK.read_bytes() + (ROOT / "pyproject.toml").read_bytes()).hexdigest()
    stamp = VENV / ".ringcx-etl.sha256"
    if stamp.exists() and stamp.read_text() == wanted and (BIN / "ringcx-etl").exists():
        return BIN
    started = time.monotonic()
    packages = sum("==" in line for line in LOCK.read_text().splitlines())
    print(f"Setting up {VENV.name}: {packages} locked packages, once, about a minute ...", file=sys.stderr, flush=True)
    venv.create(VENV, with_pip=True, clear=not stamp.exists())  # half an environment is started over
    pip("--require-hashes", "-r", str(LOCK))
    pip("--no-build-isolation", "-e", str(ROOT))
    stamp.write_text(wanted)
    print(f"Ready in {time.monotonic() - started:.0f} s.", file=sys.stderr, flush=True)
    return BIN


def pip(*arguments: str) -> None:
    """Install exactly what is named: the lock already holds every dependency, so pip resolves nothing."""
    command = [str(BIN / "python"), "-m", "pip", "--disable-pip-version-check", "install", "-qq", "--no-deps"]
    done = subprocess.run([*command, *arguments], cwd=ROOT, check=False)  # noqa: S603 - our own pip, our own arguments
    if done.returncode:
        sys.exit(f"pip could not install the locked packages (exit code {done.returncode}, reason above).")
