"""The composition root: everything is built here, once, from settings, and passed on."""

import hashlib
import logging
import random
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path

import httpx

from connectors.http import Http, Retry
from connectors.limits import Quotas
from connectors.ringcx.auth import Auth, Credentials, JwtLogin, StaticToken
from connectors.ringcx.calling import Caller
from connectors.ringcx.client import RingCX
from connectors.ringcx.records import SubAccount
from connectors.ringcx.tokens import TokenFile
from flows.alive import LiveRuns
from flows.dictionary import macro_bodies, view_bodies
from flows.outcomes import Patience
from flows.planning import Grid
from flows.settings import Settings, SettingsError
from flows.tables import TABLES
from sinks.errors import LocationError
from sinks.lake import Lake
from sinks.location import Location

# 2: utterances have a source; an older release would delete those of other sources.
# 3: segments say under which day their utterances are; an older release would not, and the views find none.
LAYOUT_VERSION = 3
UPGRADES = Path(__file__).parent / "upgrades"


@dataclass(frozen=True, slots=True)
class Accounts:
    """Whose conversations a run is about. `listed`: what RingCX says of the sub-accounts, where it was asked."""

    rc_account_id: str
    sub_account_ids: tuple[str, ...]
    listed: tuple[SubAccount, ...] = ()


@dataclass
class Runtime:
    """What a run works with."""

    settings: Settings
    lake: Lake
    http: Http
    quotas: Quotas
    source: RingCX
    auth: Auth
    caller: Caller
    live_runs: LiveRuns
    clock: Callable[[], float]
    rng: random.Random = field(default_factory=random.Random)  # jitter and ids, not secrets

    @cached_property
    def grid(self) -> Grid:
        """How time is cut."""
        return grid_of(self.settings)

    @property
    def patience(self) -> Patience:
        """When to stop asking for a transcript."""
        return Patience(self.settings.ringcx_reject_after, timedelta(days=self.settings.ringcx_retention_days))

    @property
    def claim_for(self) -> timedelta:
        """How long a claim holds: longer than its transcripts can take under the limits, twice over."""
        slowest = max(limit.seconds / limit.requests for limit in self.settings.ringcx_transcript_limits)
        return timedelta(minutes=5) + timedelta(seconds=4 * 240 * slowest)

    def now(self) -> datetime:
        """This moment."""
        return datetime.fromtimestamp(self.clock(), UTC)

    async def accounts(self) -> Accounts:
        """Whom to ask for: what the settings name, else what RingCX says. Raises SettingsError where neither does."""
        settings = self.settings
        rc_account_id, wanted = settings.ringcx_account_id, settings.ringcx_sub_account_ids
        listed: tuple[SubAccount, ...] = ()
        if not wanted or not rc_account_id:
            rc_account_id = rc_account_id or await self.source.rc_account_id() or ""
        if not wanted or not rc_account_id:
            listed = tuple(await self.source.sub_accounts())
            wanted = wanted or tuple(account.account_id for account in listed)
            rc_account_id = rc_account_id or next((a.rc_account_id for a in listed if a.rc_account_id), "")
        if not rc_account_id:
            raise SettingsError("RINGCX_ACCOUNT_ID: RingCX does not tell it to a ready token; set it.")
        if not wanted:
            raise SettingsError("This user sees no RingCX sub-account: give it access, or set RINGCX_SUB_ACCOUNT_IDS.")
        return Accounts(rc_account_id, tuple(wanted), listed)


def grid_of(settings: Settings) -> Grid:
    """How these settings cut time."""
    seconds = (settings.ringcx_window_seconds, settings.ringcx_offset_seconds, settings.ringcx_max_interval_seconds)
    return Grid(*(timedelta(seconds=value) for value in seconds))


def open_lake(settings: Settings) -> Lake:
    """The lake that the settings name; nothing is opened or made yet."""
    try:
        location = Location.parse(settings.ringcx_lake, settings.ringcx_data_path)
    except LocationError as error:
        raise SettingsError(f"RINGCX_LAKE, RINGCX_DATA_PATH: {error}") from None
    return lake_at(location)


def lake_at(location: Location) -> Lake:
    """The lake at this place, with all tables, views and macros."""
    upgrades = {int(file.stem): file.read_text() for file in UPGRADES.glob("*.sql")}
    return Lake(location, TABLES, view_bodies(), macros=macro_bodies(), version=LAYOUT_VERSION, upgrades=upgrades)


def open_quotas(settings: Settings, clock: Callable[[], float] = time.time, *, in_background: bool = False) -> Quotas:
    """The quotas that processes with these credentials share; in the background, those that stand back for others."""
    limits = {
        "transcripts": settings.ringcx_transcript_limits,
        "metadata": settings.ringcx_metadata_limits,
        "auth": settings.ringcx_auth_limits,
        "admin": settings.ringcx_admin_limits,
        "media-control": settings.ringcx_media_control_limits,
        "recordings": settings.ringcx_recording_limits,
        "summaries": settings.ringcx_summary_limits,
        "ai": settings.ringcx_ai_limits,
    }
    stand_back = {"transcripts": 0, "metadata": settings.ringcx_reserve} if in_background else None
    return Quotas(settings.state_folder / "quotas", limits, clock, stand_back)


@asynccontextmanager
async def open_runtime(
    settings: Settings,
    clock: Callable[[], float] = time.time,
    transport: httpx.AsyncBaseTransport | None = None,
    *,
    in_background: bool = False,
) -> AsyncIterator[Runtime]:
    """A runtime with connections that are closed at the end. Raises SettingsError without credentials.

    `transport` is httpx's way to the platform; None: over the network. A run `in_background` (backfill, reconcile)
    lets others go first, and leaves them a reserve.
    """
    settings.require_credentials()
    quotas = open_quotas(settings, clock, in_background=in_background)
    in_flight = settings.ringcx_concurrency + 4
    pool = httpx.Limits(max_connections=in_flight, max_keepalive_connections=in_flight)
    async with httpx.AsyncClient(limits=pool, timeout=settings.ringcx_timeout_seconds, transport=transport) as client:
        retry = Retry(attempts=settings.ringcx_retry_attempts, penalty_s=settings.ringcx_penalty_seconds)
        http = Http(client, quotas, retry, timeout_s=settings.ringcx_timeout_seconds, clock=clock)
        auth = _auth(settings, http, clock)
        source = RingCX(http, auth, settings.ringcx_base_url, settings.ringcentral_base_url)
        caller = Caller(http, auth, settings.ringcx_base_url)
        lake = open_lake(settings)
        try:
            yield Runtime(settings, lake, http, quotas, source, auth, caller, live_runs_of(settings, lake), clock)
        finally:
            lake.close()
            quotas.close()


def quiet_logging(level: str) -> None:
    """Log lines of at least `level` to standard error, and none of the libraries' chatter."""
    logging.basicConfig(level=level, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    for name in ("httpx", "httpcore", "filelock", "pyrate_limiter"):
        logging.getLogger(name).setLevel(logging.WARNING)


def live_runs_of(settings: Settings, lake: Lake) -> LiveRuns:
    """Those that load this lake: a run's death means nothing to another lake."""
    return LiveRuns(settings.state_folder / "runs" / hashlib.sha256(lake.location.catalog.encode()).hexdigest()[:16])


def _auth(settings: Settings, http: Http, clock: Callable[[], float]) -> Auth:
    token = settings.ringcx_access_token.get_secret_value()
    if token:
        return StaticToken(token)
    credentials = Credentials(
        platform_url=settings.ringcentral_base_url,
        ringcx_url=settings.ringcx_base_url,
        client_id=settings.ringcentral_client_id,
        client_secret=settings.ringcentral_client_secret.get_secret_value(),
        jwt=settings.ringcentral_jwt.get_secret_value(),
    )
    file = TokenFile(settings.state_folder / "tokens.json")
    return JwtLogin(credentials, http, file, clock, lifetime_s=settings.ringcx_token_seconds)
