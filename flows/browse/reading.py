"""What the pages show, read from the lake."""
# ruff: noqa: S608 - put together from values that are quoted here

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from flows.search.searching import Filters, Found, Key, Reader, Turn, dialogs_of, scope_sql, turns_of
from flows.search.terms import Term
from sinks.lake import Lake
from sinks.schema import literal

NEAR = (timedelta(days=2), timedelta(days=31), None)  # how far back a page of the list is looked for, one after another


@dataclass(frozen=True, slots=True)
class Listing:
    """A page of the list: conversations, the newest first, how each began, and whether more follow."""

    found: list[Found]
    has_more: bool


@dataclass(frozen=True, slots=True)
class Conversation:
    """One conversation: its row of `dialogs`, its segments in order, its turns."""

    dialog: Mapping[str, Any]
    segments: list[dict[str, Any]]
    turns: list[Turn]


@dataclass(frozen=True, slots=True)
class Choices:
    """What one can filter by: the values that the lake holds, the commonest first."""

    channels: list[str]
    directions: list[str]
    agents: list[str]
    sub_accounts: list[str]
    dispositions: list[str]


def listing(lake: Lake, filters: Filters, place: tuple[datetime, str, str] | None, size: int) -> Listing:
    """The conversations after `place`, the newest first. Reads no more months of segments than it takes."""
    with lake.read() as con:
        row = con.execute("SELECT max(segment_end_time) FROM segments").fetchone()
        newest = min(filter(None, [row and row[0], filters.until, place and place[0]]), default=None)
        if row is None or row[0] is None or newest is None:
            return Listing([], False)
        rows: list[tuple[Any, ...]] = []
        bound = None
        for span in NEAR:
            bound = max(filter(None, [newest - span if span else None, filters.since]), default=None)
            rows = con.execute(_page_sql(filters, place, bound, size + 1)).fetchall()
            if len(rows) > size or bound is None or bound == filters.since:
                break
        keys = [(row[0], row[1]) for row in rows[:size]]
        dialogs, begun = dialogs_of(con, keys), _openings(con, keys)
        found = [Found(dialogs[key], 0.0, begun.get(key, [])) for key in keys if key in dialogs]
        if bound:  # where RingCX names no beginning, a later segment may look like one
            found = [one for one in found if one.dialog["started_at"] >= bound]
        return Listing(found, len(rows) > size)


def conversation(lake: Lake, key: Key, wanted: Sequence[Term] = ()) -> Conversation | None:
    """All of one conversation; None where there is none of this name."""
    account, dialog = (literal(name) for name in key)
    with lake.read() as con:
        segments = con.execute(SEGMENTS_SQL.format(account=account, dialog=dialog)).to_arrow_table().to_pylist()
        if not segments:
            return None
        return Conversation(dialogs_of(con, [key])[key], segments, turns_of(con, [key], wanted)[key])


def choices(lake: Lake) -> Choices:
    """What the filters offer. Looks at every segment's metadata, so the caller keeps it for a while."""
    columns = {
        "channels": ["channel_class", "channel_type"],
        "directions": ["dialog_origination"],
        "agents": ["if(segment_type = 'AGENT', segment_participant_id, NULL)"],
        "sub_accounts": ["sub_account_id"],
        "dispositions": ["agent_disposition", "system_disposition"],
    }
    with lake.read() as con:
        return Choices(**{name: _values(con, expressions) for name, expressions in columns.items()})


def _values(con: Reader, expressions: Sequence[str]) -> list[str]:
    counted = " UNION ALL ".join(
        f"SELECT {expression} AS value, count(*) AS times FROM segments GROUP BY value" for expression in expressions
    )
    rows = con.execute(
        f"SELECT value FROM ({counted}) WHERE value <> '' GROUP BY value ORDER BY max(times) DESC, value LIMIT 500"
    )
    return [str(row[0]) for row in rows.fetchall()]


def _page_sql(filters: Filters, place: tuple[datetime, str, str] | None, bound: datetime | None, limit: int) -> str:
    """SQL for keys of conversations that began at `bound` or later, before `place`, the newest first."""
    after = ""
    if place:
        moment, account, dialog = place
        row = f"(TIMESTAMPTZ {literal(moment.isoformat())}, {literal(account)}, {literal(dialog)})"
        after = f"WHERE (started_at, sub_account_id, dialog_id) < {row}"
    return f"""
        SELECT sub_account_id, dialog_id, started_at
        FROM ({scope_sql(filters, began_from=bound)}) {after}
        ORDER BY started_at DESC, sub_account_id DESC, dialog_id DESC LIMIT {limit}
    """


def _openings(con: Reader, keys: Sequence[Key]) -> dict[Key, list[Turn]]:
    """The first turns of conversations."""
    listed = ", ".join(literal(dialog) for _, dialog in keys) or "NULL"
    begun: dict[Key, list[Turn]] = {}
    for account, dialog, number, speaker, name, message in con.execute(OPENINGS_SQL.format(dialogs=listed)).fetchall():
        turn = Turn(number, 0.0, None, speaker, name, None, "", None, [(message or "", False)])
        begun.setdefault((account, dialog), []).append(turn)
    return begun


OPENINGS_SQL = """
    SELECT sub_account_id, dialog_id, row_number() OVER told AS turn, speaker,
        coalesce(participant_name, participant_id), left(message, 300)
    FROM spoken
    WHERE dialog_id IN ({dialogs})
    WINDOW told AS (
        PARTITION BY sub_account_id, dialog_id ORDER BY spoken_at, segment_start_time, segment_id, seq
    )
    QUALIFY turn <= 2
    ORDER BY sub_account_id, dialog_id, turn
"""
SEGMENTS_SQL = """
    SELECT s.segment_id, s.segment_type, s.segment_participant_id, s.segment_agent_group_id, s.segment_start_time,
        s.segment_end_time, s.segment_duration_ms, s.agent_disposition, s.system_disposition, s.agent_notes,
        s.has_recording, s.transcript_state, t.utterance_count
    FROM segments AS s JOIN segment_transcripts AS t USING (sub_account_id, dialog_id, segment_id)
    WHERE sub_account_id = {account} AND dialog_id = {dialog}
    ORDER BY coalesce(s.segment_start_time, s.segment_end_time), s.segment_id
"""
