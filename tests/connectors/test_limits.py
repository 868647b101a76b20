"""Quotas: never more than allowed, in any window, by any number of openers; silence for all; no trust in the clock."""

from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.errors import StateUnavailable
from connectors.limits import Limit, Quota, Quotas, margin_s, parse_limits
from connectors.sandbox import ManualClock
from tests.virtual_time import NOON

RATES = st.sampled_from(["3/60", "1/1", "5/0.5", "3/60,9/900", "2/1,5/10,8/60"])
STEPS = st.lists(st.tuples(st.integers(0, 1), st.sampled_from([0.0, 0.001, 0.3, 1.0, 7.5, 20.0, 59.9])), max_size=60)


@pytest.fixture
def clock() -> ManualClock:
    """A clock that stands at noon."""
    return ManualClock(NOON)


@pytest.fixture
def pair(tmp_path: Path, clock: ManualClock) -> Iterator[tuple[Quota, Quota]]:
    """Two openers of one group, as in two processes."""
    with ExitStack() as opened:
        openers = [Quota(tmp_path / "group.sqlite", parse_limits("3/60,9/900"), clock) for _ in range(2)]
        yield tuple(opened.enter_context(closing(opener)) for opener in openers)  # type: ignore[misc]


def most_in_a_window(times: list[float], seconds: float) -> int:
    """The largest number of moments in any interval of that length, both its ends included."""
    return max((sum(start <= at <= start + seconds for at in times) for start in times), default=0)


@settings(max_examples=60, deadline=None)
@given(text=RATES, steps=STEPS)
def test_no_window_holds_more_than_its_limit_whoever_asks_and_whenever(
    tmp_path_factory: pytest.TempPathFactory, text: str, steps: list[tuple[int, float]]
) -> None:
    """The platform's answer to one request too many is a penalty for all of them."""
    clock, limits = ManualClock(NOON), parse_limits(text)
    path, times = tmp_path_factory.mktemp("quota") / "group.sqlite", []
    with closing(Quota(path, limits, clock)) as one, closing(Quota(path, limits, clock)) as other:
        for who, seconds in steps:
            clock.advance(seconds)
            if (one, other)[who].take() == 0:
                times.append(clock())
    for limit in limits:
        assert most_in_a_window(times, limit.seconds) <= limit.requests


@settings(max_examples=15, deadline=None)
@given(text=RATES)
def test_who_waits_as_told_gets_the_whole_allowance(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    """Careful and slow is no art: in ten of the longest intervals, nearly ten allowances (less the margin) are sent."""
    clock, limits = ManualClock(NOON), parse_limits(text)
    longest, sent = limits[-1], 0
    with closing(Quota(tmp_path_factory.mktemp("quota") / "group.sqlite", limits, clock)) as quota:
        while clock() < NOON + 10 * longest.seconds:
            wait_s = quota.take()
            sent += wait_s == 0
            clock.advance(wait_s)
    assert sent >= 9 * longest.requests


def test_a_place_is_free_again_an_interval_and_its_margin_later(pair: tuple[Quota, Quota], clock: ManualClock) -> None:
    """The margin is for clocks that run unequally; past it, waiting would be waste."""
    assert [pair[0].take() for _ in range(3)] == [0, 0, 0]
    assert pair[1].take() == pytest.approx(60 + margin_s(60), abs=0.002)


@pytest.mark.parametrize(("seconds", "margin"), [(1, 0.005), (60, 0.3), (900, 4.5)])
def test_the_margin_is_a_small_share(seconds: float, margin: float) -> None:
    """Half a percent of the allowance is what it costs."""
    assert margin_s(seconds) == pytest.approx(margin)


@settings(max_examples=60, deadline=None)
@given(text=RATES, steps=STEPS, data=st.data())
def test_however_late_a_request_arrives_no_window_of_the_platform_holds_too_many(
    tmp_path_factory: pytest.TempPathFactory, text: str, steps: list[tuple[int, float]], data: st.DataObject
) -> None:
    """It arrives somewhere between its grant and its answer, on a busy machine seconds after the one and before the
    other; only the answer tells."""
    clock, limits = ManualClock(NOON), parse_limits(text)
    path, arrivals = tmp_path_factory.mktemp("quota") / "group.sqlite", []
    sent: list[tuple[Quota, int, float]] = []
    with closing(Quota(path, limits, clock)) as one, closing(Quota(path, limits, clock)) as other:
        for who, seconds in steps:
            clock.advance(min(seconds, limits[0].seconds / 2))
            quota = (one, other)[who]
            if quota.take() == 0:
                sent.append((quota, quota.place, clock()))
            while sent and (len(sent) > 2 or clock() - sent[0][2] > limits[0].seconds / 2):
                asked, place, granted = sent.pop(data.draw(st.integers(0, len(sent) - 1)))
                arrivals.append(data.draw(st.sampled_from([granted, clock(), (granted + clock()) / 2])))
                asked.answered(place)
    for limit in limits:
        assert most_in_a_window(arrivals, limit.seconds) <= limit.requests


def test_a_place_counts_from_its_answer(pair: tuple[Quota, Quota], clock: ManualClock) -> None:
    """Three requests that took ten seconds each may all have arrived at the end of them."""
    for _ in range(3):
        assert pair[0].take() == 0
    clock.advance(10)
    pair[0].answered(pair[0].place)
    clock.advance(pair[1].take())
    assert [pair[1].take() for _ in range(2)] == [0, 0]
    assert pair[1].take() == pytest.approx(10, abs=0.002)


def test_a_penalty_silences_every_opener_of_the_group(
    pair: tuple[Quota, Quota], tmp_path: Path, clock: ManualClock
) -> None:
    """Also one that opens the file during the penalty: a request from any process starts the penalty again."""
    pair[0].silence(60)
    with closing(Quota(tmp_path / "group.sqlite", parse_limits("3/60"), clock)) as late:
        assert [quota.take() for quota in (*pair, late)] == [60, 60, 60]
    clock.advance(60)
    assert pair[1].take() == 0


@settings(max_examples=30, deadline=None)
@given(steps=st.lists(st.tuples(st.floats(0, 500), st.floats(0, 50)), max_size=10))
def test_silence_never_gets_shorter(tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[float, float]]) -> None:
    """The answers of concurrent requests come in any order, and the longest Retry-After counts."""
    clock, until = ManualClock(NOON), NOON
    with closing(Quota(tmp_path_factory.mktemp("quota") / "group.sqlite", parse_limits("3/60"), clock)) as quota:
        for seconds, pause in steps:
            quota.silence(seconds)
            until = max(until, clock() + seconds)
            assert quota.silent_for_s() == pytest.approx(max(0, until - clock()), abs=0.002)
            clock.advance(pause)


def test_other_groups_are_not_silenced(tmp_path: Path, clock: ManualClock) -> None:
    """A penalty of one sub-account's metadata is no reason to stop another's, or the transcripts."""
    limits = {"metadata": parse_limits("3/60"), "transcripts": parse_limits("120/60")}
    with closing(Quotas(tmp_path, limits, clock)) as quotas:
        quotas["metadata:1"].silence(60)
        assert [quotas[group].take() for group in ("metadata:1", "metadata:2", "transcripts")] == [60, 0, 0]


def test_a_clock_set_back_costs_at_most_one_interval(pair: tuple[Quota, Quota], clock: ManualClock) -> None:
    """A log in the future would block the group until the clock is there again: a day, or a year."""
    assert [pair[0].take() for _ in range(3)] == [0, 0, 0]
    clock.advance(-86_400)
    wait_s = pair[1].take()
    assert 0 < wait_s < 62
    clock.advance(wait_s)
    assert pair[1].take() == 0


def test_a_clock_set_back_forgets_no_request(pair: tuple[Quota, Quota], clock: ManualClock) -> None:
    """Time servers set clocks back by milliseconds all the time: the platform counted these requests all the same."""
    assert [pair[0].take() for _ in range(3)] == [0, 0, 0]
    clock.advance(-0.005)
    assert pair[1].take() > 59


def test_a_clock_set_back_does_not_prolong_a_silence(pair: tuple[Quota, Quota], clock: ManualClock) -> None:
    """A penalty of a minute is a minute, not a minute and a day."""
    pair[0].silence(60)
    clock.advance(-86_400)
    assert (pair[1].take(), pair[0].silent_for_s()) == (60, 60)
    clock.advance(60)
    assert pair[1].take() == 0


def test_a_clock_set_forward_and_back_again_leaves_the_group_usable(
    pair: tuple[Quota, Quota], clock: ManualClock
) -> None:
    """A laptop that wakes with a wrong clock."""
    clock.advance(86_400)
    assert [pair[0].take() for _ in range(3)] == [0, 0, 0]
    clock.advance(-86_400)
    clock.advance(pair[1].take())
    assert pair[1].take() == 0


def test_what_was_used_is_known_to_every_opener(pair: tuple[Quota, Quota], clock: ManualClock) -> None:
    """Backfills leave room for the schedule, whichever process it runs in."""
    pair[0].take()
    clock.advance(30)
    pair[1].take()
    assert [(quota.used(60), quota.used(10)) for quota in pair] == [(2, 1), (2, 1)]


@pytest.mark.parametrize(
    ("text", "limits"),
    [
        ("120/60", (Limit(120, 60),)),
        ("3/60,9/900", (Limit(3, 60), Limit(9, 900))),
        (" 9/900 , 3 / 60 ", (Limit(3, 60), Limit(9, 900))),
        ("1/0.5", (Limit(1, 0.5),)),
        ("2/1,120/60", (Limit(2, 1), Limit(120, 60))),
    ],
)
def test_limits_are_read(tmp_path: Path, clock: ManualClock, text: str, limits: tuple[Limit, ...]) -> None:
    """Shortest interval first; and what is accepted can be used."""
    assert parse_limits(text) == limits
    with closing(Quota(tmp_path / "group.sqlite", limits, clock)) as quota:
        assert quota.take() == 0


@pytest.mark.parametrize(
    "text",
    [
        "",
        "120",
        "120/",
        "/60",
        "0/60",
        "-1/60",
        "1.5/60",
        "3/0",
        "3/-60",
        "3/nan",
        "3/inf",
        "3/1e9",
        "3/0.0001",
        "²/60",
        "3/60,",
        "3/60,3/900",
        "3/60,9/60",
        "9/60,3/900",
        "3/60;9/900",
        "3/60,9/100",
        "120/60,250/120",
        "9" * 30 + "/60",
    ],
)
def test_limits_that_make_no_sense_are_refused_at_the_start(text: str) -> None:
    """And not when the first request is about to be sent, hours later."""
    with pytest.raises(ValueError, match=r"requests/seconds|longer interval"):
        parse_limits(text)


def test_a_log_that_is_none_is_named_and_may_be_removed(tmp_path: Path, clock: ManualClock) -> None:
    """After a bad disk: nothing in it is worth keeping, but only its owner may say so."""
    path = tmp_path / "group.sqlite"
    path.write_bytes(b"not a database " * 1000)
    with pytest.raises(StateUnavailable, match=f"{path}: file is not a database; remove {path}"):
        Quota(path, parse_limits("3/60"), clock)
    path.unlink()
    with closing(Quota(path, parse_limits("3/60"), clock)) as quota:
        assert quota.take() == 0


def test_a_log_that_cannot_be_made_is_named(tmp_path: Path, clock: ManualClock) -> None:
    """A typing error in a setting; no library's error comes through."""
    (tmp_path / "file").touch()
    with pytest.raises(StateUnavailable, match=f"cannot use {tmp_path}/file.*RINGCX_STATE_PATH"):
        Quota(tmp_path / "file/quotas/group.sqlite", parse_limits("3/60"), clock)
