"""Streams are on record before anything is asked for, and no request is sent twice: whatever happens, what may be
running is known and can be stopped.
"""

import asyncio
import hashlib
import logging
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, Protocol

import pytest
from rich.pretty import pretty_repr

from connectors.errors import ConnectorError, Denied, NotReady, RateLimited, Rejected, Unauthorized, Uncertain
from connectors.sandbox import Fault, SandboxConfig
from connectors.sandbox.calls import LiveCall, two_voices
from connectors.sandbox.sound import tone
from flows.calls import streams
from flows.calls.streams import Stream, StreamRequest
from flows.runtime import Runtime, open_runtime
from flows.settings import SettingsError
from sinks.errors import LakeUnavailable
from tests.virtual_time import World, run_virtually

DIALOG, SEGMENT, SUB = "d-1", "s-1", "99999999"
URL = "wss://receiver.example:8443/calls?tenant=7"
REQUEST = StreamRequest(dialog_id=DIALOG, segment_id=SEGMENT, url=URL, sub_account_id=SUB)
RUNS = Fault(status=200, body="")  # accepted, and nobody dials
GONE = Fault(status=404)
NO_STREAM = Fault(status=409)
pytestmark = pytest.mark.usefixtures("laid_out")


class Scenario(Protocol):
    """What happens in a world with one live call."""

    def __call__(self, world: World, runtime: Runtime) -> Coroutine[Any, Any, Any]: ...


def play(scenario: Scenario, folder: Path, **settings: object) -> Any:
    """What a scenario returns."""

    async def work(world: World) -> Any:
        speakers = two_voices(SEGMENT, agent=tone("agent", 0.1), contact=tone("contact", 0.1))
        world.sandbox.calls.begin(LiveCall(dialog_id=DIALOG, speakers=speakers, sub_account_id=SUB))
        given = {"ringcx_receive_url": URL, **settings}
        async with open_runtime(world.settings(**given), world.clock, world.transport) as runtime:
            return await scenario(world, runtime)

    return run_virtually(work, SandboxConfig(caller_pace=None), folder)


def asked(world: World) -> list[int | None]:
    """The answers of media control, in order."""
    return [record.status for record in world.sandbox.log if record.group == "media-control"]


def stored(runtime: Runtime) -> Stream:
    """The only row of `streams`."""
    (stream,) = streams.streams(runtime.lake, ended=True)
    return stream


async def failure(asking: Coroutine[Any, Any, object]) -> Exception:
    """The error that it ends with."""
    with pytest.raises((ConnectorError, SettingsError)) as caught:
        await asking
    return caught.value


# fault -> error, requests that arrived, state of the row after a first start, and after one of a stream in doubt
STARTS: dict[str, tuple[Fault, type | None, int, str, str]] = {
    "400": (Fault(status=400), Rejected, 1, "refused", "unknown"),
    "403": (Fault(status=403), Denied, 1, "refused", "unknown"),
    "404": (GONE, NotReady, 1, "refused", "stopped"),
    "409": (Fault(status=409), Rejected, 1, "refused", "started"),
    "429": (Fault(status=429, retry_after_s=1), RateLimited, 5, "refused", "unknown"),
    "500": (Fault(status=500), Uncertain, 1, "unknown", "unknown"),
    "time-out": (Fault(delay_s=90), Uncertain, 1, "unknown", "unknown"),
    "reset": (Fault(reset=True), Uncertain, 1, "unknown", "unknown"),
}
# fault -> error, requests that arrived, state of the row of a stream that was running
STOPS: dict[str, tuple[Fault, type | None, int, str]] = {
    "403": (Fault(status=403), Denied, 1, "started"),
    "404": (GONE, None, 1, "stopped"),
    "409": (NO_STREAM, Rejected, 1, "unknown"),
    "429": (Fault(status=429, retry_after_s=1), RateLimited, 5, "started"),
    "500": (Fault(status=500), Uncertain, 1, "unknown"),
    "time-out": (Fault(delay_s=90), Uncertain, 1, "unknown"),
}


async def attempt(world: World, faults: list[Fault], asking: Coroutine[Any, Any, object]) -> tuple[type | None, int]:
    """The kind of error that it ends with, and the requests that arrived."""
    world.sandbox.script("media-control", faults)
    before, kind = len(asked(world)), None
    try:
        await asking
    except ConnectorError as error:
        kind = type(error)
    return kind, len(asked(world)) - before


def of_dialog(name: str) -> StreamRequest:
    """A stream of a dialog of that name."""
    return StreamRequest(dialog_id=name, url=URL, sub_account_id=SUB)


def states(runtime: Runtime) -> dict[str, str]:
    """The state of each dialog's stream."""
    return {stream.dialog_id: stream.state for stream in streams.streams(runtime.lake, ended=True)}


def test_each_failure_of_a_start_has_its_error_and_its_state(tmp_path: Path) -> None:
    """What was refused does not run; what got no clear answer may, and is listed."""

    async def scenario(world: World, runtime: Runtime) -> None:
        found = {}
        for name, (fault, _, arrivals, *_) in STARTS.items():
            found[name] = await attempt(world, [fault] * arrivals, streams.start(runtime, of_dialog(name)))
        assert found == {name: (kind, arrivals) for name, (_, kind, arrivals, _, _) in STARTS.items()}
        assert states(runtime) == {name: state for name, (*_, state, _) in STARTS.items()}
        listed = {stream.dialog_id for stream in streams.streams(runtime.lake)}
        assert listed == {name for name, (*_, state, _) in STARTS.items() if state == "unknown"}
        assert all(stream.error for stream in streams.streams(runtime.lake, ended=True))

    play(scenario, tmp_path)


def test_a_start_of_a_stream_in_doubt_settles_what_it_can(tmp_path: Path) -> None:
    """A conflict says that it runs, a missing dialog that it does not; nothing else says anything about the first."""

    async def scenario(world: World, runtime: Runtime) -> None:
        found = {}
        for name, (fault, _, arrivals, *_) in STARTS.items():
            request = of_dialog(name)
            await attempt(world, [Fault(status=500)], streams.start(runtime, request))
            found[name] = await attempt(world, [fault] * arrivals, streams.start(runtime, request))
        expected = {name: (kind, arrivals) for name, (_, kind, arrivals, _, _) in STARTS.items()}
        assert found == expected | {"409": (None, 1)}
        assert states(runtime) == {name: state for name, (*_, state) in STARTS.items()}

    play(scenario, tmp_path)


def test_each_failure_of_a_stop_has_its_error_and_its_state(tmp_path: Path) -> None:
    """Only an answer that says so ends a stream: what is listed as stopped may be relied on not to record."""

    async def scenario(world: World, runtime: Runtime) -> None:
        found = {}
        for name, (fault, _, arrivals, _) in STOPS.items():
            world.sandbox.script("media-control", [RUNS])
            stream = await streams.start(runtime, of_dialog(name))
            found[name] = await attempt(world, [fault] * arrivals, streams.stop(runtime, stream.stream_id))
        assert found == {name: (kind, arrivals) for name, (_, kind, arrivals, _) in STOPS.items()}
        assert states(runtime) == {name: state for name, (*_, state) in STOPS.items()}

    play(scenario, tmp_path)


def test_a_stream_is_started_streams_and_is_stopped(tmp_path: Path) -> None:
    """The main job; and the row says what became of it."""

    async def scenario(world: World, runtime: Runtime) -> None:
        world.sandbox.script("media-control", [RUNS, RUNS])
        stream = await streams.start(runtime, StreamRequest(dialog_id=DIALOG, segment_id=SEGMENT, sub_account_id=SUB))
        assert (stream.state, stream.url, stream.error) == ("started", "wss://receiver.example:8443/calls", None)
        assert stored(runtime) == stream
        ended = await streams.stop(runtime, stream.stream_id)
        assert (ended.state, ended.stopped_at) == ("stopped", runtime.now())
        assert stored(runtime) == ended
        assert streams.streams(runtime.lake) == []

    play(scenario, tmp_path)


def test_the_same_stream_has_the_same_id(tmp_path: Path) -> None:
    """So that whoever starts it twice is told, and whoever lost the answer can stop it; short enough to be typed."""
    names = {
        streams.stream_id(*place) for place in [(SUB, "d", "s", URL), (SUB, "ds", "", URL), (SUB, "d", "s", "wss://x")]
    }
    assert len(names) == 3
    assert streams.stream_id(SUB, "d", "s", URL) in names
    assert all(name.isascii() and len(name) == 20 for name in names)


def test_a_killed_start_is_listed_and_stopped(tmp_path: Path) -> None:
    """Between the request and its answer this program may die: the stream runs, and nobody else knows of it."""

    async def scenario(world: World, runtime: Runtime) -> None:
        world.sandbox.script("media-control", [Fault(delay_s=20, status=200, body=""), RUNS])
        starting = asyncio.create_task(streams.start(runtime, REQUEST))
        await asyncio.sleep(5)
        starting.cancel()
        await asyncio.wait([starting])
        (listed,) = streams.streams(runtime.lake)
        assert (listed.state, listed.dialog_id, len(asked(world))) == ("starting", DIALOG, 1)
        assert await streams.stop_all(runtime) == []
        assert (stored(runtime).state, asked(world)) == ("stopped", [200, 200])

    play(scenario, tmp_path)


def test_nothing_is_asked_for_that_cannot_be_put_on_record(tmp_path: Path) -> None:
    """A stream that nobody knows of is worse than none."""

    async def scenario(world: World, runtime: Runtime) -> list[int | None]:
        runtime.lake.create()
        catalog = tmp_path / "lake" / "catalog.sqlite"
        catalog.rename(catalog.with_suffix(".away"))
        runtime.lake.close()
        catalog.mkdir()
        with pytest.raises((LakeUnavailable, SettingsError)):
            await streams.start(runtime, REQUEST)
        return asked(world)

    assert play(scenario, tmp_path) == []


def test_all_streams_are_stopped_though_one_fails(tmp_path: Path) -> None:
    """What is left is named, and asked for again by the next stop."""

    async def scenario(world: World, runtime: Runtime) -> None:
        world.sandbox.script("media-control", [RUNS] * 3)
        for number in range(3):
            await streams.start(runtime, StreamRequest(dialog_id=f"d-{number}", url=URL, sub_account_id=SUB))
        world.sandbox.script("media-control", [RUNS, Fault(reset=True), GONE])
        left = await streams.stop_all(runtime)
        assert len(left) == 1
        assert [stream.stream_id for stream in streams.streams(runtime.lake)] == [left[0].stream_id]

    play(scenario, tmp_path)


def test_a_start_and_a_stop_of_one_stream_take_turns(tmp_path: Path) -> None:
    """Parallel ones leave a state that nobody knows, says the platform's documentation."""

    async def scenario(world: World, runtime: Runtime) -> None:
        world.sandbox.script("media-control", [RUNS, Fault(delay_s=10, status=200, body=""), RUNS])
        name = (await streams.start(runtime, REQUEST)).stream_id
        async with asyncio.TaskGroup() as group:
            stopping = group.create_task(streams.stop(runtime, name))
            await asyncio.sleep(1)
            group.create_task(streams.start(runtime, REQUEST))
        assert stopping.result().state == "stopped"
        first, second, third = (record.at for record in world.sandbox.log if record.group == "media-control")
        assert third - second >= 10 > second - first
        assert stored(runtime).state == "started"

    play(scenario, tmp_path)


def test_a_renewed_token_lets_a_refused_start_go_on(tmp_path: Path) -> None:
    """A 401 is surely refused, and RingCX's tokens live five minutes."""

    async def scenario(world: World, runtime: Runtime) -> list[int | None]:
        world.sandbox.script("media-control", [Fault(expired=True), RUNS])
        assert (await streams.start(runtime, REQUEST)).state == "started"
        return asked(world)

    assert play(scenario, tmp_path) == [401, 200]


def test_a_refused_login_starts_nothing(tmp_path: Path) -> None:
    """The row says so: nothing was ever asked of media control."""

    async def scenario(world: World, runtime: Runtime) -> None:
        await runtime.accounts()
        world.sandbox.script("media-control", [Fault(expired=True)] * 3)
        world.sandbox.script("auth-ringcx", [Fault(status=401)] * 9)
        world.sandbox.script("auth-platform", [Fault(status=400)] * 9)
        assert isinstance(await failure(streams.start(runtime, REQUEST)), Unauthorized)
        assert stored(runtime).state == "refused"

    play(scenario, tmp_path, ringcx_sub_account_ids=SUB)


HOSTILE = ("..", "a/../../b", "a?b#c", "ünï ✆", "a\x00b", "'; DROP TABLE streams; --", "%2e%2e")


def test_a_hostile_id_is_data(tmp_path: Path) -> None:
    """Ids are the platform's: none of them changes what is asked for, or where the audio goes."""

    async def scenario(world: World, runtime: Runtime) -> None:
        for odd in HOSTILE:
            world.sandbox.script("media-control", [RUNS, RUNS])
            request = StreamRequest(dialog_id=odd, segment_id=odd, url=URL, sub_account_id=SUB)
            await streams.stop(runtime, (await streams.start(runtime, request)).stream_id)
            record = world.sandbox.log[-1]
            assert (record.dialog_id, record.segment_id, record.operation) == (odd, odd, "stop-segment-stream")
        assert states(runtime) == dict.fromkeys(HOSTILE, "stopped")

    play(scenario, tmp_path)


CLEAR = ("", "ws://receiver.example", "http://receiver.example:10443", "ftp://x", "wss://", "wss://[1", "no url")


def test_audio_goes_nowhere_in_the_clear(tmp_path: Path) -> None:
    """Refused before anything is stored or sent, with the name of what to set."""

    async def scenario(world: World, runtime: Runtime) -> None:
        for url in CLEAR:
            request = StreamRequest(dialog_id=DIALOG, url=url, sub_account_id=SUB)
            assert "RINGCX_RECEIVE_URL" in str(await failure(streams.start(runtime, request)))
        assert asked(world) == []
        assert states(runtime) == {}

    play(scenario, tmp_path, ringcx_receive_url="")


def test_only_tokens_of_streams_that_may_run_are_accepted(tmp_path: Path) -> None:
    """A token is good for its stream's life; of a stream in doubt, every token that it may have been given."""

    async def scenario(world: World, runtime: Runtime) -> None:
        world.sandbox.script("media-control", [Fault(status=500), Fault(status=500), RUNS, RUNS])
        for token in ("first-token", "second-token"):
            await failure(
                streams.start(runtime, StreamRequest(dialog_id=DIALOG, url=URL, sub_account_id=SUB, token=token))
            )
        assert [streams.accepts(runtime.lake, token) for token in ("first-token", "second-token", "x", "")] == [
            True,
            True,
            False,
            False,
        ]
        stream = await streams.start(
            runtime, StreamRequest(dialog_id=DIALOG, url=URL, sub_account_id=SUB, token="third-token")
        )
        assert stream.token_digest == hashlib.sha256(b"third-token").hexdigest()
        assert not streams.accepts(runtime.lake, "first-token")
        await streams.stop(runtime, stream.stream_id)
        assert not streams.accepts(runtime.lake, "third-token")

    play(scenario, tmp_path)


def test_no_token_is_in_any_row_log_line_error_or_repr(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Whoever has it may send audio to the receiver under the stream's name."""
    token = "stream-token-4711"
    request = StreamRequest(dialog_id=DIALOG, url=f"wss://x.example/?key={token}", sub_account_id=SUB, token=token)

    async def scenario(world: World, runtime: Runtime) -> list[str]:
        echo = f'{{"errorCode": "{token}", "generalMessage": "no {token}"}}'
        shown = []
        for status in (400, 409, 500):
            world.sandbox.script("media-control", [Fault(status=status, body=echo)])
            error = await failure(streams.start(runtime, request))
            shown += [str(error), repr(error), str(vars(error))]
        rows = runtime.lake.query("FROM streams").to_pylist()
        return [*shown, str(rows), repr(request), pretty_repr(request), str(stored(runtime))]

    caplog.set_level(logging.DEBUG)
    shown = play(scenario, tmp_path)
    assert [text for text in [*shown, caplog.text] if token in text] == []
