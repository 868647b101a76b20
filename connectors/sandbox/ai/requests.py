"""The AI API over HTTP: jobs are begun and asked about."""

from typing import Any
from urllib.parse import urlsplit

import msgspec

from connectors.sandbox.call import Call, World
from connectors.sandbox.replies import Reply, ok

REQUIRED = ("contentUri", "encoding", "languageCode")


def begin_job(world: World, call: Call) -> Reply:
    """A job for some audio: 202 and its id; the audio is fetched and the webhook called later."""
    asked, problems = _asked(call.body)
    webhook = call.parameter("webhook")
    if not _is_address(webhook):
        problems.insert(0, "webhook")
    if problems:
        return _refused(400, problems)
    job = world.jobs.accept(call.uri.partition(" ")[0], asked, webhook, call.now_ms)
    clock = world.calls.now_ms
    accepted = Reply(202, msgspec.json.encode({"jobId": job.job_id}))
    if job.trouble.early:
        return accepted._replace(before=lambda: world.jobs.work(job, world.sounds.lines, clock))
    world.background.begin(world.jobs.work(job, world.sounds.lines, clock))
    return accepted


def job_status(world: World, call: Call) -> Reply:
    """A job as it is now; 404 once it is forgotten."""
    job = world.jobs.find(call.ids["job"], call.now_ms)
    return _refused(404, ["jobId"]) if job is None else ok(job.shown())


def _asked(body: bytes) -> tuple[dict[str, Any], list[str]]:
    """The body, and the parameters that are wrong in it."""
    try:
        asked = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        asked = None
    if not isinstance(asked, dict):
        return {}, ["body"]
    wrong = [name for name in REQUIRED if not isinstance(asked.get(name), str) or not asked[name]]
    if "contentUri" not in wrong and not _is_address(asked["contentUri"]):
        wrong.append("contentUri")
    return asked, wrong


def _is_address(text: str) -> bool:
    try:
        parts = urlsplit(text)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname)


def _refused(status: int, parameters: list[str]) -> Reply:
    """Errors as the API has them."""
    what = "is invalid or missing" if status == 400 else "is not found"
    errors = [
        {"errorCode": "CAI-101", "message": f"Parameter [{name}] {what}", "parameterName": name} for name in parameters
    ]
    return Reply(status, msgspec.json.encode({"errors": errors}))
