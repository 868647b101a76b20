"""Chunks that come in any order, twice or not at all become audio whose time is right."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.receivers.reorder import FARTHEST, SURE, Counts, Reorder

SIZE, WINDOW = 4, 8
SILENT = b"\xff" * SIZE


def audio(seq: int) -> bytes:
    return (seq % 2**32).to_bytes(SIZE, "big")


def heard(seqs: list[int], window: int = WINDOW) -> tuple[list[int | None], Counts]:
    """The numbers whose audio comes out, None for silence, and the counts."""
    out = bytearray()
    order = Reorder(out.extend, lambda size: b"\xff" * size, window)
    for seq in seqs:
        order.add(seq, audio(seq))
    order.finish()
    pieces = [bytes(out[start : start + SIZE]) for start in range(0, len(out), SIZE)]
    return [None if piece == SILENT else int.from_bytes(piece, "big") for piece in pieces], order.counts


@pytest.mark.parametrize("first", [0, 1])
@pytest.mark.parametrize("window", [0, 1, WINDOW])
def test_what_comes_in_order_comes_out_as_it_is(first: int, window: int) -> None:
    """Wherever counting begins, and also where nothing may wait."""
    seqs = list(range(first, first + 30))
    assert heard(seqs, window) == (seqs, Counts(chunks=30))


@given(st.data())
def test_what_comes_late_or_twice_within_the_window_is_put_in_its_place(data: st.DataObject) -> None:
    """Whatever the network does, as long as it does it quickly."""
    seqs = list(range(1, 60))
    order = sorted(seqs, key=lambda seq: seq + data.draw(st.integers(0, WINDOW - 2)))
    doubled = sorted(data.draw(st.sets(st.sampled_from(seqs), max_size=10)))
    for seq in doubled:
        order.insert(order.index(seq) + data.draw(st.integers(1, 3)), seq)
    out, counts = heard(order)
    assert out == seqs
    assert (counts.chunks, counts.doubled) == (59 + len(doubled), len(doubled))
    assert (counts.missing, counts.late) == (0, 0)


@given(st.sets(st.integers(2, 58)))
def test_what_never_comes_is_silence_in_its_place(lost: set[int]) -> None:
    """What is said after a gap is heard at its time, and the gap is counted."""
    seqs = [seq for seq in range(1, 60) if seq not in lost]
    out, counts = heard(seqs)
    assert out == [None if seq in lost else seq for seq in range(1, 60)]
    assert counts.missing == len(lost)


def test_a_lost_beginning_is_silence_too() -> None:
    """RingCX counts from 1: the other channel began then."""
    assert heard([3, 4, 5])[0] == [None, None, 3, 4, 5]


def test_a_stream_that_is_joined_in_its_middle_begins_there() -> None:
    """Nobody wants an hour of silence before a call whose streaming was started late."""
    assert heard([5000, 5001, 5003, 5002]) == ([5000, 5001, 5002, 5003], Counts(chunks=4, reordered=1))


def test_a_chunk_after_its_place_was_written_is_dropped_and_counted() -> None:
    """Its place holds silence by then."""
    seqs = [1, 2, *range(4, 4 + WINDOW), 3, 3, 12, 13]
    out, counts = heard(seqs)
    assert out == [1, 2, None, *range(4, 14)]
    assert (counts.late, counts.doubled, counts.missing) == (1, 1, 1)


def test_one_wild_number_is_left_out_and_makes_no_silence() -> None:
    """It would be a day of it, on the disk."""
    assert heard([1, 2, 4_000_000_000, 3, 4]) == ([1, 2, 3, 4], Counts(chunks=5, late=1))


@pytest.mark.parametrize("begin", [1, 3 * FARTHEST])
def test_a_counting_that_begins_anew_is_followed_and_loses_nothing(begin: int) -> None:
    """A sender that restarts inside a call would else be silent to its end."""
    first = list(range(FARTHEST + 100, FARTHEST + 200))
    second = list(range(begin, begin + 2 * SURE))
    assert heard(first + second)[0] == first + second


@given(st.lists(st.integers(-(2**31), 2**33), max_size=200), st.integers(0, 20))
def test_any_numbers_at_all_take_bounded_room_and_are_all_accounted_for(seqs: list[int], window: int) -> None:
    """Whoever is let in may send anything."""
    written: list[bytes] = []
    order = Reorder(written.append, lambda size: b"", window)
    for seq in seqs:
        order.add(seq, b"x")
        assert len(order._held) <= window + 1
        assert len(order._far) < SURE
    order.finish()
    counts = order.counts
    assert written.count(b"x") + counts.doubled + counts.late == counts.chunks == len(seqs)
