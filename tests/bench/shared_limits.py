"""Two processes, one set of credentials, one lake, a limit of 120 requests in 6 s: what does the platform see?

    .venv/bin/python -m tests.bench.shared_limits

Serves the corpus (or generated conversations where it is absent) and lets two `ringcx-etl backfill` processes load it
side by side. The sandbox judges by arrival times: the most requests that it accepted in any 6 s, how many it refused,
and what share of the minute's allowance was used. The peer is the allowance itself: 100 % is all that could be had.
"""

import os
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx

from tests.processes import CORPUS, cli, sandbox_process

LIMIT, PERIOD_S, MINUTE_S = 120, 6, 60


def main() -> None:
    """Run for a little over a minute and print the figures."""
    arguments = ["--corpus", str(CORPUS)] if CORPUS.exists() else ["--dialogs-per-hour", "600"]
    limits = ["--transcript-limits", f"{LIMIT}/{PERIOD_S}", "--metadata-limits", "1000/60"]
    with tempfile.TemporaryDirectory() as folder, sandbox_process(*arguments, *limits, "--days", "2") as sandbox:
        env = sandbox.settings(Path(folder)) | {
            "RINGCX_TRANSCRIPT_LIMITS": f"{LIMIT}/{PERIOD_S}",
            "RINGCX_METADATA_LIMITS": "1000/60",
        }
        end = datetime.now(UTC)
        span = ["--start", (end - timedelta(days=2)).isoformat(), "--end", end.isoformat()]
        runs = [cli("backfill", *span, "--max-minutes", "1.4", env=env) for _ in range(2)]
        codes = [(run.communicate(timeout=300), run.returncode)[1] for run in runs]
        log = [r for r in httpx.get(sandbox.base_url + "/_sandbox/log").json() if r["group"] == "transcripts"]
    accepted = [record["at"] for record in log if record["status"] != 429]
    first = accepted[0]
    in_minute = sum(at < first + MINUTE_S for at in accepted)
    most = max(sum(at <= other < at + PERIOD_S for other in accepted) for at in accepted)
    allowance = LIMIT * MINUTE_S // PERIOD_S
    served = [(record["dialog_id"], record["segment_id"]) for record in log if record["status"] == 200]
    print(f"exit codes {codes}; {os.cpu_count()} cores; {time.strftime('%Y-%m-%d')}")
    print(f"most accepted in any {PERIOD_S} s: {most} of {LIMIT}")
    print(f"refused (429): {len(log) - len(accepted)}")
    print(f"used in the first minute: {in_minute} of {allowance} = {in_minute / allowance:.1%}")
    print(f"transcripts served {len(served)}, more than once {len(served) - len(set(served))}")


if __name__ == "__main__":
    main()
