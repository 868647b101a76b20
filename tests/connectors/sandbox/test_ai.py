"""The AI API: jobs that fetch audio, take their time, and tell a webhook, whatever goes wrong."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from connectors.sandbox import (
    FixedAccount,
    LiveCall,
    ManualClock,
    Sandbox,
    SandboxConfig,
    SandboxServer,
    create_app,
    simple_segment,
    two_voices,
)
from connectors.sandbox.ai import JobTrouble
from connectors.sandbox.faults import Faults
from connectors.sandbox.model import Key
from connectors.sandbox.sound import tone
from tests.connectors.sandbox.conftest import NOON

Open = Callable[[SandboxConfig], tuple[httpx.Client, Sandbox]]
SPEECH, INSIGHTS = "/ai/audio/v1/async/speech-to-text", "/ai/insights/v1/async/analyze-interaction"
HOOK = "http://hook/1"
VOICE: dict[str, Any] = {"channel_type": "VOICE", "channel_class": "VOICE", "has_recording": True}
ACCOUNT = FixedAccount(
    [
        simple_segment("d", "s", NOON - 900, **VOICE),
        simple_segment("d", "tones", NOON - 900, lines=(), **VOICE),
    ]
)


class Elsewhere:
    """The world outside: audio at addresses, and a webhook that answers as it is told to."""

    def __init__(self, statuses: list[int | None] | None = None) -> None:
        self.audio: dict[str, bytes] = {}
        self.told: list[dict[str, Any]] = []
        self.statuses = statuses or []

    async def get(self, url: str) -> tuple[int, bytes]:
        """The audio of an address without its token."""
        found = self.audio.get(url.partition("?")[0])
        return (404, b"") if found is None else (200, found)

    async def post(self, url: str, body: bytes) -> int:
        """The webhook."""
        self.told.append(msgspec.json.decode(body))
        status = self.statuses.pop(0) if self.statuses else 200
        if status is None:
            raise ConnectionError
        return status


class Platform:
    """A sandbox in process, asked from the same loop on which its jobs run."""

    def __init__(self, clock: ManualClock, elsewhere: Elsewhere, **changes: Any) -> None:
        settings: dict[str, Any] = {"account": ACCOUNT, "ai_seconds": (0, 0), "webhook_pause_s": 0}
        settings |= {"outside": elsewhere} | changes
        app = create_app(SandboxConfig(**settings), clock)
        self.sandbox: Sandbox = app.state.sandbox
        self.elsewhere = elsewhere
        token = self.sandbox.world.platform_tokens.issue(clock.now).access
        headers = {"Authorization": f"Bearer {token}"}
        self.client = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://sandbox", headers=headers)

    async def ask(self, api: str = SPEECH, uri: str = "http://audio/s.wav", **body: Any) -> httpx.Response:
        """Begin a job."""
        asked = {"contentUri": uri, "encoding": "Wav", "languageCode": "en-US"} | body
        return await self.client.post(api, params={"webhook": HOOK}, json=asked)

    async def status(self, job_id: str) -> httpx.Response:
        """Ask for a job."""
        return await self.client.get(f"/ai/status/v1/jobs/{job_id}")

    async def record(self, segment: str = "s", uri: str = "http://audio/s.wav") -> None:
        """Put the recording of a segment at an address."""
        path = self.sandbox.recording_uri(Key("99999999", "d", segment))
        self.elsewhere.audio[uri] = (await self.client.get(path)).content

    async def done(self) -> None:
        """Wait until no job is worked on."""
        await self.sandbox.world.background.idle()


def with_platform(clock: ManualClock, work: Callable[[Platform], Awaitable[None]], **changes: Any) -> None:
    """Do some work with a platform that has the recording of the segment `s` at hand."""

    async def run() -> None:
        platform = Platform(clock, changes.pop("elsewhere", Elsewhere()), **changes)
        async with platform.client, asyncio.timeout(10):
            await platform.record()
            await work(platform)

    asyncio.run(run())


def test_a_job_is_accepted_and_tells_its_webhook_what_its_status_says(clock: ManualClock) -> None:
    """202 with an id; then one POST with the same words that the status has, for a week."""

    async def work(platform: Platform) -> None:
        answer = await platform.ask(enableSpeakerDiarization=True)
        assert (answer.status_code, set(answer.json())) == (202, {"jobId"})
        await platform.done()
        (told,) = platform.elsewhere.told
        assert told == (await platform.status(answer.json()["jobId"])).json()
        assert {name: told[name] for name in ("status", "api", "creationTime", "completionTime", "expirationTime")} == {
            "status": "Success",
            "api": SPEECH,
            "creationTime": "2026-09-01T12:00:00.000Z",
            "completionTime": "2026-09-01T12:00:00.000Z",
            "expirationTime": "2026-09-08T12:00:00.000Z",
        }
        clock.advance(7 * 86_400)
        assert (await platform.status(told["jobId"])).status_code == 401
        fresh = platform.sandbox.world.platform_tokens.issue(clock.now).access
        platform.client.headers["Authorization"] = f"Bearer {fresh}"
        assert (await platform.status(told["jobId"])).status_code == 404

    with_platform(clock, work)


def test_a_job_in_progress_has_no_answer_yet(clock: ManualClock) -> None:
    """It says when it began and when it will be forgotten."""

    async def work(platform: Platform) -> None:
        job_id = (await platform.ask()).json()["jobId"]
        status = (await platform.status(job_id)).json()
        assert set(status) == {"jobId", "api", "creationTime", "expirationTime", "status"}
        assert status["status"] == "InProgress"

    with_platform(clock, work, ai_seconds=(3600, 3600))


def test_speech_to_text_hears_what_the_segment_says(clock: ManualClock) -> None:
    """The words of its phrases, laid over the recording, with a speaker for each side."""

    async def work(platform: Platform) -> None:
        await platform.ask(enableSpeakerDiarization=True)
        await platform.done()
        response = platform.elsewhere.told[0]["response"]
        assert response["transcript"] == "Hello, how can I help you? Where is my order?"
        assert [one["speakerId"] for one in response["utterances"]] == ["0", "1"]
        assert (response["speakerCount"], response["words"][0]["word"]) == (2, "hello")
        first, second = response["utterances"]
        assert 0 == first["start"] < first["end"] == second["start"] < second["end"]
        assert [one["word"] for one in second["wordTimings"]] == ["where", "is", "my", "order"]

    with_platform(clock, work)


def test_speech_to_text_hears_what_was_said_in_a_live_call(clock: ManualClock) -> None:
    """The same audio that was streamed, and the words that it was begun with."""

    async def work(platform: Platform) -> None:
        speakers = two_voices("leg", agent=tone("a", 1), contact=tone("c", 1))
        lines = (("agent", "Good morning."), ("contact", "It is broken."))
        platform.sandbox.calls.begin(LiveCall(dialog_id="d", speakers=speakers, lines=lines)).end()
        await platform.record("leg", "http://audio/live.wav")
        await platform.ask(uri="http://audio/live.wav")
        await platform.done()
        assert platform.elsewhere.told[0]["response"]["transcript"] == "Good morning. It is broken."

    with_platform(clock, work, recording_s=(0, 0))


def test_speakers_and_utterances_come_only_with_diarization(clock: ManualClock) -> None:
    """As documented: without it, words and a transcript are all there is."""

    async def work(platform: Platform) -> None:
        await platform.ask()
        await platform.done()
        response = platform.elsewhere.told[0]["response"]
        assert set(response) == {"confidence", "transcript", "words"}
        assert set(response["words"][0]) == {"word", "start", "end", "confidence"}

    with_platform(clock, work)


def test_analysis_gives_insights_of_three_scopes(clock: ManualClock) -> None:
    """Of utterances, speakers and the conversation; only those that were asked for."""

    async def work(platform: Platform) -> None:
        await platform.ask(INSIGHTS, insights=["All"])
        await platform.ask(INSIGHTS, insights=["Pace", "KeyPhrases"])
        await platform.done()
        everything, some = (told["response"] for told in platform.elsewhere.told)
        assert set(everything) == {"utteranceInsights", "speakerInsights", "conversationalInsights"}
        assert everything["utteranceInsights"][0]["insights"][0]["name"] == "Emotion"
        names = [unit["name"] for unit in everything["speakerInsights"]["insights"]]
        assert names == ["Energy", "Pace", "TalkToListenRatio", "QuestionsAsked"]
        assert [unit["name"] for unit in some["speakerInsights"]["insights"]] == ["Pace"]
        assert [unit["name"] for unit in some["conversationalInsights"]] == ["KeyPhrases"]
        assert some["utteranceInsights"][0]["insights"] == []

    with_platform(clock, work)


def test_tones_and_unknown_audio_have_words_that_hang_on_nothing_else(clock: ManualClock) -> None:
    """So that whoever fetches the same audio twice hears the same."""

    async def work(platform: Platform) -> None:
        await platform.record("tones", "http://audio/tones.wav")
        for _ in range(2):
            await platform.ask(uri="http://audio/tones.wav")
        await platform.done()
        first, second = (told["response"] for told in platform.elsewhere.told)
        assert first == second
        assert len(first["words"]) == 8

    with_platform(clock, work)


@pytest.mark.parametrize("missing", ["contentUri", "encoding", "languageCode", "webhook"])
def test_a_request_without_a_parameter_is_refused_by_its_name(clock: ManualClock, missing: str) -> None:
    """400 with the documented errors, and no job."""

    async def work(platform: Platform) -> None:
        body = {"contentUri": "http://audio/s.wav", "encoding": "Wav", "languageCode": "en-US"}
        body.pop(missing, None)
        params = {} if missing == "webhook" else {"webhook": HOOK}
        answer = await platform.client.post(SPEECH, params=params, json=body)
        (error,) = answer.json()["errors"]
        assert (answer.status_code, error["errorCode"], error["parameterName"]) == (400, "CAI-101", missing)
        assert platform.sandbox.jobs.all() == []

    with_platform(clock, work)


def test_the_ai_api_wants_a_ringcentral_token(open_sandbox: Open) -> None:
    """A RingCX token is not one."""
    client, sandbox = open_sandbox(SandboxConfig())
    body = {"contentUri": "http://audio/s.wav", "encoding": "Wav", "languageCode": "en-US"}
    answer = client.post(SPEECH, params={"webhook": HOOK}, json=body)
    assert (answer.status_code, answer.json()["errorCode"]) == (401, "TokenInvalid")
    assert client.get("/ai/status/v1/jobs/x").status_code == 401
    assert [record.group for record in sandbox.log] == ["ai", "ai"]


@pytest.mark.parametrize(
    ("uri", "audio", "says"), [("http://audio/none.wav", None, "404"), ("http://audio/x.wav", b"<html>", "no audio")]
)
def test_audio_that_cannot_be_had_or_read_fails_the_job(
    clock: ManualClock, uri: str, audio: bytes | None, says: str
) -> None:
    """The error goes to the webhook, too, and holds no address."""

    async def work(platform: Platform) -> None:
        if audio is not None:
            platform.elsewhere.audio[uri] = audio
        await platform.ask(uri=f"{uri}?access_token=hidden")
        await platform.done()
        (told,) = platform.elsewhere.told
        assert (told["status"], says in told["response"]["errors"][0]["message"]) == ("Fail", True)
        assert "hidden" not in str(told)

    with_platform(clock, work)


def test_a_webhook_that_fails_is_tried_again(clock: ManualClock) -> None:
    """After 5xx and silence, three times at most; a 4xx is final."""

    async def work(platform: Platform) -> None:
        for _ in range(3):
            await platform.ask()
            await platform.done()
        answers = [job.webhook_answers for job in platform.sandbox.jobs.all()]
        assert answers == [[503, None, 200], [404], [500, 500, 500]]

    with_platform(clock, work, elsewhere=Elsewhere([503, None, 200, 404, 500, 500, 500]))


def test_troubled_jobs_behave_as_they_are_told(clock: ManualClock) -> None:
    """Failing, silent, told twice, forgotten at once."""

    async def work(platform: Platform) -> None:
        troubles = [
            JobTrouble(fail=True),
            JobTrouble(silent=True),
            JobTrouble(twice=True),
            JobTrouble(expired=True),
            JobTrouble(),
        ]
        platform.sandbox.jobs.script(troubles)
        ids = [(await platform.ask()).json()["jobId"] for _ in troubles]
        await platform.done()
        told = [one["jobId"] for one in platform.elsewhere.told]
        assert [told.count(job_id) for job_id in ids] == [1, 0, 2, 0, 1]
        statuses = [(await platform.status(job_id)).json().get("status") for job_id in ids]
        assert statuses == ["Fail", "Success", "Success", None, "Success"]

    with_platform(clock, work)


def test_an_early_job_tells_its_webhook_before_its_id_is_known(clock: ManualClock) -> None:
    """A client must not lose an answer to a question whose receipt it has not read."""

    async def work(platform: Platform) -> None:
        platform.sandbox.jobs.script([JobTrouble(early=True)])
        answer = await platform.ask()
        assert [one["jobId"] for one in platform.elsewhere.told] == [answer.json()["jobId"]]

    with_platform(clock, work)


def test_jobs_draw_their_trouble_by_chance(clock: ManualClock) -> None:
    """The same for the same seed, so that a run with faults can be repeated."""

    async def work(platform: Platform) -> None:
        for _ in range(40):
            await platform.ask()
        await platform.done()
        jobs = platform.sandbox.jobs.all()
        assert {job.status for job in jobs} == {"Success", "Fail"}
        assert any(not job.webhook_answers for job in jobs)
        assert any(len(job.webhook_answers) == 2 for job in jobs)

    with_platform(clock, work, faults=Faults(job_fail_share=0.2, job_silent_share=0.2, job_twice_share=0.2))


def test_jobs_end_in_another_order_than_they_began(clock: ManualClock) -> None:
    """Each takes a time of its own."""

    async def work(platform: Platform) -> None:
        ids = [(await platform.ask()).json()["jobId"] for _ in range(8)]
        await platform.done()
        told = [one["jobId"] for one in platform.elsewhere.told]
        assert sorted(told) == sorted(ids)
        assert told != ids

    with_platform(clock, work, ai_seconds=(0.0, 0.05))


def test_over_real_sockets_a_job_fetches_a_protected_recording_and_calls_a_webhook(shared: Path) -> None:
    """The recording of a real call, with the token in its address, which the log does not keep."""

    async def run(server: SandboxServer) -> dict[str, Any]:
        heard: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

        async def hook(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
            body = await reader.readexactly(length)
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
            await writer.drain()
            writer.close()
            heard.set_result(body)

        async with await asyncio.start_server(hook, "127.0.0.1", 0) as webhook, asyncio.timeout(20):
            port = webhook.sockets[0].getsockname()[1]
            token = server.sandbox.world.platform_tokens.issue(NOON).access
            path = server.sandbox.recording_uri(Key("99999999", "d", "tones"))
            uri = f"{server.base_url}{path}?access_token={token}"
            body = {"contentUri": uri, "encoding": "Wav", "languageCode": "en-US", "enableSpeakerDiarization": True}
            async with httpx.AsyncClient(base_url=server.base_url) as client:
                headers = {"Authorization": f"Bearer {token}"}
                params = {"webhook": f"http://127.0.0.1:{port}/secret"}
                answer = await client.post(SPEECH, params=params, json=body, headers=headers)
                assert answer.status_code == 202
                assert token not in (await client.get("/_sandbox/log")).text
            return dict(msgspec.json.decode(await heard))

    audio = shared / "corpus" / "audio"
    config = SandboxConfig(account=ACCOUNT, ai_seconds=(0, 0), audio=audio)
    with SandboxServer(config, clock=ManualClock(NOON)) as server:
        told = asyncio.run(run(server))
        assert told["status"] == "Success"
        expected = server.sandbox.world.sounds.named("99999999/d/tones").lines
        assert [one["text"] for one in told["response"]["utterances"]] == [line.text for line in expected]
