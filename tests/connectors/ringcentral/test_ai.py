"""Jobs begun and asked about: each failure has its error, nothing is begun twice, and no error holds a secret."""

import asyncio
import logging
import traceback
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from rich.pretty import pretty_repr

from connectors.errors import (
    ConnectorError,
    Denied,
    NotReady,
    RateLimited,
    Rejected,
    Unauthorized,
    Unavailable,
    Uncertain,
)
from connectors.limits import parse_limits
from connectors.ringcentral.ai import ANALYSIS, RingCentralAI, Task
from connectors.sandbox import Fault, SandboxConfig
from tests.connectors.wiring import BASE_URL, login, open_http, operations
from tests.virtual_time import World, run_virtually

WEBHOOK = "https://etl.example/ringcx/" + "s" * 43
URI = "http://sandbox/restapi/v1.0/account/~/recording/1/content"
TASK = Task(content_uri=URI, webhook=WEBHOOK)
LIMITS = {"ai": parse_limits("30/60")}


def play(work: Callable[[RingCentralAI, World], Awaitable[Any]], folder: Path) -> Any:
    """What it returns."""

    async def run(world: World) -> Any:
        async with open_http(folder, world.clock, world.transport, limits=LIMITS) as http:
            return await work(RingCentralAI(http, login(http, world, folder), BASE_URL, BASE_URL), world)

    return run_virtually(run, SandboxConfig(ai_seconds=(5, 5)), folder)


async def failure(asking: Awaitable[object]) -> ConnectorError:
    """The error that it ends with."""
    with pytest.raises(ConnectorError) as caught:
        await asking
    return caught.value


# fault -> error of beginning a job, and requests that arrived; the same of asking about one
TABLE: dict[str, tuple[Fault, type[ConnectorError], int, type[ConnectorError], int]] = {
    "400": (Fault(status=400), Rejected, 1, Rejected, 1),
    "401": (Fault(status=401), Unauthorized, 3, Unauthorized, 3),
    "403": (Fault(status=403), Denied, 1, Denied, 1),
    "404": (Fault(status=404), NotReady, 1, NotReady, 1),
    "429": (Fault(status=429, retry_after_s=1), RateLimited, 5, RateLimited, 5),
    "500": (Fault(status=500), Uncertain, 1, Unavailable, 5),
    "reset": (Fault(reset=True), Uncertain, 1, Unavailable, 5),
    "cut": (Fault(truncate=True), Uncertain, 1, Unavailable, 5),
    "time-out": (Fault(delay_s=90), Uncertain, 1, Unavailable, 5),
    "no-json": (Fault(html=True), Uncertain, 1, Unavailable, 5),
    "no-id": (Fault(status=202, body="{}"), Uncertain, 1, Unavailable, 5),
}


@pytest.mark.parametrize(("fault", "begun", "sent", "asked", "gets"), TABLE.values(), ids=TABLE.keys())
def test_each_failure_has_its_error(
    tmp_path: Path, fault: Fault, begun: type[ConnectorError], sent: int, asked: type[ConnectorError], gets: int
) -> None:
    """A job that may have begun is not begun again: it costs money. Asking costs nothing, and is repeated."""

    async def work(ai: RingCentralAI, world: World) -> None:
        world.sandbox.script("ai", [fault] * sent)
        error = await failure(ai.submit(TASK))
        assert (type(error), len(operations(world.sandbox, "ai"))) == (begun, sent)
        world.sandbox.script("ai", [fault] * gets)
        error = await failure(ai.status("job"))
        assert (type(error), len(operations(world.sandbox, "ai"))) == (asked, sent + gets)

    play(work, tmp_path)


def test_a_job_is_begun_with_what_the_platform_wants(tmp_path: Path) -> None:
    """Its webhook in the query; the audio's address with a RingCentral or RingCX token in it."""

    async def work(ai: RingCentralAI, world: World) -> None:
        ids = [await ai.submit(TASK), await ai.submit(Task(api=ANALYSIS, content_uri="https://x.example/a.wav"))]
        speech, analysis = world.sandbox.jobs.all()
        assert [speech.job_id, analysis.job_id] == ids
        assert (speech.webhook, analysis.webhook) == (WEBHOOK, "https://webhook.invalid/")
        assert speech.content_uri.startswith(f"{URI}?access_token=")
        assert {name: value for name, value in speech.asked.items() if name != "contentUri"} == {
            "encoding": "Wav",
            "languageCode": "en-US",
            "source": "RingCentral",
            "audioType": "CallCenter",
            "separateSpeakerPerChannel": False,
            "speakerCount": 2,
            "enablePunctuation": True,
            "enableSpeakerDiarization": True,
        }
        assert (analysis.content_uri, analysis.asked["insights"]) == ("https://x.example/a.wav", ["All"])
        assert (await ai.status(ids[0])).status == "InProgress"
        world.sandbox.script("ai", [Fault(status=200, body='{"jobId": "other", "status": "InProgress"}')])
        assert (await failure(ai.status(ids[0]))).code == "other.job"

    play(work, tmp_path)


def test_no_error_log_line_or_repr_holds_a_secret(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Whoever has the audio's address reads the account; whoever has the webhook's may put words into a call."""
    caplog.set_level(logging.DEBUG)

    async def work(ai: RingCentralAI, world: World) -> list[str]:
        await ai.submit(TASK)
        token = world.sandbox.jobs.all()[0].content_uri.partition("access_token=")[2]
        echo = f'{{"errors": [{{"errorCode": "CAI-101", "message": "{URI}?access_token={token} {WEBHOOK} {token}"}}]}}'
        shown = [repr(TASK), pretty_repr(TASK)]
        for status in (400, 403, 404, 500):
            world.sandbox.script("ai", [Fault(status=status, body=echo)])
            error = await failure(ai.submit(TASK))
            shown += [repr(error), str(vars(error)), "".join(traceback.format_exception(error))]
            assert "CAI-101" in str(error) or status == 500
        await asyncio.sleep(0)
        return [secret for secret in (token, "s" * 43) if secret in "".join(shown) + caplog.text]

    assert play(work, tmp_path) == []
