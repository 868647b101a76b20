"""Scripts of calls: what leaves, in which order, and what is true about it, without any socket."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.sandbox.callers import CallScript, Speaker, Trouble, tracks, truth
from connectors.sandbox.callers.deliveries import deliveries
from connectors.sandbox.callers.script import Transport
from connectors.sandbox.sound import SILENCE, tone

AUDIO = tone("somebody", 3.01)
TRANSPORTS: tuple[Transport, ...] = ("wss", "grpc")


def script(**trouble: Any) -> CallScript:
    """A call of two who speak at once."""
    speakers = (
        Speaker(segment_id="s", kind="AGENT", audio=AUDIO),
        Speaker(segment_id="c", kind="CONTACT", audio=AUDIO[::-1], starts_ms=130),
    )
    return CallScript(dialog_id="d", segment_id="s", speakers=speakers, trouble=Trouble(**trouble))


shares = st.floats(0, 0.33)


@given(
    transport=st.sampled_from(TRANSPORTS),
    seed=st.integers(0, 1000),
    lost=shares,
    late=shares,
    doubled=shares,
    late_by=st.integers(1, 40),
)
def test_every_chunk_leaves_unless_it_is_lost_and_time_never_runs_backwards(
    transport: Transport, seed: int, lost: float, late: float, doubled: float, late_by: int
) -> None:
    """Whatever goes wrong, the truth accounts for each chunk, and both ends of a track arrive in their place."""
    one = script(seed=seed, lost_share=lost, late_share=late, doubled_share=doubled, late_by=late_by)
    sent = list(deliveries(one, transport))
    assert [delivery.at_ms for delivery in sent] == sorted(delivery.at_ms for delivery in sent)
    for index, track in enumerate(tracks(one, transport)):
        own = [delivery for delivery in sent if delivery.track == index]
        numbers = [delivery.number for delivery in own if delivery.kind == "chunk"]
        heard = truth(one, transport)[track.name]
        assert (own[0].kind, own[-1].kind) == ("start", "stop")
        assert set(numbers) | set(heard.lost) == set(range(numbers[-1] + 1))
        assert len(numbers) == heard.chunks + heard.doubled
        assert heard.audio == track.audio
        assert numbers[0] == 0
        assert numbers[-1] == max(numbers)


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_a_call_without_trouble_is_heard_whole(transport: Transport) -> None:
    """Nothing is lost, late or doubled."""
    for track, heard in zip(tracks(script(), transport), truth(script(), transport).values(), strict=True):
        assert (heard.audio, heard.filled) == (track.audio, track.audio)
        assert (heard.lost, heard.late, heard.doubled) == ((), 0, 0)


def test_a_lost_chunk_is_silence_of_its_own_length() -> None:
    """A receiver that fills gaps keeps the time right."""
    heard = truth(script(seed=1, lost_share=0.3), "grpc")["s"]
    at = heard.lost[0] * 800
    assert heard.filled[at : at + 800] == SILENCE * 800
    assert len(heard.filled) == len(heard.audio) == len(AUDIO)


def test_what_was_cut_short_is_true_until_then() -> None:
    """The first 200 ms are ten chunks and the one that was due at that moment."""
    assert truth(script(), "wss", 200)["Participant"].chunks == 11
    assert truth(script(hang_up_at_ms=200), "wss")["Participant"].audio == AUDIO[: 11 * 160]
    assert truth(script(silent=True), "wss") == {}


def test_an_endless_call_has_a_truth_only_until_some_moment() -> None:
    """It begins anew after its last chunk."""
    with pytest.raises(ValueError, match="endless"):
        truth(script(endless=True), "grpc")
    heard = truth(script(endless=True), "grpc", 6_000)["s"]
    assert heard.audio[: len(AUDIO) + 800] == AUDIO + AUDIO[:800]


def test_another_seed_goes_wrong_in_another_way() -> None:
    """And the same in the same."""
    first, second = (truth(script(seed=seed, lost_share=0.2), "wss") for seed in (1, 2))
    assert first == truth(script(seed=1, lost_share=0.2), "wss")
    assert first != second
