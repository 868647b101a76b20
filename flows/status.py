"""How things stand: how far each sub-account is, what is still to come, what went wrong, what may still be asked."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta

from connectors.limits import Quotas
from connectors.ringcx.client import metadata_group
from flows.windows import Window
from sinks.lake import Lake


@dataclass(frozen=True, slots=True)
class SubAccountStatus:
    """`watermark`: up to where everything since the last gap was polled; `states`: segments by transcript state."""

    sub_account_id: str
    watermark: datetime
    behind_s: float
    segments: int
    states: dict[str, int]


@dataclass(frozen=True, slots=True)
class QuotaStatus:
    """How much of one limit all processes have used in its last interval; silent: no request may be sent until then."""

    group: str
    used: int
    requests: int
    seconds: float
    silent_s: float


@dataclass(frozen=True, slots=True)
class Status:
    """`pending` by age of the segment's end; `gaps` as the view; `runs` newest first, as in the table.

    `streams` that may be running; `downloads`: how many of each kind are in each state, where there are any.
    """

    as_of: datetime
    sub_accounts: tuple[SubAccountStatus, ...]
    utterances: int
    pending: dict[str, int]
    expired: int
    quarantined: int
    gaps: tuple[dict[str, object], ...]
    streams: tuple[dict[str, object], ...]
    downloads: dict[str, dict[str, int]]
    quotas: tuple[QuotaStatus, ...]
    runs: tuple[dict[str, object], ...]

    def plain(self) -> dict[str, object]:
        """As plain values, for JSON."""
        return asdict(self)


AGES = (("under an hour", timedelta(hours=1)), ("under a day", timedelta(days=1)), ("under a week", timedelta(days=7)))


def read_status(lake: Lake, quotas: Quotas, now: datetime) -> Status:
    """The status as of one moment of the lake, and the quotas now."""
    with lake.read() as con:
        return status_of(lambda sql: con.execute(sql).to_arrow_table().to_pylist(), quotas, now)


def status_of(rows: Callable[[str], list[dict[str, object]]], quotas: Quotas, now: datetime) -> Status:
    """The status of the state of the lake that `rows` asks, and the quotas now."""
    stretches = rows("SELECT sub_account_id, covered_from, covered_until FROM covered ORDER BY covered_until")
    states = rows("SELECT sub_account_id, transcript_state, count(*) AS n FROM segments GROUP BY ALL")
    latest: dict[str, Window] = {
        str(row["sub_account_id"]): Window(row["covered_from"], row["covered_until"])  # type: ignore[arg-type]
        for row in stretches
    }
    pending = rows("SELECT segment_end_time FROM segments WHERE transcript_state = 'pending'")
    has_calls = bool(_count(rows("SELECT count(*) AS n FROM duckdb_tables() WHERE table_name = 'streams'")))
    downloads = _downloads(rows) if has_calls else {}
    return Status(
        as_of=now,
        sub_accounts=tuple(_sub_account(name, latest[name].end, states, now) for name in sorted(latest)),
        utterances=_count(rows("SELECT count(*) AS n FROM utterances")),
        pending=_by_age([row["segment_end_time"] for row in pending], now),  # type: ignore[misc]
        expired=_count(rows("SELECT count(*) AS n FROM segments WHERE transcript_state = 'expired'")),
        quarantined=_count(rows("SELECT count(*) AS n FROM quarantine")),
        gaps=tuple(rows("SELECT * FROM gaps ORDER BY gap_from, sub_account_id")),
        streams=tuple(rows(STREAMS_SQL) if has_calls else ()),
        downloads=downloads,
        quotas=tuple(_quotas(quotas, ["transcripts", *downloads, *(metadata_group(name) for name in sorted(latest))])),
        runs=tuple(rows(RUNS_SQL)),
    )


RUNS_SQL = """
    SELECT run_id, kind, state, started_at, finished_at, segments_loaded, transcripts_stored, utterances_loaded, error
    FROM runs ORDER BY started_at DESC LIMIT 5
"""


def _downloads(rows: Callable[[str], list[dict[str, object]]]) -> dict[str, dict[str, int]]:
    counts = {name: {str(row["state"]): _count([row]) for row in rows(sql)} for name, sql in DOWNLOADS_SQL.items()}
    return {name: states for name, states in counts.items() if states}


STREAMS_SQL = """
    SELECT stream_id, state, sub_account_id, dialog_id, segment_id, asked_at, url FROM streams
    WHERE state NOT IN ('stopped', 'refused') ORDER BY asked_at
"""
DOWNLOADS_SQL = {
    "recordings": "SELECT state, count(*) AS n FROM recordings WHERE origin = 'ringcx' GROUP BY state ORDER BY state",
    "summaries": "SELECT state, count(*) AS n FROM summaries GROUP BY state ORDER BY state",
}


def _quotas(quotas: Quotas, groups: Sequence[str]) -> Iterator[QuotaStatus]:
    for group in groups:
        quota = quotas[group]
        for limit in quota.limits:
            used = quota.used(limit.seconds)
            yield QuotaStatus(group, used, limit.requests, limit.seconds, quota.silent_for_s())


def _sub_account(
    name: str, watermark: datetime, states: Sequence[dict[str, object]], now: datetime
) -> SubAccountStatus:
    own = {str(row["transcript_state"]): int(str(row["n"])) for row in states if row["sub_account_id"] == name}
    behind_s = (now - watermark).total_seconds()
    return SubAccountStatus(name, watermark, behind_s, sum(own.values()), dict(sorted(own.items())))


def _by_age(ends: Sequence[datetime], now: datetime) -> dict[str, int]:
    ages = {**{name: 0 for name, _ in AGES}, "older": 0}
    for end in ends:
        ages[next((name for name, limit in AGES if now - end < limit), "older")] += 1
    return ages


def _count(rows: Sequence[dict[str, object]]) -> int:
    return int(str(rows[0]["n"]))
