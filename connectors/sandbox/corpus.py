"""A contact centre that has exactly the conversations of a corpus file, laid on a timeline.

A *corpus* is a gzipped file with one conversation per line (SOURCES.md beside it): `conversation_id`, `channel` and
`turns` of `role`, `offset_ms` (from the first turn, or null) and `text`. Each conversation becomes one dialog with one
AGENT segment.

The ids are trivially inverted: dialogId is the conversation_id itself, nothing added, and segmentId is the
conversation_id followed by `-1`.
"""

import gzip
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

import msgspec

from connectors.sandbox.fixed import DEFAULT_SUB_ACCOUNT, FixedAccount
from connectors.sandbox.model import Phrase, Segment, SubAccount

PARTICIPANT_TYPES = {"agent": "agent", "customer": "contact", "other": "bot"}
AGENTS = 40  # that share the conversations
METADATA_DELAY_MS = 60_000
TRANSCRIPT_DELAY_MS = 240_000


class Turn(msgspec.Struct, frozen=True, gc=False):
    """One line of a conversation as the corpus has it."""

    role: Literal["agent", "customer", "other"]
    offset_ms: int | None
    text: str


class Conversation(msgspec.Struct, frozen=True):
    """One line of the corpus file; fields that are not needed here are skipped."""

    conversation_id: str
    channel: Literal["VOICE", "DIGITAL"]
    turns: tuple[Turn, ...]


def load(
    path: Path, start: float, end: float, *, sub_accounts: Sequence[SubAccount] = (DEFAULT_SUB_ACCOUNT,)
) -> FixedAccount:
    """The conversations of a corpus as an account: their ends, in file order, evenly spread over `[start, end)`.

    `start` and `end` are epoch seconds.

    Messages are byte for byte those of the file. A conversation belongs to the sub-account that its id (its CRC-32)
    picks. Metadata appear a minute after the end, the transcript four minutes after it. Raises OSError or
    msgspec.DecodeError.
    """
    conversations = list(read(path))
    start_ms, span_ms = round(start * 1000), round((end - start) * 1000)
    ends = ((2 * index + 1) * span_ms // (2 * len(conversations)) + start_ms for index in range(len(conversations)))
    return FixedAccount(
        (_segment(talk, end_ms, sub_accounts) for talk, end_ms in zip(conversations, ends, strict=True)), sub_accounts
    )


def read(path: Path) -> Iterator[Conversation]:
    """The conversations of a corpus file, in order; one without turns is left out, for it has no end."""
    decoder = msgspec.json.Decoder(Conversation)
    with gzip.open(path, "rb") as lines:
        yield from (talk for talk in map(decoder.decode, lines) if talk.turns)


def offsets(turns: Sequence[Turn]) -> list[int]:
    """The milliseconds from the first turn to each turn; made up from the texts' lengths where the corpus has none.

    Made-up times increase strictly: a turn starts when the one before has been said, at about 15 characters a second.
    """
    result: list[int] = []
    for position, turn in enumerate(turns):
        if turn.offset_ms is not None:
            result.append(turn.offset_ms)
        else:
            result.append(result[-1] + 1_500 + 65 * len(turns[position - 1].text) if result else 0)
    return result


def _segment(talk: Conversation, end_ms: int, sub_accounts: Sequence[SubAccount]) -> Segment:
    number = zlib.crc32(talk.conversation_id.encode())
    times = offsets(talk.turns)
    start_ms = end_ms - times[-1]
    agent_id = f"{449_000 + number % AGENTS}"
    ids = {"agent": agent_id, "customer": f"{talk.conversation_id}-contact", "other": f"{talk.conversation_id}-bot"}
    is_voice = talk.channel == "VOICE"
    return Segment(
        sub_account_id=sub_accounts[number % len(sub_accounts)].sub_account_id,
        dialog_id=talk.conversation_id,
        segment_id=f"{talk.conversation_id}-1",
        interaction_id=f"i-{talk.conversation_id}",
        dialog_start_ms=start_ms,
        dialog_end_ms=end_ms,
        start_ms=start_ms,
        end_ms=end_ms,
        visible_ms=end_ms + METADATA_DELAY_MS,
        flag_ms=end_ms + METADATA_DELAY_MS,
        ready_ms=end_ms + TRANSCRIPT_DELAY_MS,
        channel_type="VOICE" if is_voice else "ENGAGE_MESSAGING",
        channel_class=talk.channel,
        participant_id=agent_id,
        rc_extension_id=f"{985_901_000 + number % AGENTS}",
        agent_group_id="76873",
        system_disposition="ANSWER" if is_voice else None,
        agent_disposition="Success",
        agent_notes="",
        has_recording=is_voice,
        phrases=tuple(
            Phrase(
                participant_id=ids[turn.role],
                participant_type=PARTICIPANT_TYPES[turn.role],
                participant_name=None,
                rc_user_id=None,
                timestamp=str(start_ms + at),
                message=turn.text,
            )
            for turn, at in zip(talk.turns, times, strict=True)
        ),
    )
