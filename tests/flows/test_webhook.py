"""The webhook: what RingCentral tells about our jobs is stored once, and nobody else learns or changes anything."""

import asyncio
import shutil
from collections.abc import Callable, Coroutine, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from flows.calls.speech import platform_jobs
from flows.calls.speech.platform_jobs import Intent
from flows.calls.speech.webhook import Webhook, serving
from flows.calls.tables import ANALYSIS, RINGCENTRAL_AI
from flows.ports import Store
from flows.runtime import open_lake
from flows.settings import load_settings
from sinks.changes import Change, Written
from sinks.errors import LakeBusy
from sinks.lake import Lake
from tests.processes import clean_environment, cli, run_cli
from tests.virtual_time import VirtualTimeLoop

NOW = datetime(2026, 9, 1, 12, tzinfo=UTC)
SECRET = "s" * 43
PATH = f"/ringcx/{SECRET}"
UTTERANCES = [
    {"text": "Second.", "start": 2.0, "end": 3.5, "speakerId": "1", "confidence": 0.9},
    {"text": "First.", "start": 0.5, "end": 1.5, "speakerId": 0, "confidence": 0.8},
]
SPEECH = {"transcript": "First. Second.", "confidence": 0.85, "words": [], "utterances": UTTERANCES}


def told(response: object = SPEECH, status: str = "Success", job_id: str = "job-1") -> bytes:
    """A webhook's body."""
    return msgspec.json.encode({"jobId": job_id, "status": status, "response": response})


@pytest.fixture
def lake(empty_lake: Path, tmp_path: Path) -> Lake:
    """A lake with nothing in it."""
    shutil.copytree(empty_lake, tmp_path / "lake")
    return open_lake(load_settings(_env_file=None, ringcx_lake=str(tmp_path / "lake")))


def intent(source: str = RINGCENTRAL_AI, secret: str = SECRET, segment: str = "s") -> Intent:
    """A job that is to be begun."""
    key = ("99999999", "d", segment)
    return Intent(key=key, source=source, started_at=NOW, segment_day=NOW.date(), secret=secret)


def intend(lake: Lake, source: str = RINGCENTRAL_AI, *, job_id: str = "job-1") -> None:
    """A job on record; its receipt was read if there is a `job_id`."""
    assert platform_jobs.intend(lake, [intent(source)], "run", NOW, "en-US")
    if job_id:
        platform_jobs.begun(lake, [(intent(source), job_id)], "run")


def post(
    store: Store, *bodies: bytes, path: str = PATH, method: str = "POST", longest_bytes: int = 10_000
) -> list[Any]:
    """The answers to the same request with these bodies, one after the other."""

    async def run() -> list[httpx.Response]:
        webhook = Webhook(store, lambda: NOW, "webhook", longest_bytes=longest_bytes)
        async with httpx.AsyncClient(transport=httpx.ASGITransport(webhook), base_url="http://etl") as client:
            return [await client.request(method, path, content=body) for body in bodies]

    return asyncio.run(run())


def statuses(answers: Sequence[httpx.Response]) -> list[int]:
    """Theirs."""
    return [answer.status_code for answer in answers]


def stored(lake: Lake, sql: str = "SELECT state, job_id, utterance_count, run_id, error FROM jobs") -> list[Any]:
    """Rows as tuples."""
    return [tuple(row.values()) for row in lake.query(sql).to_pylist()]


def test_an_answer_is_stored_by_time_and_only_once(lake: Lake) -> None:
    """The platform tells twice when it was not sure; 200 each time, or it would go on."""
    intend(lake)
    assert statuses(post(lake, told(), told(), told({"transcript": "Other."}))) == [200, 200, 200]
    assert stored(lake) == [("done", "job-1", 2, "run", None)]
    said = stored(lake, "SELECT seq, message, participant_id, extra FROM utterances ORDER BY seq")
    assert [row[:3] for row in said] == [(0, "First.", "0"), (1, "Second.", "1")]
    assert msgspec.json.decode(said[0][3]) == {"start_ms": 500, "end_ms": 1500, "confidence": 0.8}


def test_an_answer_before_the_receipt_finds_its_job(lake: Lake) -> None:
    """The row was there before the platform heard of the job; the receipt adds the id to what has ended."""
    intend(lake, job_id="")
    assert statuses(post(lake, told())) == [200]
    platform_jobs.begun(lake, [(intent(), "job-1")], "run")
    assert stored(lake) == [("done", "job-1", 2, "run", None)]


HOSTILE: dict[str, dict[str, Any]] = {
    "another-method": {"method": "GET"},
    "put": {"method": "PUT"},
    "the-root": {"path": "/"},
    "another-secret": {"path": "/ringcx/" + "t" * 43},
    "a-part-of-it": {"path": PATH[:-1]},
    "more-than-it": {"path": PATH + "s"},
    "below-it": {"path": PATH + "/x"},
    "a-digest": {"path": "/ringcx/" + platform_jobs.digest_of(PATH)},
    "sql": {"path": "/ringcx/' OR 1=1 --"},
    "too-long": {"body": b" " * 10_001},
    "nothing": {"body": b""},
    "no-json": {"body": b"<html>"},
    "nested": {"body": b"[" * 9_000},
    "no-job": {"body": b"{}"},
    "another-job": {"body": told(job_id="job-2")},
    "unknown-status": {"body": told(status="Maybe")},
}


def test_anything_else_is_answered_alike_and_changes_nothing(lake: Lake) -> None:
    """No hint at which paths exist, whatever is tried, and the job still waits for its answer."""
    intend(lake)
    (unknown,) = post(lake, told(), path="/nothing/here")
    for name, request in HOSTILE.items():
        given = dict(request)
        (answer,) = post(lake, given.pop("body", told()), **given)
        assert (answer.status_code, answer.content, answer.headers) == (404, b"", unknown.headers), name
    assert stored(lake) == [("submitted", "job-1", None, None, None)]
    assert stored(lake, "FROM utterances") == []
    assert statuses(post(lake, told())) == [200]


MALFORMED: dict[str, tuple[object, str]] = {
    "null": (None, "failed"),
    "text": ("oops", "failed"),
    "empty": ({}, "failed"),
    "all-bad": ({"utterances": [{"text": 1}, None]}, "failed"),
    "negative": ({"utterances": [{"text": "x", "start": -1, "end": 2}]}, "failed"),
    "backwards": ({"utterances": [{"text": "x", "start": 3, "end": 2}]}, "failed"),
    "endless": ({"utterances": [{"text": "x", "start": 0, "end": 1e300}]}, "failed"),
    "another-kind": ({"utteranceInsights": []}, "failed"),
    "one-bad": ({"utterances": [*UTTERANCES, {"text": None}]}, "done"),
    "silence": ({"transcript": "", "words": [], "utterances": []}, "empty"),
}


def test_results_that_cannot_be_read_are_kept_aside_and_end_the_job(lake: Lake) -> None:
    """Never a crash; what can be read is stored, what cannot is in quarantine with its reason."""
    secrets = {name: name.rjust(43, "-") for name in MALFORMED}
    intents = [intent(segment=name, secret=secret) for name, secret in secrets.items()]
    assert platform_jobs.intend(lake, intents, "run", NOW, "en-US")
    platform_jobs.begun(lake, [(one, "job-1") for one in intents], "run")
    for name, (response, _) in MALFORMED.items():
        assert statuses(post(lake, told(response), path=f"/ringcx/{secrets[name]}")) == [200]
    found = {row[0]: row[1:] for row in stored(lake, "SELECT segment_id, state, utterance_count, error FROM jobs")}
    assert {name: row[0] for name, row in found.items()} == {name: state for name, (_, state) in MALFORMED.items()}
    assert {name for name, row in found.items() if row[1]} == {"one-bad"}
    assert {name for name, row in found.items() if not row[2]} == {"silence"}
    bad = dict(stored(lake, "SELECT segment_id, kind FROM quarantine"))
    assert bad == {name: "utterance" if name == "one-bad" else "job" for name in MALFORMED if name != "silence"}


def test_a_body_that_is_about_no_job_is_in_quarantine_without_secrets(lake: Lake) -> None:
    """It came to a path that only the platform knows, so somebody should look at it."""
    intend(lake)
    body = (
        b'{"contentUri": "https://x/?access_token=hidden-1", "webhook": "https://etl/ringcx/' + SECRET.encode() + b'"}'
    )
    assert statuses(post(lake, body)) == [404]
    ((kind, raw),) = stored(lake, "SELECT kind, raw FROM quarantine")
    assert (kind, "hidden-1" in raw, SECRET in raw) == ("job", False, False)


def test_a_failed_job_says_why_without_secrets(lake: Lake) -> None:
    """The platform may repeat the address of the audio."""
    intend(lake)
    error = {"errorCode": "CAI-110", "message": "no audio at https://x/?access_token=hidden-1&y"}
    post(lake, told({"errors": [error]}, "Fail"))
    assert stored(lake) == [("failed", "job-1", 0, "run", "CAI-110 no audio at https://x/?access_token=***&y")]


def test_insights_are_stored_with_their_scope(lake: Lake) -> None:
    """Of utterances, speakers and the conversation, in the order of the answer."""
    intend(lake, ANALYSIS)
    emotion = {"name": "Emotion", "value": "Joy", "confidence": 0.9}
    response = {
        "utteranceInsights": [{"start": 0.1, "end": 1, "text": "Hi.", "speakerId": "0", "insights": [emotion]}],
        "speakerInsights": {"speakerCount": 1, "insights": [{"name": "Pace", "values": [{"speakerId": "0"}, 7]}]},
        "conversationalInsights": [{"name": "Topics", "values": [{"value": "order", "start": 0, "end": 2}]}, 5],
    }
    post(lake, told(response))
    columns = "scope, name, speaker_id, starts_at_ms, ends_at_ms, value"
    assert stored(lake, f"SELECT {columns} FROM insights ORDER BY position") == [
        ("utterance", "Emotion", "0", 100, 1000, msgspec.json.encode(emotion).decode()),
        ("speaker", "Pace", "0", None, None, '{"speakerId":"0"}'),
        ("speaker", "Pace", None, None, None, "7"),
        ("conversation", "Topics", None, 0, 2000, '{"value":"order","start":0,"end":2}'),
    ]
    assert stored(lake, "SELECT state FROM jobs") == [("done",)]
    assert stored(lake, "SELECT kind FROM quarantine") == [("insight",)]


class Busy:
    """A lake that another writer holds."""

    def __init__(self, lake: Lake) -> None:
        self.query = lake.query

    def commit(self, changes: Sequence[Change], message: str = "") -> Mapping[str, Written]:
        """Not now."""
        raise LakeBusy("the write lock is held")


def test_a_busy_lake_has_the_platform_try_again(lake: Lake) -> None:
    """200 would be a lie: nothing was stored yet."""
    intend(lake)
    assert statuses(post(Busy(lake), told())) == [503]
    assert statuses(post(lake, told())) == [200]


def virtually(work: Callable[[], Coroutine[Any, Any, int]]) -> int:
    """What it returns, at virtual time."""
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(work())


def test_a_body_that_does_not_come_is_not_waited_for(lake: Lake) -> None:
    """Or whoever knows a path could keep the others out."""
    intend(lake)

    async def work() -> int:
        sent: list[Any] = []

        async def never() -> Any:
            await asyncio.Event().wait()

        async def send(message: Any) -> None:
            sent.append(message)

        scope = {"type": "http", "method": "POST", "path": PATH, "headers": [], "query_string": b""}
        await Webhook(lake, lambda: NOW, "webhook")(scope, never, send)
        assert 30 <= asyncio.get_running_loop().time() < 31
        return int(sent[0]["status"])

    assert virtually(work) == 404


def test_a_path_below_a_proxys_prefix_is_found(lake: Lake) -> None:
    """A proxy may hand on its own prefix, or take it away."""
    intend(lake)
    assert statuses(post(lake, told(), path="/hooks" + PATH)) == [200]


def test_it_serves_on_a_socket_and_a_taken_port_says_so(lake: Lake) -> None:
    """As RingCentral, through a proxy, reaches it."""
    intend(lake)

    async def run() -> int:
        async with serving(Webhook(lake, lambda: NOW, "webhook"), 0) as port, httpx.AsyncClient() as client:
            with pytest.raises(OSError, match="in use"):
                async with serving(Webhook(lake, lambda: NOW, "webhook"), port):
                    pass
            answer = await client.post(f"http://127.0.0.1:{port}{PATH}", content=told())
            assert "server" not in answer.headers
            return answer.status_code

    assert asyncio.run(run()) == 200
    assert stored(lake, "SELECT state FROM jobs") == [("done",)]


def test_the_command_serves_until_it_is_told_to_end(lake: Lake, tmp_path: Path) -> None:
    """As a service does: SIGTERM ends it properly; and without its public address it says what to set."""
    env = clean_environment() | {"RINGCX_LAKE": str(tmp_path / "lake"), "RINGCX_WEBHOOK_PORT": "0"}
    assert "RINGCX_WEBHOOK_URL" in run_cli("webhook", env=env).stderr
    process = cli("webhook", env=env | {"RINGCX_WEBHOOK_URL": "https://etl.example"})
    assert process.stdout is not None
    address = process.stdout.readline().split()[4].removesuffix("/ringcx/...;")
    intend(lake)
    assert httpx.post(address + PATH, content=told()).status_code == 200
    process.terminate()
    assert process.wait(20) == 0
    assert (process.stdout.read(), stored(lake, "SELECT state FROM jobs")) == ("", [("done",)])
    process.stdout.close()
