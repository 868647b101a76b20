"""A generated contact centre with a live tail: the same seed gives the same dialogs, for any day, past or future.

Dialogs are made per *bucket*: a quarter of an hour of one sub-account, in which they end. A bucket is generated when
somebody asks for it, so a sandbox that runs for days costs nothing for the days that nobody polls. The first eight
hexadecimal digits of a dialog id are the beginning of its bucket, in epoch seconds (as in the platform's own ids), so
that a dialog can be found again without an index.
"""

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import pairwise
from random import Random
from typing import NamedTuple

from connectors.sandbox.model import Key, Phrase, Segment, SubAccount
from connectors.sandbox.words import FIRST, LAST, conversation

BUCKET_MS = 900_000
LONGEST_TAIL_MS = 540_000  # the last leg of a dialog ends at most this much later than any other leg
DEFAULT_SUB_ACCOUNTS = (SubAccount("99999999", "Main contact centre"), SubAccount("99999998", "After-sales"))
LONGEST_DIALOG_BUCKETS = 4  # a dialog ends at most so many buckets after its first leg began
START_OF_ID = re.compile(r"(?:p-v|d)-[0-9a-f]+-(\d+)-")
BUCKET_OF_ID = re.compile(r"(?:s-v|d)-([0-9a-f]{8})")
ODD_ENDINGS = ("/a b", "?x=1&y=2", "#1", "/../x", "'\"", "%2F", "+é中", "\\;:@", "/", "..")


class Plan(NamedTuple):
    """What is known of a dialog before its legs are written."""

    sub_account_id: str
    dialog_id: str
    interaction_id: str
    channel_type: str
    is_outbound: bool
    end_ms: int
    contact: str
    line: str


def generate_account(
    seed: int = 7,
    start: float = 0,
    end: float | None = None,
    *,
    sub_accounts: Sequence[SubAccount] = DEFAULT_SUB_ACCOUNTS,
    dialogs_per_hour: float = 60,
    odd_id_share: float = 0,
) -> "GeneratedAccount":
    """An account whose dialogs end in `[start, end)` (epoch seconds; no end: a live tail), evenly spread.

    `dialogs_per_hour` is the rate of each sub-account.

    `odd_id_share` of the dialogs have ids with slashes, quotes, `?`, `#`, `..` and the like, which must be
    percent-encoded.
    """
    return GeneratedAccount(seed, start, end, tuple(sub_accounts), dialogs_per_hour, odd_id_share)


class GeneratedAccount:
    """See `generate_account`."""

    def __init__(
        self,
        seed: int,
        start: float,
        end: float | None,
        sub_accounts: tuple[SubAccount, ...],
        dialogs_per_hour: float,
        odd_id_share: float,
    ) -> None:
        self.sub_accounts = sub_accounts
        self._seed = seed
        self._start_ms = round(start * 1000)
        self._end_ms = None if end is None else round(end * 1000)
        self._per_bucket = dialogs_per_hour * BUCKET_MS / 3_600_000
        self._odd_id_share = odd_id_share
        self._bucket = lru_cache(maxsize=4096)(self._make_bucket)

    def segments(self, sub_account_id: str, start_ms: int, end_ms: int) -> Iterator[Segment]:
        """Segments that end in `[start_ms, end_ms)`, by end; see `AccountSource`."""
        found = [
            segment
            for index in self._buckets(start_ms, end_ms + LONGEST_TAIL_MS)
            for segment in self._bucket(sub_account_id, index).values()
            if start_ms <= segment.end_ms < end_ms
        ]
        yield from sorted(found, key=lambda segment: segment.end_ms)

    def find(self, key: Key) -> Segment | None:
        """The one segment with this identity."""
        bucket = BUCKET_OF_ID.match(key.dialog_id)
        if bucket is None or not any(sub.sub_account_id == key.sub_account_id for sub in self.sub_accounts):
            return None
        index, rest = divmod(int(bucket[1], 16) * 1000, BUCKET_MS)
        if rest or index not in self._buckets(self._start_ms, (index + 1) * BUCKET_MS):
            return None
        return self._bucket(key.sub_account_id, index).get(key)

    def everything(self, sub_account_id: str, until_ms: int) -> Iterator[Segment]:
        """All segments that end before `until_ms`; in order within a bucket."""
        for index in self._buckets(self._start_ms, until_ms + LONGEST_TAIL_MS):
            found = (s for s in self._bucket(sub_account_id, index).values() if s.end_ms < until_ms)
            yield from sorted(found, key=lambda segment: segment.end_ms)

    def with_segment_id(self, sub_account_id: str, segment_id: str) -> Iterator[Segment]:
        """The segments with this id, of whatever dialogs: searched for around the beginning that the id shows."""
        began = START_OF_ID.match(segment_id)
        if began is None:
            return
        first = int(began[1]) // BUCKET_MS
        until_ms = (first + LONGEST_DIALOG_BUCKETS + 1) * BUCKET_MS
        for index in self._buckets(first * BUCKET_MS, until_ms):
            found = self._bucket(sub_account_id, index).values()
            yield from (segment for segment in found if segment.segment_id == segment_id)

    def _buckets(self, start_ms: int, end_ms: int) -> range:
        stop_ms = end_ms if self._end_ms is None else min(end_ms, self._end_ms)
        return range(max(start_ms, self._start_ms) // BUCKET_MS, -(-stop_ms // BUCKET_MS))

    def _make_bucket(self, sub_account_id: str, index: int) -> dict[Key, Segment]:
        rng = Random(f"{self._seed}:{sub_account_id}:{index}")  # noqa: S311 - made-up conversations need no secrecy
        made: dict[Key, Segment] = {}
        previous: str | None = None
        for number in range(int((index + 1) * self._per_bucket) - int(index * self._per_bucket)):
            plan = _plan(rng, sub_account_id, index, number, self._odd_id_share)
            legs = _dialog(rng, plan, previous if rng.random() < 0.03 else None)
            if plan.end_ms >= self._start_ms and (self._end_ms is None or plan.end_ms < self._end_ms):
                made.update((segment.key, segment) for segment in legs)
            previous = legs[-1].segment_id
        return made


def _plan(rng: Random, sub_account_id: str, index: int, number: int, odd_id_share: float) -> Plan:
    channel = rng.choices(("VOICE", "EMAIL", "MESSENGER", "ENGAGE_MESSAGING"), (60, 10, 15, 15))[0]
    end_ms = index * BUCKET_MS + rng.randrange(BUCKET_MS)
    bucket = f"{index * BUCKET_MS // 1000:08x}"
    digits = 24 if channel == "VOICE" else 16
    dialog_id = f"{'s-v' if channel == 'VOICE' else 'd'}-{bucket}{rng.getrandbits(digits * 4):0{digits}x}-{end_ms}"
    if rng.random() < odd_id_share:
        dialog_id += rng.choice(ODD_ENDINGS)
    return Plan(
        sub_account_id=sub_account_id,
        dialog_id=dialog_id,
        interaction_id=f"{index * BUCKET_MS // 1000}{sub_account_id}{number:06d}",
        channel_type=channel,
        is_outbound=rng.random() < (0.25 if channel == "VOICE" else 0.05),
        end_ms=end_ms,
        contact=f"+1650{rng.randrange(2_000_000, 9_999_999)}",
        line=f"+1650555{rng.randrange(1000, 1010)}",
    )


class Leg(NamedTuple):
    """One segment before it has its place in time: gaps are the milliseconds before each turn."""

    kind: str
    turns: list[tuple[str, str]]
    gaps: list[int]
    agent: int
    disposition: str | None


def _dialog(rng: Random, plan: Plan, repeated_id: str | None) -> list[Segment]:
    legs = _legs(rng, plan)
    marks = [plan.end_ms]
    later_ms = sum(sum(leg.gaps) for leg in legs[1:])
    scale = min(1.0, LONGEST_TAIL_MS / later_ms) if later_ms else 1.0
    for position, leg in reversed(list(enumerate(legs))):
        marks.append(marks[-1] - max(1, int(sum(leg.gaps) * (scale if position else 1))))
    marks.reverse()
    visible_ms = plan.end_ms + rng.randrange(30_000, 240_000)
    segments = []
    for position, (leg, (start_ms, end_ms)) in enumerate(zip(legs, pairwise(marks), strict=True)):
        segment_id = repeated_id if repeated_id and position == len(legs) - 1 else _segment_id(rng, plan, start_ms)
        segments.append(_segment(rng, plan, leg, segment_id, (marks[0], start_ms, end_ms, visible_ms)))
    return segments


def _legs(rng: Random, plan: Plan) -> list[Leg]:
    legs = []
    is_voice = plan.channel_type == "VOICE"
    if not plan.is_outbound and rng.random() < 0.35:
        legs.append(Leg("IVR" if is_voice else "BOT", [], [rng.randrange(8_000, 60_000)], 0, None))
    if is_voice and rng.random() < 0.07:
        gave_up = rng.choice(("BUSY", "MACHINE")) if plan.is_outbound else "ABANDON"
        return [*legs, Leg("AGENT", [], [rng.randrange(3_000, 90_000)], rng.randrange(24), gave_up)]
    count = rng.choices((1, 2, 3), (88, 10, 2))[0]
    for leg in range(count):
        agent = rng.randrange(24)
        turns = conversation(
            rng, _agent_name(agent), is_digital=not is_voice, is_outbound=plan.is_outbound, leg=leg, legs=count
        )
        pause_ms = 800 if is_voice else rng.choice((8_000, 20_000, 60_000))
        gaps = [900 + 55 * len(text) + rng.randrange(pause_ms) for _, text in turns]
        legs.append(Leg("AGENT", turns, [*gaps, 1_500], agent, "ANSWER" if is_voice else None))
    return legs


def _segment_id(rng: Random, plan: Plan, start_ms: int) -> str:
    if plan.channel_type == "VOICE":
        return f"p-v-{rng.getrandbits(128):032x}-{start_ms}-{rng.getrandbits(52):013x}"
    return f"d-{rng.getrandbits(96):024x}-{start_ms}-{rng.getrandbits(52):013x}"


def _segment(rng: Random, plan: Plan, leg: Leg, segment_id: str, times: tuple[int, int, int, int]) -> Segment:
    dialog_start_ms, start_ms, end_ms, visible_ms = times
    is_voice = plan.channel_type == "VOICE"
    has_transcript = bool(leg.turns) and rng.random() >= 0.05  # a few queues do not have AI summaries switched on
    is_empty = rng.random() < 0.01
    is_recorded = is_voice and bool(leg.turns)
    participant_id = f"{400_000 + leg.agent * 37}"
    return Segment(
        sub_account_id=plan.sub_account_id,
        dialog_id=plan.dialog_id,
        segment_id=segment_id,
        interaction_id=plan.interaction_id,
        dialog_start_ms=dialog_start_ms,
        dialog_end_ms=plan.end_ms,
        start_ms=start_ms,
        end_ms=end_ms,
        visible_ms=visible_ms,
        flag_ms=visible_ms if has_transcript else None,
        ready_ms=end_ms + rng.randrange(120_000, 300_000) if has_transcript else None,
        phrases=_phrases(rng, plan, leg, participant_id, start_ms, end_ms) if has_transcript and not is_empty else (),
        channel_id=plan.contact if is_voice else f"{4_000_000 + len(plan.channel_type)}ca39f",
        channel_type=plan.channel_type,
        channel_class="VOICE" if is_voice else "DIGITAL",
        channel_endpoint_address=plan.line,
        contact_endpoint_address=plan.contact,
        dialog_origination="OUTBOUND" if plan.is_outbound else "INBOUND",
        segment_type=leg.kind,
        participant_id=participant_id if leg.kind == "AGENT" else None,
        rc_extension_id=f"{985_900_000 + leg.agent}" if leg.kind == "AGENT" else None,
        agent_group_id=f"{76_870 + leg.agent % 4}" if leg.kind == "AGENT" else None,
        system_disposition=leg.disposition,
        agent_disposition=rng.choice(("Success", "Follow-up", "Escalated")) if leg.turns else None,
        agent_notes=rng.choice(("", "call back tomorrow", "customer happy 😊", 'see ticket, "urgent"'))
        if leg.turns
        else None,
        has_recording=is_recorded,
        events=(("REC_START", start_ms), ("REC_STOP", end_ms)) if is_recorded else None,
    )


def _phrases(rng: Random, plan: Plan, leg: Leg, participant_id: str, start_ms: int, end_ms: int) -> tuple[Phrase, ...]:
    is_voice = plan.channel_type == "VOICE"
    is_anonymous = is_voice and rng.random() < 0.6  # as in the specification's voice example
    names = {"agent": _agent_name(leg.agent), "contact": plan.contact if is_voice else "Customer"}
    ids = {"agent": participant_id, "contact": f"{plan.dialog_id[:36]}-contact"}
    scale = (end_ms - start_ms) / sum(leg.gaps)
    at = 0
    phrases = []
    for (role, text), gap in zip(leg.turns, leg.gaps, strict=False):
        at += gap
        phrases.append(
            Phrase(
                participant_id=ids[role],
                rc_user_id=f"{665_127_000 + leg.agent}" if role == "agent" and not is_voice else None,
                participant_name=None if is_anonymous else names[role],
                participant_type=None if is_anonymous else role,
                timestamp=str(start_ms + int(at * scale)),
                message=text,
            )
        )
    return tuple(phrases)


def _agent_name(agent: int) -> str:
    return f"{FIRST[agent % len(FIRST)]} {LAST[agent // 2 % len(LAST)]}"
