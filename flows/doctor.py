"""Whether everything is in place to run, checked in the order in which a run needs it. Each finding says what to do."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, timedelta
from email.utils import parsedate_to_datetime

from connectors.errors import ClockAhead, ConnectorError, NotReady
from flows.runtime import Accounts, Runtime
from flows.settings import SettingsError
from flows.windows import floor
from sinks.errors import LakeError

SKEW_S = 60.0


@dataclass(frozen=True, slots=True)
class Finding:
    """One line: what was checked, whether it is well, and what it means or what to do."""

    check: str
    ok: bool
    said: str


async def examine(runtime: Runtime) -> AsyncIterator[Finding]:
    """The findings, as they come. Costs one metadata and one transcript request per sub-account."""
    yield _lake(runtime)
    try:
        accounts = await runtime.accounts()
    except ClockAhead as error:
        yield Finding("clock", False, str(error))
        return
    except (ConnectorError, SettingsError) as error:
        yield Finding("login", False, str(error))
        return
    yield Finding("login", True, f"RingCentral account {accounts.rc_account_id}")
    yield _clock(runtime)
    names = {account.account_id: account.account_name or "" for account in accounts.listed}
    for sub_account_id in accounts.sub_account_ids:
        label = f"sub-account {sub_account_id}" + (f" ({names[sub_account_id]})" if names.get(sub_account_id) else "")
        yield await _metadata(runtime, accounts, sub_account_id, label)
        yield await _transcripts(runtime, accounts, sub_account_id, label)
    for account in accounts.listed:
        if account.account_id not in accounts.sub_account_ids:
            yield Finding("sub-accounts", True, f"{account.account_id} is visible but not in RINGCX_SUB_ACCOUNT_IDS")


def _lake(runtime: Runtime) -> Finding:
    try:
        runtime.lake.create()
        rows = runtime.lake.query("SELECT count(*) AS n FROM segments").to_pylist()[0]["n"]
        damaged = runtime.lake.damaged_files()
    except LakeError as error:
        return Finding("lake", False, str(error))
    if damaged:
        said = f"{len(damaged)} of its files are missing or cut, such as {damaged[0]}: put them back from a backup"
        return Finding("lake", False, said)
    return Finding("lake", True, f"{runtime.lake.location} can be written; {rows:,} segments")


def _clock(runtime: Runtime) -> Finding:
    """The platform's `Date` against our clock: windows and token lifetimes are counted by ours."""
    if runtime.http.server_date is None:
        return Finding("clock", True, "the platform does not say what time it is")
    skew_s = (runtime.now() - parsedate_to_datetime(runtime.http.server_date)).total_seconds()
    said = f"{abs(skew_s):.0f} s {'ahead of' if skew_s > 0 else 'behind'} the platform's"
    if abs(skew_s) <= SKEW_S:
        return Finding("clock", True, said)
    return Finding(
        "clock", False, f"{said}: set this machine's clock (NTP), or windows are asked for at the wrong time"
    )


async def _metadata(runtime: Runtime, accounts: Accounts, sub_account_id: str, label: str) -> Finding:
    end = floor(runtime.now() - timedelta(minutes=30), timedelta(minutes=1)).astimezone(UTC)
    try:
        await runtime.source.metadata(accounts.rc_account_id, sub_account_id, end - timedelta(minutes=1), end)
    except NotReady:
        said = "RingCX does not know it under this account: check RINGCX_SUB_ACCOUNT_IDS and RINGCX_ACCOUNT_ID"
        return Finding(f"{label}: metadata", False, said)
    except ConnectorError as error:
        return Finding(f"{label}: metadata", False, str(error))
    return Finding(f"{label}: metadata", True, "may be read")


async def _transcripts(runtime: Runtime, accounts: Accounts, sub_account_id: str, label: str) -> Finding:
    """By asking for one that cannot exist: 404 means that we may ask."""
    try:
        await runtime.source.transcript(accounts.rc_account_id, sub_account_id, "ringcx-etl-doctor", "none")
    except NotReady:
        return Finding(f"{label}: transcripts", True, "may be read")
    except ConnectorError as error:
        return Finding(f"{label}: transcripts", False, str(error))
    return Finding(f"{label}: transcripts", True, "may be read")
