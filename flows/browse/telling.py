"""A conversation and its parts as a page tells them: who, when, silences, transfers, harmless text. Pure."""

import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal, TypeAlias

from markupsafe import Markup, escape

from flows.browse.reading import Conversation
from flows.search.searching import Turn

SILENCE_S = {"VOICE": 8.0, "DIGITAL": 180.0}  # from here on a silence is told, by channel class
STEPS = (1, 2, 4, 8, 16)  # a silence of so many times that is drawn so many steps high
LONG = 1500  # signs of a message that are shown at once
TURNS = 1000  # turns on one page
STATES = {
    "absent": "no transcript",
    "pending": "transcript still to come",
    "empty": "transcript is empty",
    "rejected": "RingCX gives no transcript",
    "expired": "transcript was gone before it came",
}
_HARMLESS = frozenset("\u200c\u200d\n\t")  # joiners, which scripts and emoji need
_SHORT = {
    "\u202a": "LRE", "\u202b": "RLE", "\u202c": "PDF", "\u202d": "LRO", "\u202e": "RLO", "\u2066": "LRI",
    "\u2067": "RLI", "\u2068": "FSI", "\u2069": "PDI", "\u200e": "LRM", "\u200f": "RLM", "\u061c": "ALM",
    "\u200b": "ZWSP", "\u2060": "WJ", "\ufeff": "BOM", "\u00ad": "SHY", "\u2028": "LSEP", "\u2029": "PSEP",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Said:
    """A turn; `side` is where it stands, `follows` says that the one before it was of the same speaker."""

    turn: Turn
    side: str
    follows: bool
    kind: Literal["said"] = "said"


@dataclass(frozen=True, slots=True)
class Silence:
    """Time in which nothing was said, and how high to draw it."""

    text: str
    step: int
    kind: Literal["silence"] = "silence"


@dataclass(frozen=True, slots=True)
class Handover:
    """Where another agent takes over."""

    to: str
    kind: Literal["handover"] = "handover"


Item: TypeAlias = Said | Silence | Handover


def told(conversation: Conversation) -> list[Item]:
    """The turns in order, with the silences and transfers between them."""
    names = agent_names(conversation)
    least = SILENCE_S.get(str(conversation.dialog["channel_class"]), SILENCE_S["VOICE"])
    items: list[Item] = []
    seen: set[str] = set()
    agent = before = None
    for turn in conversation.turns:
        if turn.gap_seconds is not None and turn.gap_seconds >= least:
            step = sum(turn.gap_seconds >= least * times for times in STEPS)
            items.append(Silence(f"{span(turn.gap_seconds)} of silence", step))
        if turn.segment_id not in seen:
            seen.add(turn.segment_id)
            if agent and turn.agent_id and turn.agent_id != agent:
                items.append(Handover(names.get(turn.agent_id, turn.agent_id)))
            agent = turn.agent_id or agent
        follows = before == (turn.speaker, turn.name) and bool(items) and items[-1].kind == "said"
        items.append(Said(turn, turn.speaker or "unknown", follows))
        before = (turn.speaker, turn.name)
    return items


def part_of(items: Sequence[Item], part: int) -> tuple[list[Item], int]:
    """The items of one page of a very long conversation, and how many pages there are."""
    parts = max(1, -(-sum(item.kind == "said" for item in items) // TURNS))
    first, last = (part - 1) * TURNS, part * TURNS
    count, chosen = 0, []
    for item in items:
        count += item.kind == "said"
        if first < count + (item.kind != "said") <= last:
            chosen.append(item)
    return chosen, parts


def agent_names(conversation: Conversation) -> dict[str, str]:
    """Agents by id, with the names that they speak under."""
    return {
        turn.agent_id: turn.name
        for turn in conversation.turns
        if turn.speaker == "agent" and turn.agent_id and turn.name
    }


def span(seconds: float) -> str:
    """A length of time as people say it: 12 s, 3 min 20 s, 2 h 5 min, 3 d 4 h."""
    whole = round(seconds)
    for unit, size, smaller in (("d", 86400, ("h", 3600)), ("h", 3600, ("min", 60)), ("min", 60, ("s", 1))):
        if whole >= size:
            rest = whole % size // smaller[1]
            return f"{whole // size} {unit}" + (f" {rest} {smaller[0]}" if rest else "")
    return f"{whole} s"


def length(dialog: dict[str, Any]) -> str:
    """From its beginning to its end, so far as is known."""
    began, ended = dialog["started_at"], dialog["ended_at"]
    return span((ended - began) / timedelta(seconds=1)) if began and ended and ended >= began else ""


def shown(text: object) -> Markup:
    """Text from outside, escaped; signs that one cannot see, or that turn text around, as what they are."""
    out, plain = [], ""
    for sign in "" if text is None else str(text):
        if name := _sign(sign):
            out += [escape(plain), Markup('<span class="sign" title="U+{:04X}">{}</span>').format(ord(sign), name)]
            plain = ""
        else:
            plain += sign
    return Markup("").join([*out, escape(plain)])


def plain(text: object) -> str:
    """The same where there can be no markup: in a title."""
    return "".join(_sign(sign) or sign for sign in str(text))


def pieces(turn: Turn) -> tuple[Markup, Markup, int]:
    """A message with what was searched for marked: what is shown at once, the rest, and how long that is."""
    first: list[Markup] = []
    rest: list[Markup] = []
    room = LONG
    for text, is_hit in turn.pieces:
        for into, part in ((first, text[:room]), (rest, text[room:])):
            if part:
                into.append(Markup("<mark>{}</mark>").format(shown(part)) if is_hit else shown(part))
        room = max(0, room - len(text))
    return Markup("").join(first), Markup("").join(rest), max(0, len(turn.message) - LONG)


def snippet(turn: Turn, room: int = 220) -> Markup:
    """A message in short, around the first thing that was searched for."""
    cut: list[tuple[str, bool]] = []
    for number, (text, is_hit) in enumerate(turn.pieces):
        one_line = " ".join(text.split("\n"))
        if number == 0 and turn.is_hit and not is_hit and len(one_line) > 60:
            one_line = "… " + one_line[-60:].partition(" ")[2]
        if len(one_line) > room:
            cut.append((one_line[:room] + " …", is_hit))
            break
        cut.append((one_line, is_hit))
        room -= len(one_line)
    return Markup("").join(Markup("<mark>{}</mark>").format(shown(t)) if is_hit else shown(t) for t, is_hit in cut)


def facts(conversation: Conversation) -> Iterator[tuple[str, str]]:
    """What one wants to know first, as (what, text)."""
    dialog, names = conversation.dialog, agent_names(conversation)
    agents = [names[agent] if names.get(agent, agent) == agent else f"{names[agent]} ({agent})"
              if agent in names else agent for agent in dialog["agents"]]  # fmt: skip
    yield "Channel", " ".join(filter(None, [dialog["channel_type"], str(dialog["direction"] or "").lower()]))
    yield "Began", f"{dialog['started_at']:%Y-%m-%d %H:%M:%S} UTC" if dialog["started_at"] else ""
    yield "Lasted", length(dict(dialog))
    yield "Company", dialog["company"] or ""
    yield "Agents" if len(agents) > 1 else "Agent", ", ".join(agents)
    yield "Agent's disposition", ", ".join(dialog["agent_dispositions"] or [])
    yield "System's disposition", ", ".join(dialog["system_dispositions"] or [])
    yield (
        "Agents' notes",
        "\n".join(segment["agent_notes"] for segment in conversation.segments if segment["agent_notes"]),
    )
    yield "Sub-account", dialog["sub_account_id"]
    yield "Dialog", dialog["dialog_id"]


def missing(conversation: Conversation) -> list[str]:
    """What is not there to read, and why, per segment that lacks it."""
    states = [str(segment["transcript_state"]) for segment in conversation.segments]
    return [f"{states.count(state)} of {len(states)} segments: {text}" if len(states) > 1 else text
            for state, text in STATES.items() if state in states]  # fmt: skip


def _sign(sign: str) -> str:
    if sign in _SHORT:
        return _SHORT[sign]
    if sign in _HARMLESS or unicodedata.category(sign) not in {"Cc", "Cf", "Co", "Cs"}:
        return ""
    return chr(0x2400 + ord(sign)) if ord(sign) < 32 else "␡" if ord(sign) == 127 else f"U+{ord(sign):04X}"
