"""Searching: a conversation is found when what was said in it, by whomever, satisfies the expression.

There is no index: a search reads the messages of the days in question, so it sees what was committed a moment ago and
nothing has to be kept up (ARCHITECTURE.md has the figures). Found conversations are ranked as BM25 ranks documents: a
term counts for more the fewer conversations have it, and the more turns of this one have it for its length.
"""
# ruff: noqa: S608 - put together from patterns and values that are quoted here

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any, Literal, Protocol, TypeAlias

from flows.search.terms import Expression, Not, Term, holds, marked, parse, terms
from sinks.lake import Lake
from sinks.schema import literal

Order: TypeAlias = Literal["rank", "newest"]
Key: TypeAlias = tuple[str, str]  # sub-account and dialog
AROUND = 1  # turns shown before and after one that was searched for
K1, B = 1.2, 0.75  # of BM25: how soon more of the same counts less, and how much long conversations are held back
STARTED = "coalesce(dialog_start_time, segment_start_time, segment_end_time)"  # as in the view dialogs


class Reader(Protocol):
    """A connection as `Lake.read` gives it."""

    def execute(self, sql: str, /) -> Any:
        """A statement's result."""


@dataclass(frozen=True, slots=True)
class Filters:
    """Which conversations: by when they began, [since, until), and by what any of their segments says. None: any."""

    since: datetime | None = None
    until: datetime | None = None
    channel: str | None = None
    direction: str | None = None
    agent: str | None = None
    sub_account: str | None = None
    disposition: str | None = None


@dataclass(frozen=True, slots=True)
class Turn:
    """One utterance as a reader sees it; `pieces` are its message, cut: (text, whether it was searched for)."""

    turn: int
    seconds: float
    gap_seconds: float | None
    speaker: str | None
    name: str | None
    spoken_at: datetime | None
    segment_id: str
    agent_id: str | None
    pieces: list[tuple[str, bool]]

    @property
    def message(self) -> str:
        """All of it."""
        return "".join(text for text, _ in self.pieces)

    @property
    def is_hit(self) -> bool:
        """Whether it holds something that was searched for."""
        return any(is_hit for _, is_hit in self.pieces)


@dataclass(frozen=True, slots=True)
class Found:
    """A conversation: its row of the view `dialogs`, how well it fits, and the turns that show why."""

    dialog: Mapping[str, Any]
    score: float
    turns: list[Turn] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Page:
    """Some of what was found, and how much there is in all; `snapshot` is the lake's state that was searched."""

    total: int
    found: list[Found]
    snapshot: int


def search(
    lake: Lake,
    text: str,
    filters: Filters = Filters(),  # noqa: B008 - frozen
    *,
    limit: int = 20,
    offset: int = 0,
    order: Order = "rank",
    snapshot: int | None = None,
) -> Page:
    """The conversations that a search finds, best or newest first. Raises SearchError.

    With `snapshot`, of the lake as it was then, so that the next page continues the last one whatever was loaded
    meanwhile; the newest state where that one is no longer kept.
    """
    expression = parse(text)
    with lake.read() as con:
        version, is_old = state(con, snapshot)
        at = f" AT (VERSION => {version})" if is_old else ""
        days = _days(con, filters, at)
        rows = con.execute(ranking_sql(expression, filters, days, at, limit, offset, order)).fetchall()
        wanted = terms(expression, wanted=True)
        return Page(int(rows[0][0]) if rows else 0, _found(con, rows, wanted), version)


def state(con: Reader, snapshot: int | None) -> tuple[int, bool]:
    """The snapshot to read, and whether it is another than the newest."""
    known = [int(row[0]) for row in con.execute("SELECT snapshot_id FROM ducklake_snapshots('lake')").fetchall()]
    return (snapshot, snapshot != max(known)) if snapshot in known and snapshot is not None else (max(known), False)


def ranking_sql(
    expression: Expression,
    filters: Filters,
    days: tuple[date, date] | None,
    at: str = "",
    limit: int = 20,
    offset: int = 0,
    order: Order = "rank",
) -> str:
    """SQL for one row per conversation found: how many there are in all, its key and its score."""
    asked = terms(expression)
    number = {term: index for index, term in enumerate(asked)}
    flags = ", ".join(f"regexp_matches(message, {literal(term.exact)}) AS is_{n}" for term, n in number.items())
    may_be = " OR ".join(f"regexp_matches(message, {literal(term.quick)})" for term in asked)
    counts = ", ".join(f"count(*) FILTER (is_{n}) AS n_{n}" for n in number.values())
    of_all = ", ".join(f"count(*) FILTER (n_{n} > 0) AS with_{n}" for n in number.values())
    score = " + ".join(_bm25(number[term]) for term in terms(expression, wanted=True)) or "0"
    inside = f"AND segment_day BETWEEN DATE '{days[0]}' AND DATE '{days[1]}'" if days else ""
    join = "LEFT JOIN" if holds(expression, frozenset()) else "JOIN"
    best = "score DESC, " if order == "rank" else ""
    return f"""
        WITH scope AS MATERIALIZED ({scope_sql(filters, at)}),
        said AS (SELECT sub_account_id, dialog_id, {flags} FROM best_utterances{at} WHERE ({may_be}) {inside}),
        counted AS MATERIALIZED (SELECT sub_account_id, dialog_id, {counts} FROM said GROUP BY ALL),
        whole AS (SELECT count(*) AS conversations, greatest(avg(turns), 1) AS mean_turns FROM scope),
        spread AS (SELECT {of_all} FROM scope JOIN counted USING (sub_account_id, dialog_id))
        SELECT count(*) OVER (), sub_account_id, dialog_id, {score} AS score
        FROM scope {join} counted USING (sub_account_id, dialog_id), whole, spread
        WHERE turns > 0 AND {_condition(expression, number)}
        ORDER BY {best}started_at DESC, sub_account_id, dialog_id
        LIMIT {limit} OFFSET {offset}
    """


def scope_sql(filters: Filters, at: str = "", began_from: datetime | None = None) -> str:
    """SQL for one row per conversation that passes the filters: key, beginning, ends of its segments, turns.

    With `began_from`, only of those that began then or later, and by their segments since: older ones are not read.
    """
    having = [
        f"min({STARTED}) >= {_instant(began_from)}" if began_from else "",
        f"min({STARTED}) >= {_instant(filters.since)}" if filters.since else "",
        f"min({STARTED}) < {_instant(filters.until)}" if filters.until else "",
        f"bool_or({literal(filters.channel)} IN (channel_class, channel_type))" if filters.channel else "",
        f"bool_or(dialog_origination = {literal(filters.direction)})" if filters.direction else "",
        f"bool_or(segment_participant_id = {literal(filters.agent)})" if filters.agent else "",
        f"bool_or({literal(filters.disposition)} IN (agent_disposition, system_disposition))"
        if filters.disposition
        else "",
    ]
    where = [
        f"sub_account_id = {literal(filters.sub_account)}" if filters.sub_account else "",
        f"segment_end_time >= {_instant(began_from)}" if began_from else "",
    ]
    only, asked = (" AND ".join(filter(None, conditions)) for conditions in (where, having))
    return f"""
        SELECT sub_account_id, dialog_id, min({STARTED}) AS started_at, min(segment_end_time) AS first_end,
            max(segment_end_time) AS last_end, coalesce(sum(
                CASE WHEN transcript_state = 'stored' THEN segments.utterance_count ELSE heard.utterance_count END
            ), 0)::BIGINT AS turns
        FROM segments{at} LEFT JOIN heard{at} USING (sub_account_id, dialog_id, segment_id)
        {f"WHERE {only}" if only else ""}
        GROUP BY sub_account_id, dialog_id {f"HAVING {asked}" if asked else ""}
    """


def turns_of(con: Reader, keys: Sequence[Key], wanted: Sequence[Term] = ()) -> dict[Key, list[Turn]]:
    """Every turn of these conversations, as the view `turns` counts them."""
    listed = ", ".join(literal(dialog) for _, dialog in keys)
    rows = con.execute(TURNS_SQL.format(dialogs=listed or "NULL")).fetchall()
    told: dict[Key, list[Turn]] = {key: [] for key in keys}
    for account, dialog, number, seconds, gap, speaker, name, spoken_at, segment_id, agent, message in rows:
        if (account, dialog) in told:
            pieces = marked(list(wanted), message or "")
            turn = Turn(number, seconds, gap, speaker, name, spoken_at, segment_id, agent, pieces)
            told[account, dialog].append(turn)
    return told


def dialogs_of(con: Reader, keys: Sequence[Key]) -> dict[Key, dict[str, Any]]:
    """Their rows of the view `dialogs`."""
    listed = ", ".join(literal(dialog) for _, dialog in keys) or "NULL"
    rows = con.execute(f"FROM dialogs WHERE dialog_id IN ({listed})").to_arrow_table().to_pylist()
    return {(row["sub_account_id"], row["dialog_id"]): row for row in rows}


def shown(turns: Sequence[Turn], most: int = 12) -> list[Turn]:
    """Of a conversation's turns those with something that was searched for, and their neighbours; else the first."""
    near = {
        place
        for hit, turn in enumerate(turns)
        if turn.is_hit
        for place in range(hit - AROUND, hit + AROUND + 1)
        if 0 <= place < len(turns)
    }
    return [turns[place] for place in sorted(near)][:most] or list(turns[: AROUND + 1])


TURNS_SQL = """
    SELECT sub_account_id, dialog_id, row_number() OVER told AS turn,
        date_diff('millisecond', min(spoken_at) OVER (PARTITION BY sub_account_id, dialog_id), spoken_at) / 1000,
        date_diff('millisecond', lag(spoken_at) OVER told, spoken_at) / 1000,
        speaker, coalesce(participant_name, participant_id), spoken_at, segment_id, agent_id, message
    FROM spoken
    WHERE dialog_id IN ({dialogs})
    WINDOW told AS (
        PARTITION BY sub_account_id, dialog_id ORDER BY spoken_at, segment_start_time, segment_id, seq
    )
    ORDER BY sub_account_id, dialog_id, turn
"""


def _found(con: Reader, rows: Sequence[tuple[Any, ...]], wanted: Sequence[Term]) -> list[Found]:
    if not rows:
        return []
    keys = [(row[1], row[2]) for row in rows]
    dialogs = dialogs_of(con, keys)
    turns = turns_of(con, keys, wanted)
    return [
        Found(dialogs[key], float(row[3]), shown(turns[key]))
        for key, row in zip(keys, rows, strict=True)
        if key in dialogs
    ]


def _days(con: Reader, filters: Filters, at: str) -> tuple[date, date] | None:
    """Between which days the utterances of these conversations are kept; None: look everywhere."""
    if not (filters.since or filters.until):
        return None
    row = con.execute(f"SELECT min(first_end), max(last_end) FROM ({scope_sql(filters, at)})").fetchone()
    return _margin(*row) if row and row[0] else (date.min, date.min)


def _margin(first: datetime, last: datetime) -> tuple[date, date]:
    """Days on which segments that end in this time may have been stored: the end of one may have moved since."""
    return first.date() - timedelta(days=2), last.date() + timedelta(days=2)


def _condition(expression: Expression, number: Mapping[Term, int]) -> str:
    if isinstance(expression, Term):
        return f"coalesce(n_{number[expression]}, 0) > 0"
    if isinstance(expression, Not):
        return f"NOT ({_condition(expression.part, number)})"
    word = " AND " if expression.is_all else " OR "
    return "(" + word.join(_condition(part, number) for part in expression.parts) + ")"


def _bm25(n: int) -> str:
    rarity = f"ln(1 + (conversations - with_{n} + 0.5) / (with_{n} + 0.5))"
    often = f"coalesce(n_{n}, 0)"
    return f"{rarity} * {often} * {K1 + 1} / ({often} + {K1} * ({1 - B} + {B} * turns / mean_turns))"


def _instant(moment: datetime) -> str:
    return f"TIMESTAMPTZ {literal(moment.isoformat())}"
