"""No secret is anywhere but where it must be."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.processes import run_cli, sandbox_process

SECRETS = ("sandbox-secret", "sandbox-jwt")


@pytest.mark.slow
def test_no_secret_is_in_any_output_or_file_of_the_lake(tmp_path: Path) -> None:
    """With every fault, and the most talkative log; the tokens lie in one file, which only its owner may read."""
    many = "1000/60"
    options = ("--dialogs-per-hour", "10", "--metadata-limits", many, "--penalty-seconds", "1")
    with sandbox_process(*options, "--faults") as sandbox:
        env = sandbox.settings(tmp_path) | {"RINGCX_LOG_LEVEL": "DEBUG", "RINGCX_PENALTY_SECONDS": "1"}
        start = datetime.now(UTC) - timedelta(hours=2)
        env |= {"RINGCX_METADATA_LIMITS": many, "RINGCX_START": start.isoformat()}
        arguments = (["ingest", "--max-minutes", "0.1"], ["doctor"], ["settings"], ["status", "--json"])
        done = [run_cli(*command, env=env, cwd=tmp_path) for command in arguments]
        env |= {"RINGCENTRAL_JWT": "sandbox-jwt-of-someone-else"}
        done.append(run_cli("ingest", env=env, cwd=tmp_path))
    tokens = [file for file in (tmp_path / "state").rglob("tokens.json") if file.stat().st_mode & 0o077 == 0]
    assert len(tokens) == 1
    found = json.loads(tokens[0].read_text())
    secrets = [*SECRETS, found["access"], found["refresh"], found["rc_access"]]
    files = [file.read_bytes() for file in (tmp_path / "lake").rglob("*") if file.is_file()]
    everything = b"\n".join([*files, *((run.stdout + run.stderr).encode() for run in done)])
    assert done[0].returncode in (0, 1)
    assert len(everything) > 10_000
    assert not [secret for secret in secrets if secret.encode() in everything]
