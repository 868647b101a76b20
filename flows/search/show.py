"""What a search found, as people and programs read it."""

import sys
from typing import Literal, TypeAlias

import msgspec
import pyarrow as pa
from rich.console import Console
from rich.text import Text

from flows.search.searching import Found, Page, Turn
from flows.show import FILE_WIDTH, harmless, rows

Form: TypeAlias = Literal["table", "json", "csv"]
LONGEST = 400  # signs of one message on a terminal


def page(found: Page, form: Form) -> None:
    """Conversations with the turns that show why (table), an object each (json), or a row per turn (csv)."""
    if form == "table":
        console = Console(highlight=False) if sys.stdout.isatty() else Console(width=FILE_WIDTH, highlight=False)
        shown = f", the first {len(found.found)} of them" if len(found.found) < found.total else ""
        console.print(f"{found.total:,} conversation{'' if found.total == 1 else 's'}{shown}")
        for one in found.found:
            _conversation(console, one)
    elif form == "json":
        objects = [plain(one) for one in found.found]
        print(msgspec.json.format(msgspec.json.encode({"total": found.total, "found": objects}, enc_hook=str)).decode())
    else:
        rows(pa.Table.from_pylist(turn_rows(found.found), TURN_ROWS), "csv", None)


def plain(one: Found) -> dict[str, object]:
    """One conversation for programs: its row of `dialogs`, its score, the turns shown."""
    return {**one.dialog, "score": round(one.score, 4), "turns": [_plain_turn(turn) for turn in one.turns]}


def turn_rows(found: list[Found]) -> list[dict[str, object]]:
    """One row per turn shown."""
    keys = ("sub_account_id", "dialog_id", "started_at")
    return [
        {**{key: one.dialog[key] for key in keys}, "score": one.score, **_plain_turn(turn)}
        for one in found
        for turn in one.turns
    ]


TURN_COLUMNS: list[tuple[str, pa.DataType]] = [
    ("sub_account_id", pa.string()),
    ("dialog_id", pa.string()),
    ("started_at", pa.timestamp("us", tz="UTC")),
    ("score", pa.float64()),
    ("turn", pa.int64()),
    ("is_hit", pa.bool_()),
    ("spoken_at", pa.timestamp("us", tz="UTC")),
    ("speaker", pa.string()),
    ("name", pa.string()),
    ("message", pa.string()),
]
TURN_ROWS = pa.schema(TURN_COLUMNS)


def _plain_turn(turn: Turn) -> dict[str, object]:
    return {
        "turn": turn.turn,
        "is_hit": turn.is_hit,
        "spoken_at": turn.spoken_at,
        "speaker": turn.speaker,
        "name": turn.name,
        "message": turn.message,
    }


def _conversation(console: Console, one: Found) -> None:
    dialog = one.dialog
    facts = f"{dialog['started_at']:%Y-%m-%d %H:%M}  {dialog['channel_type']} {dialog['direction']}"
    said = f"  {dialog['contact'] or ''}  {', '.join(dialog['agents'])}"
    console.print()
    console.print(Text.assemble((harmless(dialog["dialog_id"]), "bold"), "  ", harmless(facts + said)))
    before = None
    for turn in one.turns:
        if before is not None and turn.turn > before + 1:
            console.print(Text("  ...", style="dim"))
        before = turn.turn
        who = harmless(turn.name or turn.speaker or "?")[:24]
        console.print(Text.assemble(f"  {turn.turn:>4}  ", (f"{who:>24}", "dim"), "  ", *_marked(turn)))


def _marked(turn: Turn) -> list[tuple[str, str]]:
    """The message on one line, what was searched for in bold; cut where it is long, not before its first find."""
    pieces: list[tuple[str, str]] = []
    room = LONGEST
    for number, (text, is_hit) in enumerate(turn.pieces):
        line = " ".join(harmless(text).split("\n"))
        if number == 0 and not is_hit and turn.is_hit and len(line) > LONGEST // 2:
            line = "... " + line[-LONGEST // 2 :]
        pieces.append((line[:room], "bold yellow" if is_hit else ""))
        room -= len(line)
        if room <= 0:
            return [*pieces, (" ...", "dim")]
    return pieces
