"""The sandbox as a command: what it serves, and the settings that point at it."""

import dataclasses
import time
from pathlib import Path

from rich.console import Console

from connectors.sandbox import corpus as corpora
from connectors.sandbox.account import generate_account
from connectors.sandbox.config import SandboxConfig
from connectors.sandbox.faults import Faults
from connectors.sandbox.model import AccountSource
from connectors.sandbox.server import serve_forever

HOUR_S, DAY_S = 3600.0, 86400.0

# Everything that the platform is known to do wrong, each often enough to be met in a small account.
EVERY_FAULT = Faults(
    transient_groups=("metadata", "transcripts", "recordings", "summaries"),
    job_fail_share=0.05,
    job_silent_share=0.05,
    job_twice_share=0.05,
    job_early_share=0.05,
    job_expired_share=0.02,
    late_metadata_share=0.03,
    late_metadata_s=900,
    late_flag_share=0.03,
    late_flag_s=900,
    late_transcript_share=0.05,
    rejected_transcript_share=0.01,
    moved_end_share=0.02,
    error_500_share=0.03,
    error_503_share=0.03,
    throttled_share=0.01,
    throttled_bare_share=0.01,
    reset_share=0.03,
    cut_headers_share=0.02,
    truncated_share=0.03,
    html_share=0.03,
    expired_share=0.02,
    error_code_share=0.02,
    malformed_item_share=0.02,
    duplicate_item_share=0.02,
    malformed_phrase_share=0.02,
    unknown_field_share=0.05,
)


def run(config: SandboxConfig, port: int, corpus: Path | None, days: float, dialogs_per_hour: float) -> int:
    """Serve a corpus, or generated conversations, until interrupted; prints the settings that point at it."""
    now = time.time()
    account: AccountSource
    if corpus:
        end = (now // HOUR_S - 1) * HOUR_S  # old enough for all of it to be there at once
        account = corpora.load(corpus, end - days * DAY_S, end)
    else:
        start = (now - days * DAY_S) // DAY_S * DAY_S
        account = generate_account(start=start, dialogs_per_hour=dialogs_per_hour)
    config = dataclasses.replace(config, account=account)
    console = Console(soft_wrap=True, highlight=False)

    def ready(base_url: str) -> None:
        accounts = ", ".join(sub.sub_account_id for sub in account.sub_accounts)
        console.print(f"# A RingCX sandbox with sub-accounts {accounts}; Ctrl-C ends it. Settings that point at it:")
        for name, value in point_at(config, base_url).items():
            console.print(f"export {name}={value}")
        console.print("# A call that is live from then on, to be streamed with `ringcx-etl stream start call-1`:")
        console.print(f"""# curl -d '{{"dialogId": "call-1", "segmentId": "leg-1"}}' {base_url}/_sandbox/calls""")

    serve_forever(config, port=port, ready=ready)
    return 0


def point_at(config: SandboxConfig, base_url: str) -> dict[str, str]:
    """The settings that make ringcx-etl talk to a sandbox of this configuration."""
    return {
        "RINGCENTRAL_BASE_URL": base_url,
        "RINGCENTRAL_CLIENT_ID": config.client_id,
        "RINGCENTRAL_CLIENT_SECRET": config.client_secret,
        "RINGCENTRAL_JWT": config.jwt,
        "RINGCX_BASE_URL": base_url,
    }
