"""Everything that can be set on the sandbox, with the defaults of the documented platform."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from connectors.sandbox.faults import Faults
from connectors.sandbox.model import AccountSource, SubAccount
from connectors.sandbox.outside import Outside

# Groups whose documented limit is unknown ("accounts", "media-control" ...) are unlimited. Refreshing a RingCX token
# counts as an exchange: the documentation limits only the exchange, so this is the stricter reading.
DEFAULT_LIMITS: Mapping[str, str] = {
    "auth-platform": "5/60",
    "auth-ringcx": "5/60",
    "accounts": "",
    "metadata": "3/60,9/900",
    "transcripts": "120/60",
    "recordings": "120/60",
    "summaries": "120/60",
    "media-control": "",
    "profiles": "",
    "ai": "",
    "media": "",
}


@dataclass(frozen=True, kw_only=True, repr=False)
class SandboxConfig:
    """Settings of one sandbox; the credentials are throw-away values that work nowhere else."""

    client_id: str = "sandbox-client"
    client_secret: str = "sandbox-secret"  # noqa: S105 - opens nothing but this sandbox
    jwt: str = "sandbox-jwt"
    static_token: str | None = "sandbox-token"  # noqa: S105 - a RingCX token that never expires; None: there is none
    rc_account_id: str = "980634004"
    main_account_id: str = "99990000"

    account: AccountSource | None = None  # None: a generated account with `seed`, a week of history and a live tail
    sub_accounts: tuple[SubAccount, ...] | None = None  # None: those of `account`; set it to deny some or rename them
    seed: int = 7  # of the generated account
    history_days: int = 7  # how far back the generated account goes; midnight UTC, counted when the app is created

    limits: Mapping[str, str] = field(default_factory=dict)  # group -> "requests/seconds,..."; over DEFAULT_LIMITS
    penalty_seconds: float = 60
    retry_after: bool = True  # whether a 429 carries Retry-After
    rate_limit_headers: bool = True  # whether answers carry X-Rate-Limit-*

    token_seconds: float = 300  # life of a RingCX access token
    platform_token_seconds: int = 7199  # life of a RingCentral access token, as answered in expires_in
    max_interval: int = 10800  # longest timeInterval of a metadata request, seconds; the seeds say 3600
    log_limit: int = 1_000_000  # requests remembered for /_sandbox/log; the older half is forgotten past it

    audio: Path | None = None  # a folder of WAV files that segments and calls sound like; None: tones
    recording_s: tuple[float, float] = (600, 900)  # a recording can be had so long after its segment's end (from, to)
    recording_channels: int = 1  # 2: agent left, others right; which of them the platform does is not documented
    profiles_path: str = "/platform/api/media/product"  # the seeds also show /media-distributor/product

    call_visible_s: float = 60  # metadata of a live call appear so long after its end
    caller_pace: float | None = (
        1.0  # how fast streams of live calls are played; None: as fast as the receiver takes them
    )
    caller_ca: Path | None = None  # certificates that callers, webhooks and fetches of audio trust

    ai_seconds: tuple[float, float] = (1.0, 3.0)  # how long a speech job takes (from, to)
    ai_expires_s: float = 604_800  # its answer is kept for a week
    webhook_attempts: int = 3  # while it answers 5xx or not at all; the platform's number is not documented
    webhook_pause_s: float = 1.0  # between two attempts
    outside: Outside | None = None  # how audio is fetched and webhooks are called; None: over HTTP

    faults: Faults = field(default_factory=Faults)
