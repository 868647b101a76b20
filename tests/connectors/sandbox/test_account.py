"""The generated account: deterministic, found again by id, with a tail that grows with the clock."""

import itertools

import pytest

from connectors.sandbox import Segment, generate_account
from connectors.sandbox.model import Key

DAY = 86_400
START = 1_788_220_800  # 2026-09-01 00:00:00 UTC
SUB = "99999999"


def day(seed: int = 1, dialogs_per_hour: float = 60) -> list[Segment]:
    """The segments of one day of one sub-account."""
    account = generate_account(seed, START, dialogs_per_hour=dialogs_per_hour)
    return list(account.segments(SUB, START * 1000, (START + DAY) * 1000))


def test_the_same_seed_is_the_same_account_and_another_seed_another() -> None:
    """Tests and demos must be repeatable, down to the last phrase."""
    assert day() == day()
    assert {segment.key for segment in day()}.isdisjoint(segment.key for segment in day(2))


def test_the_order_of_the_questions_does_not_matter() -> None:
    """A bucket is generated when it is asked for: it must not depend on what was asked before."""
    account = generate_account(1, START)
    hours = range(START, START + DAY, 3600)
    backwards = [list(account.segments(SUB, hour * 1000, (hour + 3600) * 1000)) for hour in reversed(hours)]
    assert list(itertools.chain.from_iterable(reversed(backwards))) == day()


def test_every_segment_is_found_by_its_ids() -> None:
    """The transcript endpoint has nothing else to go by."""
    account = generate_account(1, START, odd_id_share=0.2)
    segments = list(account.segments(SUB, START * 1000, (START + DAY) * 1000))
    assert all(account.find(segment.key) == segment for segment in segments)


@pytest.mark.parametrize("dialog", ["", "d-", "d-00000000", "s-v-ffffffff-1", "d-zzzzzzzz", "d-66d3d000aa-1", "x"])
def test_ids_that_were_never_given_out_find_nothing(dialog: str) -> None:
    """Whatever a client asks for is a 404, not an error of the sandbox."""
    assert generate_account(1, START).find(Key(SUB, dialog, "s")) is None
    assert generate_account(1, START).find(Key("no such sub-account", dialog, "s")) is None


def test_the_rate_of_dialogs_is_the_one_asked_for() -> None:
    """In each sub-account, so that the load of a test can be computed; a few dialogs straddle midnight."""
    assert len({segment.dialog_id for segment in day(dialogs_per_hour=90)}) == pytest.approx(90 * 24, abs=5)


def test_days_ahead_are_there_before_they_come() -> None:
    """The live tail: the clock alone decides what is visible of it."""
    account = generate_account(1, START)
    assert len(list(account.segments(SUB, (START + 99 * DAY) * 1000, (START + 100 * DAY) * 1000))) > 1000


def test_a_bounded_account_ends_where_it_was_told_to() -> None:
    """For tests that load all of it."""
    account = generate_account(1, START, START + 3600)
    everything = list(account.everything(SUB, (START + DAY) * 1000))
    assert {segment.dialog_end_ms // 1000 // 3600 * 3600 for segment in everything} == {START}
    assert sorted(everything, key=lambda segment: segment.end_ms) == list(
        account.segments(SUB, 0, (START + DAY) * 1000)
    )


def test_the_account_has_every_kind_of_segment() -> None:
    """What a pipeline meets in a real centre: channels, directions, transfers, bots, callers who gave up."""
    segments = day()
    assert {segment.channel_type for segment in segments} == {"VOICE", "EMAIL", "MESSENGER", "ENGAGE_MESSAGING"}
    assert {segment.dialog_origination for segment in segments} == {"INBOUND", "OUTBOUND"}
    assert {segment.segment_type for segment in segments} == {"AGENT", "BOT", "IVR"}
    assert {segment.system_disposition for segment in segments} == {"ANSWER", "ABANDON", "BUSY", "MACHINE", None}
    assert any(segment.flag_ms is not None and not segment.phrases for segment in segments)


def test_some_segment_ids_repeat_under_other_dialogs() -> None:
    """Only dialog and segment together identify anything."""
    segments = day()
    assert (
        len({segment.segment_id for segment in segments}) < len({segment.key for segment in segments}) == len(segments)
    )


def test_times_are_consistent() -> None:
    """Legs lie in their dialog, phrases in their leg and in order, and all of it appears within 15 minutes."""
    for segment in day():
        assert segment.dialog_start_ms <= segment.start_ms < segment.end_ms <= segment.dialog_end_ms
        times = [segment.start_ms, *(int(phrase.timestamp) for phrase in segment.phrases), segment.end_ms]
        assert times == sorted(times)
        assert segment.dialog_end_ms < segment.visible_ms <= segment.end_ms + 900_000


def test_only_conversations_with_an_agent_have_transcripts() -> None:
    """IVR and bot segments, and calls that nobody took, have none."""
    for segment in day():
        if segment.segment_type != "AGENT" or segment.system_disposition in {"ABANDON", "BUSY", "MACHINE"}:
            assert (segment.flag_ms, segment.phrases) == (None, ())


def test_what_is_said_has_no_unfilled_slots_and_both_sides_speak() -> None:
    """The demo shows these texts."""
    talks = [segment.phrases for segment in day() if segment.phrases]
    assert not [phrase for talk in talks for phrase in talk if "{" in phrase.message or "}" in phrase.message]
    assert all(len({phrase.participant_id for phrase in talk}) == 2 for talk in talks)
    assert len({phrase.message for talk in talks for phrase in talk}) > 2000
