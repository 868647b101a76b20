"""A report for people: everything that somebody who answers for the data asks, as figures and then as one page.

All figures of the lake are of one state of it. Conversations count where they began, transcripts and dispositions
where their segments ended; days and hours are UTC.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta

import msgspec

from connectors.limits import Quotas
from flows.planning import Grid
from flows.report.polled_hours import Calendar, calendar
from flows.status import Status, status_of
from flows.windows import Window, horizon
from sinks.lake import Lake

Rows = list[dict[str, object]]
Ask = Callable[..., Rows]
TOP = 10


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The state of the lake that the figures are of; a new lake has one, too."""

    number: int
    at: datetime


@dataclass(frozen=True, slots=True)
class Volume:
    """Conversations of one channel that began in one hour of the day, on all days together."""

    hour: int
    channel: str
    conversations: int


@dataclass(frozen=True, slots=True)
class Disposition:
    """How often a disposition was given to a segment, and which share of its kind that is."""

    chosen_by: str
    name: str
    segments: int
    share: float


@dataclass(frozen=True, slots=True)
class Talker:
    """What one agent and their contacts said, in words."""

    sub_account_id: str
    agent_id: str
    name: str
    conversations: int
    words: int
    contact_words: int

    @property
    def share(self) -> float:
        """The agent's share of the words, 0 to 1."""
        return self.words / (self.words + self.contact_words)


@dataclass(frozen=True, slots=True)
class Figures:
    """All that the page shows. `requests`: of runs that began in the last hour, by group, then by answer."""

    made_at: datetime
    snapshot: Snapshot
    days: tuple[date, ...]
    status: Status
    due_until: datetime
    calendar: Calendar
    segments: int
    flagged: int
    transcripts: int
    volumes: tuple[Volume, ...]
    dispositions: tuple[Disposition, ...]
    talkers: tuple[Talker, ...]
    agents: int
    requests: dict[str, dict[str, int]]
    run_states: dict[str, int]
    runs: tuple[dict[str, object], ...]
    quarantine: tuple[dict[str, object], ...]

    @property
    def conversations(self) -> int:
        """Those that began in the period."""
        return sum(volume.conversations for volume in self.volumes)

    @property
    def is_empty(self) -> bool:
        """Nothing was ever polled, and nothing has run."""
        return not self.status.sub_accounts and not self.runs and not self.status.utterances


def read_figures(lake: Lake, quotas: Quotas, grid: Grid, now: datetime, days: int) -> Figures:
    """The figures of so many UTC days up to `now`, from one state of the lake; the quotas are those of this moment."""
    shown = tuple(now.date() - timedelta(days=back) for back in reversed(range(days)))
    due_until = horizon(now, grid.step, grid.offset) - grid.step
    with lake.read() as con:

        def ask(sql: str, *parameters: object) -> Rows:
            rows: Rows = con.execute(sql, list(parameters)).to_arrow_table().to_pylist()
            return rows

        snapshot = ask(SNAPSHOT)[0]
        status = status_of(ask, quotas, now)
        totals, volumes, agents = ask(TOTALS, shown[0])[0], ask(VOLUMES, shown[0]), ask(TALKERS, shown[0])
        return Figures(
            made_at=now,
            snapshot=Snapshot(int(str(snapshot["snapshot_id"])), _instant(snapshot["snapshot_time"])),
            days=shown,
            status=status,
            due_until=due_until,
            calendar=calendar(_covered(ask), shown, due_until, grid.step),
            segments=int(str(totals["segments"])),
            flagged=int(str(totals["flagged"])),
            transcripts=int(str(totals["transcripts"])),
            volumes=tuple(msgspec.convert(volumes, list[Volume])),
            dispositions=tuple(msgspec.convert(ask(DISPOSITIONS, shown[0], TOP), list[Disposition])),
            talkers=tuple(msgspec.convert(agents[:TOP], list[Talker])),
            agents=len(agents),
            requests=_requests(ask(REQUESTS, now - timedelta(hours=1))),
            run_states={str(row["state"]): int(str(row["n"])) for row in ask(RUN_STATES, shown[0])},
            runs=tuple(ask(RUNS)),
            quarantine=tuple(ask(QUARANTINE)),
        )


def _covered(ask: Ask) -> dict[str, list[Window]]:
    covered: dict[str, list[Window]] = {}
    for row in ask("SELECT sub_account_id, covered_from, covered_until FROM covered"):
        window = Window(_instant(row["covered_from"]), _instant(row["covered_until"]))
        covered.setdefault(str(row["sub_account_id"]), []).append(window)
    return covered


def _requests(rows: Rows) -> dict[str, dict[str, int]]:
    spent: dict[str, dict[str, int]] = {}
    for row in rows:
        for group, answers in msgspec.json.decode(str(row["requests"]), type=dict[str, dict[str, int]]).items():
            for answer, count in answers.items():
                spent.setdefault(group, {})[answer] = spent.get(group, {}).get(answer, 0) + count
    return spent


def _instant(value: object) -> datetime:
    assert isinstance(value, datetime)  # noqa: S101 - the column's type
    return value


SNAPSHOT = """
    SELECT snapshot_id, snapshot_time FROM lake.snapshots()
    WHERE snapshot_id = (SELECT id FROM lake.current_snapshot())
"""
TOTALS = """
    SELECT
        count(*) AS segments,
        count(*) FILTER (has_transcript) AS flagged,
        count(*) FILTER (transcript_state = 'stored') AS transcripts
    FROM segments
    WHERE segment_end_time >= CAST(? AS DATE) AT TIME ZONE 'UTC'
"""
VOLUMES = """
    SELECT
        CAST(hour(started_at) AS INTEGER) AS hour,
        coalesce(channel_type, 'unknown') AS channel,
        count(*) AS conversations
    FROM dialogs
    WHERE day >= ?
    GROUP BY ALL
    ORDER BY ALL
"""
DISPOSITIONS = """
    SELECT
        chosen_by,
        disposition AS name,
        CAST(sum(segments) AS BIGINT) AS segments,
        sum(segments) / sum(sum(segments)) OVER (PARTITION BY chosen_by) AS share
    FROM disposition_daily
    WHERE day >= ?
    GROUP BY chosen_by, disposition
    QUALIFY row_number() OVER (PARTITION BY chosen_by ORDER BY sum(segments) DESC, disposition) <= ?
    ORDER BY chosen_by, segments DESC, name
"""
# Straight from `spoken`, whose files are chosen by day: `agent_daily` would read those of all days.
TALKERS = """
    SELECT
        sub_account_id,
        agent_id,
        coalesce(max(participant_name) FILTER (speaker = 'agent'), agent_id) AS name,
        count(DISTINCT dialog_id) AS conversations,
        CAST(sum(words) FILTER (speaker = 'agent') AS BIGINT) AS words,
        CAST(coalesce(sum(words) FILTER (speaker = 'contact'), 0) AS BIGINT) AS contact_words
    FROM spoken
    WHERE segment_day >= ? AND agent_id IS NOT NULL
    GROUP BY sub_account_id, agent_id
    HAVING sum(words) FILTER (speaker = 'agent') > 0
    ORDER BY words DESC, sub_account_id, agent_id
"""
REQUESTS = "SELECT requests FROM runs WHERE started_at >= ? AND requests IS NOT NULL"
RUN_STATES = """
    SELECT state, count(*) AS n FROM runs WHERE started_at >= CAST(? AS DATE) AT TIME ZONE 'UTC'
    GROUP BY state ORDER BY state
"""
RUNS = """
    SELECT kind, state, started_at, finished_at, windows_polled, segments_loaded, transcripts_stored, error
    FROM runs ORDER BY started_at DESC, run_id LIMIT 15
"""
QUARANTINE = """
    SELECT kind, reason, count(*) AS items, max(quarantined_at) AS latest
    FROM quarantine GROUP BY kind, reason ORDER BY items DESC, kind, reason LIMIT 10
"""
