"""Calls over real TLS sockets: what is heard, who is refused, and what each bound does to whoever passes it.

The callers are the sandbox's, which share no code with the receivers.
"""

import asyncio
import os
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TypeAlias

import pytest

from connectors.receivers.bounds import Bounds
from connectors.receivers.events import CallEnded, Cause, Info, SegmentStarted, SegmentStopped, Trouble
from connectors.sandbox.callers import CallScript, Outcome, Speaker, dial
from connectors.sandbox.callers import Trouble as Wrong
from tests.connectors.receivers.ear import TOKEN, Post, post

BOTH = pytest.mark.parametrize("transport", ["wss", "grpc"])
Story: TypeAlias = Callable[[Post], Awaitable[None]]


def call(name: str = "1", seconds: float = 0.5, trouble: Mapping[str, int] | None = None) -> CallScript:
    """An agent and a contact, each with a segment of their own."""
    agent, contact = (os.urandom(int(8000 * seconds)) for _ in range(2))
    speakers = (
        Speaker(segment_id=f"agent-{name}", kind="AGENT", audio=agent, holds=((100, 200),)),
        Speaker(segment_id=f"contact-{name}", kind="CONTACT", audio=contact, name="Zoë"),
    )
    wrong = Wrong(**(trouble or {}))  # type: ignore[arg-type]
    return CallScript(dialog_id=f"d/{name}", segment_id=f"agent-{name}", speakers=speakers, trouble=wrong)


def tell(folder: Path, story: Story, bounds: Bounds | None = None) -> None:
    """Run a story at a post with these bounds."""

    async def run() -> None:
        async with asyncio.timeout(20), post(folder, bounds) as here:
            await story(here)

    asyncio.run(run())


async def until(condition: Callable[[], bool]) -> None:
    """Return once it holds: what a receiver is told last comes after its caller is gone."""
    while not condition():
        await asyncio.sleep(0.01)


def endings(here: Post) -> list[str | None]:
    """How each call that began has ended."""
    return [one[-1].cause for one in here.ear.calls if isinstance(one[-1], CallEnded)]


@BOTH
def test_a_call_is_heard_as_it_was_spoken(transport: str, tmp_path: Path) -> None:
    """Every sample, under the right segment and channel, with a beginning and an end."""
    script = call()

    async def story(here: Post) -> None:
        outcome = await dial(script, here.line(transport))
        assert outcome.accepted
        await until(lambda: endings(here) == [None])
        agent, contact = (speaker.audio for speaker in script.speakers)
        where = [("agent-1", 0), ("agent-1", 1)] if transport == "wss" else [("agent-1", 0), ("contact-1", 0)]
        assert [here.ear.audio(0, *place) for place in where] == [agent, contact]
        events = here.ear.calls[0]
        assert events[0].dialog_id == "d/1"  # type: ignore[union-attr]
        assert sum(isinstance(event, SegmentStopped) for event in events) == len({name for name, _ in where})

    tell(tmp_path, story)


def test_who_speaks_and_who_is_on_hold_is_told_over_grpc(tmp_path: Path) -> None:
    """There each participant has a segment."""

    async def story(here: Post) -> None:
        await dial(call(), here.line("grpc"))
        events = here.ear.calls[0]
        started = [event for event in events if isinstance(event, SegmentStarted)]
        assert [(one.participant_type, one.participant_name) for one in started] == [
            ("agent", None),
            ("contact", "Zoë"),
        ]
        assert [event.event for event in events if isinstance(event, Info)] == ["hold", "unhold"]

    tell(tmp_path, story)


@pytest.mark.parametrize(
    ("transport", "token", "status", "cause"),
    [
        ("wss", "", "401", Cause.NO_TOKEN),
        ("wss", "wrong", "403", Cause.WRONG_TOKEN),
        ("grpc", "", "UNAUTHENTICATED", Cause.NO_TOKEN),
        ("grpc", "wrong", "UNAUTHENTICATED", Cause.WRONG_TOKEN),
    ],
)
def test_whoever_shows_no_token_or_a_wrong_one_is_refused(
    transport: str, token: str, status: str, cause: Cause, tmp_path: Path
) -> None:
    """For good: RingCX tries a 4xx only once."""

    async def story(here: Post) -> None:
        outcome = await dial(call(), here.line(transport, token))
        assert (outcome.accepted, outcome.status, outcome.attempts) == (False, status, 1)
        assert (here.ear.calls, here.ear.refusals) == ([], [(transport, cause)])

    tell(tmp_path, story)


@pytest.mark.parametrize("name", ["token", "secret"])
def test_a_token_may_come_in_the_url_and_is_told_to_nobody(name: str, tmp_path: Path) -> None:
    """A profile's URL is all that one can set there; what a call says of itself goes into a table."""

    async def story(here: Post) -> None:
        here.urls["wss"] += f"?{name}={TOKEN}&dialog_id=mine&segment_id=s%2F1&sub_account_id=7"
        assert (await dial(call(), here.line("wss", ""))).accepted
        await until(lambda: endings(here) == [None])
        start, segment = here.ear.calls[0][:2]
        assert (start.dialog_id, start.sub_account_id, segment.segment_id) == ("mine", "7", "s/1")  # type: ignore[union-attr]
        assert TOKEN not in repr(here.ear.calls)

    tell(tmp_path, story)


@BOTH
def test_one_call_too_many_is_refused_and_the_others_go_on(transport: str, tmp_path: Path) -> None:
    """And tried again, which is what 503 tells RingCX; a place that is free again is given away."""

    async def story(here: Post) -> None:
        over = False
        first = asyncio.create_task(dial(call("1", trouble={"endless": True}), here.line(transport), lambda: over))
        await until(lambda: here.door.inside == 1)
        refused = await dial(call("2"), here.line(transport))
        assert refused.status in ("503", "RESOURCE_EXHAUSTED")
        over = True
        assert (await first).stopped
        await until(lambda: here.door.inside == 0)
        assert (await dial(call("3"), here.line(transport))).accepted
        assert {cause for _, cause in here.ear.refusals} == {Cause.FULL}

    tell(tmp_path, story, Bounds(calls=1))


@BOTH
def test_a_malformed_message_is_left_out_and_the_call_goes_on(transport: str, tmp_path: Path) -> None:
    """A call is worth more than one message."""
    script = call(trouble={"malformed_at_ms": 200})

    async def story(here: Post) -> None:
        await dial(script, here.line(transport))
        await until(lambda: endings(here) == [None])
        assert here.ear.audio(0, "agent-1") == script.speakers[0].audio
        assert [event.kind for event in here.ear.calls[0] if isinstance(event, Trouble)] == ["malformed"]

    tell(tmp_path, story)


ENDED: dict[str, tuple[dict[str, int], Bounds, Cause, tuple[object, ...]]] = {
    "malformed": ({"malformed_at_ms": 200}, Bounds(malformed=0), Cause.MALFORMED, (1007, "INVALID_ARGUMENT")),
    "oversized": (
        {"oversized_at_ms": 200, "oversized_bytes": 9000},
        Bounds(message_bytes=4096),
        Cause.OVERSIZED,
        (1009, "RESOURCE_EXHAUSTED"),
    ),
    "never-ending": ({"endless": True}, Bounds(call_s=0.5), Cause.TOO_LONG, (1008, "DEADLINE_EXCEEDED")),
    "half-open": ({"quiet_after_ms": 200}, Bounds(idle_s=0.5), Cause.IDLE, (1008, "DEADLINE_EXCEEDED")),
}


@BOTH
@pytest.mark.parametrize("kind", ENDED)
def test_a_call_beyond_a_bound_is_ended_and_says_why(kind: str, transport: str, tmp_path: Path) -> None:
    """The caller is told, the intake is told, and what was heard until then is kept. Others do not notice."""
    trouble, bounds, cause, answers = ENDED[kind]

    async def story(here: Post) -> None:
        good = call("good", seconds=0.3)
        outcome, other = await asyncio.gather(
            dial(call("bad", trouble=trouble), here.line(transport)), dial(good, here.line(transport))
        )
        await until(lambda: len(endings(here)) == 2)
        assert sorted(endings(here), key=str) == sorted([cause.value, None], key=str)
        assert told(outcome) in answers
        assert other.accepted
        bad = next(number for number, events in enumerate(here.ear.calls) if events[0].dialog_id == "d/bad")  # type: ignore[union-attr]
        assert here.ear.audio(bad, "agent-bad")

    tell(tmp_path, story, bounds)


def told(outcome: Outcome) -> object:
    """The close code or the status."""
    return outcome.close_code or outcome.status


@BOTH
def test_a_connection_on_which_nobody_ever_speaks_is_ended(transport: str, tmp_path: Path) -> None:
    """It would hold one of the places for ever."""

    async def story(here: Post) -> None:
        await dial(call(trouble={"silent": True}), here.line(transport))
        await until(lambda: here.door.inside == 0)
        assert (here.ear.calls, here.ear.refusals) == ([], [(transport, Cause.IDLE)])

    tell(tmp_path, story, Bounds(idle_s=0.3))


@BOTH
def test_too_many_segments_in_a_call_end_it(transport: str, tmp_path: Path) -> None:
    """Each takes a file. A WSS call has one."""

    async def story(here: Post) -> None:
        await dial(call(), here.line(transport))
        await until(lambda: len(endings(here)) == 1)
        assert endings(here) == [None if transport == "wss" else Cause.TOO_MANY_SEGMENTS.value]

    tell(tmp_path, story, Bounds(segments=1))


@BOTH
def test_a_line_that_breaks_is_a_call_that_was_cut(transport: str, tmp_path: Path) -> None:
    """Nobody may take half a call for a whole one."""

    async def story(here: Post) -> None:
        await dial(call(trouble={"hang_up_at_ms": 300}), replace(here.line(transport), pace=1.0))
        await until(lambda: len(endings(here)) == 1)
        assert endings(here)[0]
        assert len(here.ear.audio(0, "agent-1")) >= 8 * 100

    tell(tmp_path, story)


@BOTH
def test_callers_wait_while_the_disk_does(transport: str, tmp_path: Path) -> None:
    """Memory is bounded by making them wait, and nothing is lost by it."""
    script = call(seconds=2.0)

    async def story(here: Post) -> None:
        here.ear.is_full = True
        calling = asyncio.create_task(dial(script, here.line(transport)))
        await until(lambda: here.door.inside == 1)
        assert not endings(here)
        here.ear.is_full = False
        here.ear.has_room.set()
        assert (await calling).accepted
        await until(lambda: endings(here) == [None])
        assert here.ear.audio(0, "agent-1") == script.speakers[0].audio

    tell(tmp_path, story)


@BOTH
def test_a_receiver_that_is_closing_takes_no_new_calls(transport: str, tmp_path: Path) -> None:
    """Those that run may finish."""

    async def story(here: Post) -> None:
        here.door.is_closing = True
        outcome = await dial(call(), here.line(transport))
        assert outcome.status in ("503", "UNAVAILABLE")

    tell(tmp_path, story)


def test_a_call_that_runs_when_the_receiver_ends_is_cut(tmp_path: Path) -> None:
    """What was heard of it is kept."""

    async def run() -> None:
        async with asyncio.timeout(20):
            async with post(tmp_path) as here:
                talking = [
                    asyncio.create_task(dial(call(trouble={"endless": True}), here.line(transport)))
                    for transport in here.urls
                ]
                await until(lambda: len(here.ear.calls) == 2)
            await until(lambda: len(endings(here)) == 2)
            assert None not in endings(here)
            await asyncio.gather(*talking)

    asyncio.run(run())
