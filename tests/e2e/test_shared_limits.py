"""Two processes with the same credentials keep one limit together. `tests/bench/shared_limits.py` measures how well."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from tests.processes import cli, sandbox_process

LIMIT, PERIOD_S = 60, 3


@pytest.mark.slow
def test_two_processes_keep_one_limit_and_share_the_work(tmp_path: Path) -> None:
    """The sandbox counts arrivals in any three seconds: never more than the limit, none refused, none twice."""
    limits = {"transcript": f"{LIMIT}/{PERIOD_S}", "metadata": "1000/60"}
    options = [word for kind, limit in limits.items() for word in (f"--{kind}-limits", limit)]
    with sandbox_process(*options, "--days", "1", "--dialogs-per-hour", "300") as sandbox:
        env = sandbox.settings(tmp_path) | {f"RINGCX_{kind.upper()}_LIMITS": limit for kind, limit in limits.items()}
        end = datetime.now(UTC)
        span = ["--start", (end - timedelta(hours=4)).isoformat(), "--end", end.isoformat()]
        runs = [cli("backfill", *span, "--max-minutes", "0.2", env=env) for _ in range(2)]
        outputs = [run.communicate(timeout=120)[0] for run in runs]
        summary = httpx.get(sandbox.base_url + "/_sandbox/summary").json()
    assert [run.returncode for run in runs] == [0, 0], outputs
    assert summary["accepted_max_in_window"]["transcripts"][f"{LIMIT}/{PERIOD_S}"] == LIMIT
    assert summary["refused_requests"] == 0
    assert summary["transcripts_served_more_than_once"] == 0
