"""The proof that nothing is missing, from the tables alone: each check counts what it saw and names what is wrong."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from pathlib import Path

from flows.calls.proof import CALL_CHECKS, FILES_SQL, astray
from flows.windows import Window, merge, missing
from sinks.lake import Lake

SHOWN = 100  # wrong items that a check names; `found` counts all of them


@dataclass(frozen=True, slots=True)
class Check:
    """What was checked, over how many items, how many were wrong, and the first of those."""

    name: str
    looked_at: int
    found: int
    wrong: tuple[dict[str, object], ...] = ()

    @property
    def ok(self) -> bool:
        """Nothing wrong."""
        return self.found == 0


@dataclass(frozen=True, slots=True)
class Proof:
    """All checks over `span`, as of one state of the lake."""

    span: Window
    checks: tuple[Check, ...]

    @property
    def ok(self) -> bool:
        """Nothing wrong anywhere."""
        return all(check.ok for check in self.checks)

    def plain(self) -> dict[str, object]:
        """As plain values, for JSON."""
        return {"ok": self.ok, **asdict(self)}


Rows = list[dict[str, object]]
Ask = Callable[..., Rows]


def verify(
    lake: Lake,
    start: datetime | None,
    end: datetime,
    step: timedelta,
    offset: timedelta,
    audio: Path | None = None,
) -> Proof:
    """Check `[start, end)`; no start: from where each sub-account's history begins. `audio`: where recordings are.

    One snapshot of the lake, so a run in progress neither helps nor disturbs.
    """
    with lake.read() as con:

        def ask(sql: str, *parameters: object) -> Rows:
            rows: Rows = con.execute(sql, list(parameters)).to_arrow_table().to_pylist()
            return rows

        first = start or _first(ask, end)
        span = Window(first, max(first, end))
        checks = [_coverage(ask, start, span, step), _completeness(ask, span, offset)]
        checks += [_check(ask, name, counted, wrong, span) for name, counted, wrong in CHECKS]
        if _number(ask("SELECT count(*) AS n FROM duckdb_tables() WHERE table_name = 'recordings'")):
            calls = [_check(ask, name, counted, wrong, span) for name, counted, wrong in CALL_CHECKS]
            checks += [check for check in [*calls, _files(ask, span, audio)] if check.looked_at]
        return Proof(span, tuple(checks))


def _coverage(ask: Ask, start: datetime | None, span: Window, step: timedelta) -> Check:
    """Every minute of every sub-account that was ever asked for lies in a polled window."""
    looked_at, wrong = 0, []
    for row in ask("SELECT sub_account_id, min(covered_from) AS first FROM covered GROUP BY ALL ORDER BY ALL"):
        account, first = str(row["sub_account_id"]), start or row["first"]
        assert isinstance(first, datetime)  # noqa: S101 - the column's type
        stretches = ask("SELECT covered_from, covered_until FROM covered WHERE sub_account_id = ?", account)
        covered = [Window(*stretch.values()) for stretch in stretches]  # type: ignore[arg-type]
        own = Window(first, max(first, span.end))
        looked_at += own.length // timedelta(minutes=1)
        gaps = merge(missing(covered, own, step))
        wrong += [{"sub_account_id": account, "gap_from": gap.start, "gap_until": gap.end} for gap in gaps]
    return Check("every minute lies in a polled window", looked_at, len(wrong), tuple(wrong[:SHOWN]))


def _completeness(ask: Ask, span: Window, offset: timedelta) -> Check:
    counted = "SELECT count(*) AS n FROM windows WHERE window_end > ? AND window_start < ?"
    late = (
        "SELECT sub_account_id, window_start, window_end, polled_at FROM windows"
        " WHERE window_end > ? AND window_start < ? AND polled_at < window_end + ? ORDER BY ALL"
    )
    looked_at = _number(ask(counted, span.start, span.end))
    wrong = ask(late, span.start, span.end, offset)
    name = "every window was polled after it was complete"
    return Check(name, looked_at, len(wrong), tuple(wrong[:SHOWN]))


def _check(ask: Ask, name: str, counted: str, wrong_sql: str, span: Window) -> Check:
    looked_at = _number(ask(counted, span.start, span.end))
    wrong = ask(wrong_sql, span.start, span.end)
    return Check(name, looked_at, len(wrong), tuple(wrong[:SHOWN]))


def _files(ask: Ask, span: Window, audio: Path | None) -> Check:
    rows = ask(FILES_SQL, span.start, span.end) if audio else []
    wrong = list(astray(rows, audio)) if audio else []
    return Check("every recording's file is there, as long as it was", len(rows), len(wrong), tuple(wrong[:SHOWN]))


def _first(ask: Ask, end: datetime) -> datetime:
    first = ask("SELECT min(window_start) AS first FROM windows")[0]["first"]
    return first if isinstance(first, datetime) else end


def _number(rows: Sequence[dict[str, object]]) -> int:
    return int(str(rows[0]["n"]))


SEGMENTS = "FROM segments WHERE segment_end_time >= ? AND segment_end_time < ?"
STORED = f"{SEGMENTS} AND transcript_state = 'stored'"
KEY = "sub_account_id, dialog_id, segment_id"
SPOKEN = "FROM utterances WHERE spoken_at >= ? AND spoken_at < ?"
JOBS = "FROM jobs WHERE state = 'done' AND finished_at >= ? AND finished_at < ?"
RUNS = "FROM runs WHERE started_at >= ? AND started_at < greatest(?, now()) AND state <> 'running'"

# name, SQL that counts what is looked at, SQL that gives what is wrong; both over [start, end).
CHECKS = (
    (
        "every flagged segment is in a state of its own",
        f"SELECT count(*) AS n {SEGMENTS} AND has_transcript",
        f"""SELECT {KEY}, transcript_state {SEGMENTS} AND has_transcript AND (transcript_state IS NULL
            OR transcript_state NOT IN ('pending', 'stored', 'empty', 'rejected', 'expired')) ORDER BY ALL""",
    ),
    (
        "every pending transcript has a time at which it is asked for again",
        f"SELECT count(*) AS n {SEGMENTS} AND transcript_state = 'pending'",
        f"SELECT {KEY} {SEGMENTS} AND transcript_state = 'pending' AND next_attempt_at IS NULL ORDER BY ALL",
    ),
    (
        "every stored transcript has its utterances, each once",
        f"SELECT count(*) AS n {STORED}",
        f"""SELECT {KEY}, s.utterance_count AS said, coalesce(u.n, 0) AS stored, coalesce(u.places, 0) AS places
            FROM (SELECT {KEY}, transcript_day AS segment_day, utterance_count {STORED}) AS s
            LEFT JOIN (SELECT {KEY}, segment_day, count(*) AS n, count(DISTINCT seq) AS places
                FROM utterances WHERE source = 'ringcx' GROUP BY ALL) AS u
            USING ({KEY}, segment_day)
            WHERE s.utterance_count IS DISTINCT FROM coalesce(u.n, 0) OR u.n <> u.places ORDER BY ALL""",
    ),
    (
        "every utterance belongs to a stored transcript",
        f"SELECT count(*) AS n {SPOKEN} AND source = 'ringcx'",
        f"""SELECT DISTINCT {KEY} FROM (SELECT * {SPOKEN} AND source = 'ringcx') AS u
            ANTI JOIN (SELECT *, transcript_day AS segment_day FROM segments WHERE transcript_state = 'stored') AS s
            USING ({KEY}, segment_day) ORDER BY ALL""",
    ),
    (
        "every segment that was put through speech to text has its utterances, each once",
        f"SELECT count(*) AS n {JOBS}",
        f"""SELECT {KEY}, source, j.utterance_count AS said, coalesce(u.n, 0) AS stored, coalesce(u.places, 0) AS places
            FROM (SELECT {KEY}, source, segment_day, coalesce(utterance_count, 0) AS utterance_count {JOBS}) AS j
            LEFT JOIN (SELECT {KEY}, source, segment_day, count(*) AS n, count(DISTINCT seq) AS places
                FROM utterances WHERE source <> 'ringcx' GROUP BY ALL) AS u
            USING ({KEY}, source, segment_day)
            WHERE j.utterance_count <> coalesce(u.n, 0) OR u.n <> u.places ORDER BY ALL""",
    ),
    (
        "every utterance of speech to text belongs to a job that is done",
        f"SELECT count(*) AS n {SPOKEN} AND source <> 'ringcx'",
        f"""SELECT DISTINCT {KEY}, source FROM (SELECT * {SPOKEN} AND source IS DISTINCT FROM 'ringcx') AS u
            ANTI JOIN (FROM jobs WHERE state = 'done') AS j USING ({KEY}, source, segment_day) ORDER BY ALL""",
    ),
    (
        "every segment is one row",
        f"SELECT count(*) AS n {SEGMENTS}",
        f"SELECT {KEY}, count(*) AS rows {SEGMENTS} GROUP BY {KEY} HAVING count(*) > 1 ORDER BY ALL",
    ),
    (
        "what was given up or could not be understood is in quarantine",
        f"SELECT count(*) AS n {SEGMENTS} AND (transcript_state = 'rejected' OR quarantined_count > 0)",
        f"""SELECT {KEY}, transcript_state, quarantined_count
            FROM (SELECT * {SEGMENTS} AND (transcript_state = 'rejected' OR quarantined_count > 0)) AS s
            ANTI JOIN quarantine AS q USING ({KEY}) ORDER BY ALL""",
    ),
    (
        "every run read what it loaded, skipped and quarantined",
        f"SELECT count(*) AS n {RUNS}",
        f"""SELECT run_id, kind, started_at {RUNS} AND (
            segments_read <> segments_loaded + segments_skipped + segments_quarantined
            OR utterances_read <> utterances_loaded + utterances_skipped + utterances_quarantined) ORDER BY ALL""",
    ),
)
