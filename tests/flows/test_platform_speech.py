"""RingCentral's AI hears recordings: whatever becomes of a job, its segment is heard once, or it is said why not."""

import asyncio
import json
import logging
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from rich.pretty import pretty_repr

from connectors.errors import ConnectorError, Denied, Unauthorized
from connectors.sandbox import Fault, JobTrouble, SandboxConfig, SandboxServer
from flows.calls.speech import platform_jobs
from flows.calls.speech.platform_jobs import Intent
from flows.calls.speech.platform_speech import Heard, Wanted, hear
from flows.calls.tables import JOBS, RECORDINGS
from flows.runtime import Runtime, open_runtime
from flows.sandboxes import point_at
from flows.settings import SettingsError, load_settings
from sinks.changes import Upsert
from tests.flows.elsewhere import ACCOUNT, BEGAN, LINES, SUB, Play, key, play, wanted
from tests.processes import free_port

JOB_SQL = "SELECT * FROM jobs ORDER BY segment_id, source"
SAID_SQL = """
    SELECT segment_id, seq, message, participant_id, participant_type, spoken_at, segment_day, extra FROM utterances
    WHERE source = 'ringcentral-ai' ORDER BY segment_id, seq
"""
pytestmark = pytest.mark.usefixtures("laid_out")


def rows(runtime: Runtime, sql: str = JOB_SQL) -> list[dict[str, Any]]:
    """What is stored."""
    return runtime.lake.query(sql).to_pylist()


def states(heard: list[Heard]) -> list[str]:
    """Of each, in the order of the segments."""
    return [one.state for one in sorted(heard, key=lambda one: (one.key, one.source))]


def test_segments_are_heard_and_analysed_and_nobody_is_asked_twice(tmp_path: Path) -> None:
    """The main job: answers come to the webhook, in their own order, and stand in the tables."""

    async def scenario(stage: Play, runtime: Runtime) -> None:
        done: list[tuple[str, str]] = []
        heard = await hear(
            runtime, wanted(2), "run", analyze=True, on_done=lambda one, state: done.append((one.key[2], state))
        )
        assert (states(heard), sorted(done)) == (["done"] * 4, [("s0", "done"), ("s1", "done")])
        assert (len(stage.asked("POST")), stage.asked("GET")) == (4, [])
        said = rows(runtime, SAID_SQL)
        assert [(row["segment_id"], row["seq"], row["message"]) for row in said] == [
            (segment, seq, line) for segment in ("s0", "s1") for seq, line in enumerate(LINES)
        ]
        offsets = [json.loads(row["extra"])["start_ms"] for row in said]
        assert [row["spoken_at"] for row in said] == [BEGAN + timedelta(milliseconds=ms) for ms in offsets]
        assert {(row["segment_day"], row["participant_type"]) for row in said} == {(BEGAN.date(), None)}
        assert [row["participant_id"] for row in said] == ["0", "1"] * 2
        insights = rows(runtime, "SELECT segment_id, scope, position FROM insights ORDER BY ALL")
        assert {row["scope"] for row in insights} == {"utterance", "speaker", "conversation"}
        assert len(insights) == len({(row["segment_id"], row["position"]) for row in insights})
        assert states(await hear(runtime, wanted(2), "again", analyze=True)) == ["done"] * 4
        assert len(stage.asked("POST")) == 4

    play(scenario, tmp_path)


def test_without_a_webhook_jobs_are_asked_at_growing_pauses(tmp_path: Path) -> None:
    """Polling is the fallback, and a slow job must not eat the quota of the others."""

    async def scenario(stage: Play, runtime: Runtime) -> list[float]:
        assert states(await hear(runtime, wanted(), "run")) == ["done"]
        assert rows(runtime)[0]["run_id"] == "run"
        asked = stage.asked("GET")
        return [round(after - before) for before, after in pairwise(asked)]

    assert play(scenario, tmp_path, by_webhook=False, ai_seconds=(200, 200)) == [5, 10, 20, 40, 80, 160]


# trouble -> state of the job, and how often the platform is asked for it
TROUBLES = {
    "none": (JobTrouble(), "done", 0),
    "fail": (JobTrouble(fail=True), "failed", 0),
    "silent": (JobTrouble(silent=True), "done", 1),
    "twice": (JobTrouble(twice=True), "done", 0),
    "early": (JobTrouble(early=True), "done", 0),
    "expired": (JobTrouble(expired=True), "expired", 3),
}


def test_each_trouble_of_a_job_ends_in_its_state(tmp_path: Path) -> None:
    """Heard once where it can be; otherwise the row says why not."""

    async def scenario(stage: Play, runtime: Runtime) -> None:
        stage.script(*(trouble for trouble, _, _ in TROUBLES.values()))
        await hear(runtime, wanted(len(TROUBLES)), "run")
        expected = {f"s{number}": state for number, (_, state, _) in enumerate(TROUBLES.values())}
        found = {row["segment_id"]: row for row in rows(runtime)}
        assert {name: row["state"] for name, row in found.items()} == expected
        assert {name for name, row in found.items() if row["error"]} == {"s1", "s5"}
        assert "could not be processed" in found["s1"]["error"]
        assert {(row["claimed_by"], row["next_attempt_at"], bool(row["job_id"])) for row in found.values()} == {
            (None, None, True)
        }
        said = [row["segment_id"] for row in rows(runtime, SAID_SQL)]
        assert said == sorted(2 * [name for name, state in expected.items() if state == "done"])
        assert {status for _, _, status in stage.elsewhere.posts} == {200}
        assert len(stage.asked("GET")) == sum(asked for _, _, asked in TROUBLES.values())

    play(scenario, tmp_path)


def test_a_killed_runs_jobs_are_collected_by_the_next(tmp_path: Path) -> None:
    """They cost money, and are under way: nobody asks for them again."""

    async def scenario(stage: Play, runtime: Runtime) -> None:
        running = asyncio.create_task(hear(runtime, wanted(2), "killed"))
        while len(stage.world.sandbox.jobs.all()) < 2:
            await asyncio.sleep(0.1)
        await asyncio.sleep(0.5)
        running.cancel()
        await asyncio.wait([running])
        assert [row["state"] for row in rows(runtime)] == ["submitted"] * 2
        async with stage.open() as next_process:
            assert await hear(next_process, [], "next") == []
        assert [(row["state"], row["utterance_count"], row["run_id"]) for row in rows(runtime)] == [
            ("done", 2, "killed")
        ] * 2
        assert len(stage.asked("POST")) == 2

    play(scenario, tmp_path, by_webhook=False)


def test_what_may_have_begun_is_not_begun_again_and_its_answer_finds_it(tmp_path: Path) -> None:
    """The receipt was cut: only the webhook's path, known before, says which job the answer is of."""

    async def scenario(stage: Play, runtime: Runtime) -> None:
        stage.world.sandbox.script("ai", [Fault(truncate=True)])
        assert states(await hear(runtime, wanted(), "run")) == ["done"]
        assert (len(stage.asked("POST")), len(rows(runtime, SAID_SQL))) == (1, 2)

    play(scenario, tmp_path)


def test_what_may_have_begun_and_never_answers_is_begun_anew_after_a_while(tmp_path: Path) -> None:
    """At first it is only waited for; then it is due again, and one answer is stored, three attempts being the end."""

    async def scenario(stage: Play, runtime: Runtime) -> None:
        stage.world.sandbox.script("ai", [Fault(status=500)])
        assert states(await hear(runtime, wanted(), "first")) == ["waiting"]
        (row,) = rows(runtime)
        assert (row["attempts"], len(stage.asked("POST"))) == (1, 1)
        assert "may have been done or not" in row["error"]
        assert states(await hear(runtime, wanted(), "too-soon")) == ["waiting"]
        assert len(stage.asked("POST")) == 1
        await asyncio.sleep(1200)
        assert states(await hear(runtime, wanted(), "later")) == ["done"]
        assert (len(stage.asked("POST")), len(rows(runtime, SAID_SQL))) == (2, 2)

    play(scenario, tmp_path)


def test_a_run_killed_before_the_receipt_loses_no_answer(tmp_path: Path) -> None:
    """Its row was there first; the answer comes to the webhook's process when no run is there any more."""

    async def scenario(stage: Play, runtime: Runtime) -> None:
        stage.world.sandbox.script("ai", [Fault(delay_s=20)])
        running = asyncio.create_task(hear(runtime, wanted(), "killed"))
        await asyncio.sleep(0.5)
        assert [(row["state"], row["job_id"]) for row in rows(runtime)] == [("submitted", None)]
        running.cancel()
        await asyncio.wait([running])
        await stage.world.sandbox.world.background.idle()
        assert states(await hear(runtime, wanted(), "next")) == ["done"]
        assert (len(stage.asked("POST")), len(rows(runtime, SAID_SQL))) == (1, 2)

    play(scenario, tmp_path)


REFUSALS: dict[str, tuple[Fault, type[ConnectorError] | None, str, int]] = {
    "400": (Fault(status=400), None, "failed", 1),
    "403": (Fault(status=403), Denied, "waiting", 1),
    "429": (Fault(status=429, retry_after_s=1), None, "waiting", 5),
}


@pytest.mark.parametrize(("fault", "kind", "state", "requests"), REFUSALS.values(), ids=REFUSALS.keys())
def test_what_was_surely_not_begun_says_so(
    tmp_path: Path, fault: Fault, kind: type[ConnectorError] | None, state: str, requests: int
) -> None:
    """A refused request ends the job; a missing permission or a busy platform costs it no attempt."""

    async def scenario(stage: Play, runtime: Runtime) -> None:
        stage.world.sandbox.script("ai", [fault] * 9)
        if kind is None:
            assert states(await hear(runtime, wanted(), "run")) == [state]
        else:
            with pytest.raises(kind, match="app permission AI"):
                await hear(runtime, wanted(), "run")
        (row,) = rows(runtime)
        assert (row["state"], bool(row["error"]), len(stage.asked("POST"))) == (state, True, requests)
        assert row["attempts"] == (1 if state == "failed" else 0)

    play(scenario, tmp_path)


def test_a_renewed_token_lets_a_refused_job_go_on(tmp_path: Path) -> None:
    """A 401 was surely refused, so it is sent again."""

    async def scenario(stage: Play, runtime: Runtime) -> None:
        stage.world.sandbox.script("ai", [Fault(expired=True)])
        assert states(await hear(runtime, wanted(), "run")) == ["done"]
        assert len(stage.asked("POST")) == 2

    play(scenario, tmp_path)


def test_a_ready_ringcx_token_cannot_ask_ringcentral(tmp_path: Path) -> None:
    """It says what to set; and nothing was begun."""

    async def scenario(stage: Play, runtime: Runtime) -> None:
        one = Wanted(key(), BEGAN, BEGAN.date(), None, "https://audio.example/call.wav")
        with pytest.raises(Unauthorized, match="RINGCENTRAL_JWT"):
            await hear(runtime, [one], "run")
        assert rows(runtime)[0]["state"] == "waiting"

    play(scenario, tmp_path, ringcx_access_token="ready")


def test_audio_that_is_not_there_yet_is_asked_for_later(tmp_path: Path) -> None:
    """A recording takes its time to appear; that is no end of its job."""

    async def scenario(stage: Play, runtime: Runtime) -> None:
        one = Wanted((SUB, "d", "s9"), BEGAN, BEGAN.date())
        assert states(await hear(runtime, [one], "run")) == ["waiting"]
        (row,) = rows(runtime)
        assert (row["attempts"], "contentUri" in row["error"]) == (1, True)

    play(scenario, tmp_path)


def test_two_channels_tell_who_is_who(tmp_path: Path) -> None:
    """A recording that is known to have a channel for each side is heard so: agent first."""

    async def scenario(stage: Play, runtime: Runtime) -> None:
        known = {"recording_id": "r", "sub_account_id": SUB, "dialog_id": "d", "segment_id": "s0", "origin": "ringcx"}
        table = pa.Table.from_pylist([{**known, "state": "stored", "channels": 2}], RECORDINGS.schema)
        runtime.lake.commit([Upsert(RECORDINGS, table)])
        await hear(runtime, wanted(2), "run")
        apart = [job.asked["separateSpeakerPerChannel"] for job in stage.world.sandbox.jobs.all()]
        assert apart == [True, False]
        said = rows(runtime, SAID_SQL)
        assert [row["participant_type"] for row in said] == ["agent", "contact", None, None]

    play(scenario, tmp_path)


def test_tokens_go_to_ringcentral_and_ringcx_only(tmp_path: Path) -> None:
    """Whose audio it is may be anybody's; whoever has the token reads the account."""

    async def scenario(stage: Play, runtime: Runtime) -> list[str]:
        uris = ["https://audio.example/a.wav", "http://sandbox/restapi/v1.0/account/~/recording/1/content?x=1"]
        all_wanted = [Wanted(key(n), BEGAN, BEGAN.date(), None, uri) for n, uri in enumerate(uris)]
        await hear(runtime, all_wanted, "run", wait_s=0)
        return [job.content_uri for job in stage.world.sandbox.jobs.all()]

    plain, protected = play(scenario, tmp_path)
    assert plain == "https://audio.example/a.wav"
    assert "content?x=1&access_token=" in protected


@pytest.mark.parametrize("url", ["ftp://x", "http://etl.example", "https://", "https://x/?key=1", "nonsense"])
def test_an_address_that_cannot_be_a_webhooks_is_refused_before_anything_is_asked(tmp_path: Path, url: str) -> None:
    """What was said would go through the net in the clear, or nowhere."""

    async def scenario(stage: Play, runtime: Runtime) -> list[float]:
        with pytest.raises(SettingsError, match="RINGCX_WEBHOOK_URL"):
            await hear(runtime, wanted(), "run")
        return stage.asked("POST")

    assert play(scenario, tmp_path, ringcx_webhook_url=url) == []


def test_over_real_sockets_an_answer_comes_to_the_runs_own_webhook(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """End to end; and neither the token nor a webhook's path is in any log line, table, error or repr."""
    caplog.set_level(logging.DEBUG)
    config = SandboxConfig(account=ACCOUNT, recording_s=(0, 0), ai_seconds=(0, 0), static_token=None)
    with SandboxServer(config) as server:
        port = free_port()
        given = {name.lower(): value for name, value in point_at(config, server.base_url).items()}
        settings = load_settings(
            _env_file=None,
            ringcx_lake=str(tmp_path / "lake"),
            ringcx_state_path=str(tmp_path / "state"),
            ringcx_webhook_url=f"http://127.0.0.1:{port}",
            ringcx_webhook_port=port,
            **given,
        )

        async def run() -> tuple[list[Heard], str]:
            async with open_runtime(settings) as runtime, asyncio.timeout(30):
                heard = await hear(runtime, wanted(2), "run", analyze=True)
                server.sandbox.script("ai", [Fault(status=400, body='{"errors": [{"message": "ECHO"}]}')])
                heard += await hear(runtime, [Wanted(key(3), BEGAN, BEGAN.date())], "refused")
                stored = [str(rows(runtime, f"FROM {table}")) for table in runtime.lake.tables]
                return heard, "".join(stored)

        heard, stored = asyncio.run(run())
        jobs = server.sandbox.jobs.all()
    assert [one.state for one in heard] == ["done"] * 4 + ["failed"]
    secrets = [job.content_uri.partition("access_token=")[2] for job in jobs]
    secrets += [job.webhook.rpartition("/")[2] for job in jobs]
    assert all(len(secret) > 20 for secret in secrets)
    everything = stored + caplog.text + str(heard) + pretty_repr(heard)
    assert [secret for secret in [*secrets, "access_token="] if secret in everything] == []


def test_an_intent_shows_no_secret() -> None:
    """It is in tracebacks with locals, which go into logs."""
    one = Intent(
        key=key(),
        source="ringcentral-ai",
        started_at=BEGAN,
        segment_day=BEGAN.date(),
        content_uri="https://x/?access_token=hidden",
        secret="hidden",
    )
    assert "hidden" not in repr(one) + pretty_repr(one) + str(Wanted(key(), BEGAN, BEGAN.date(), None, "hidden"))
    assert platform_jobs.digest_of("/ringcx/short") == ""
    assert JOBS.key[-1] == "source"
