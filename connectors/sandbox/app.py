"""The sandbox as an ASGI application: which path leads to which operation, and the judge's own endpoints.

Paths of the platform are matched on the raw bytes of the request line, split on `/` before they are percent-decoded,
because ids may contain slashes.
"""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator
from urllib.parse import unquote

import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import BaseRoute, Match, Route
from starlette.types import Receive, Scope, Send

from connectors.sandbox import auth, judge, reading, replies
from connectors.sandbox.ai import requests as ai
from connectors.sandbox.ai.jobs import ANSWERS
from connectors.sandbox.calls import control
from connectors.sandbox.calls.over_http import CALL_ROUTES
from connectors.sandbox.clock import Clock
from connectors.sandbox.config import SandboxConfig
from connectors.sandbox.delivery import TRANSPORT, deliver
from connectors.sandbox.gate import pass_gate
from connectors.sandbox.media import profile_requests, recordings, summaries
from connectors.sandbox.state import Operation, Sandbox

CX = "/voice/api/cx/integration/v1/accounts/{account}/sub-accounts/{sub}"
TRANSCRIPT = CX + "/transcripts/dialogs/{dialog}/segments/{segment}"
METADATA = CX + "/interaction-metadata"
DIALOG = CX + "/dialogs/{dialog}"
SEGMENT = DIALOG + "/segments/{segment}"
RECORDING = CX + "/recordings/dialogs/{dialog}/segments/{segment}"
SUMMARY = "/voice/api/v1/summary/accounts/{sub}/segments/{segment}"
PROFILE = "/account/{sub}/type/{type}/id/{id}"
SPEECH, INSIGHTS, JOB = *ANSWERS, "/ai/status/v1/jobs/{job}"
OPERATIONS = (
    Operation("transcript", "GET", TRANSCRIPT, "transcripts", reading.transcript),
    Operation("metadata", "POST", METADATA, "metadata", reading.interaction_metadata),
    Operation("accounts", "GET", "/voice/api/v1/admin/accounts", "accounts", reading.admin_accounts),
    Operation("oauth", "POST", "/restapi/oauth/token", "auth-platform", auth.oauth_token, auth.open_door),
    Operation("account", "GET", "/restapi/v1.0/account/~", "accounts", auth.platform_account, auth.open_door),
    Operation("login", "POST", "/api/auth/login/rc/accesstoken", "auth-ringcx", auth.ringcx_login, auth.open_door),
    Operation("refresh", "POST", "/api/auth/token/refresh", "auth-ringcx", auth.ringcx_refresh, auth.open_door),
    Operation("start-dialog-stream", "POST", DIALOG + "/streams", "media-control", control.start_stream),
    Operation("stop-dialog-stream", "DELETE", DIALOG + "/streams/{stream}", "media-control", control.stop_stream),
    Operation("start-segment-stream", "POST", SEGMENT + "/streams", "media-control", control.start_stream),
    Operation("stop-segment-stream", "DELETE", SEGMENT + "/streams/{stream}", "media-control", control.stop_stream),
    Operation("recording", "GET", RECORDING, "recordings", recordings.recording, auth.media_door),
    Operation("recording-content", "GET", recordings.CONTENT, "media", recordings.content, auth.media_door),
    Operation("auto-summary", "GET", SUMMARY + "/auto", "summaries", summaries.auto_summary, auth.cookie_door),
    Operation("agent-summary", "GET", SUMMARY + "/agent", "summaries", summaries.agent_summary, auth.cookie_door),
    Operation("speech-to-text", "POST", SPEECH, "ai", ai.begin_job, auth.platform_door),
    Operation("analyze-interaction", "POST", INSIGHTS, "ai", ai.begin_job, auth.platform_door),
    Operation("job-status", "GET", JOB, "ai", ai.job_status, auth.platform_door),
)


def operations(config: SandboxConfig) -> tuple[Operation, ...]:
    """Every operation of the platform: those above, and streaming profiles where the configuration has them."""
    path = config.profiles_path
    return (
        *OPERATIONS,
        Operation("create-profile", "POST", path, "profiles", profile_requests.create_profile),
        Operation("update-profile", "PUT", path, "profiles", profile_requests.update_profile),
        Operation("read-profile", "GET", path + PROFILE, "profiles", profile_requests.read_profile),
        Operation("delete-profile", "DELETE", path + PROFILE, "profiles", profile_requests.delete_profile),
    )


def create_app(config: SandboxConfig, clock: Clock) -> Starlette:
    """A RingCentral platform and a RingCX on one host; its state is `app.state.sandbox`.

    `clock` gives epoch seconds and must not run backwards. Beside the platform's paths there are, without a token:
    `GET /_sandbox/log?since=N` (the `LogRecord`s from number N on), `/_sandbox/summary` (see `judge.summary`), and
    `/_sandbox/truth?as=now|final` (NDJSON of `TruthRow`s; default final, see `judge.truth`), and `/_sandbox/calls` (see
    `calls.over_http`).
    """
    sandbox = Sandbox(config, clock)
    templates: defaultdict[str, dict[str, Operation]] = defaultdict(dict)
    for operation in operations(config):
        templates[operation.template][operation.method] = operation
    routes: list[BaseRoute] = [PlatformRoute(sandbox, template, found) for template, found in templates.items()]
    routes += [
        *CALL_ROUTES,
        Route("/_sandbox/log", _log),
        Route("/_sandbox/summary", _summary),
        Route("/_sandbox/truth", _truth),
    ]
    app = SandboxApp(routes=routes)
    app.router.redirect_slashes = False
    app.router.default = _not_found
    app.state.sandbox = sandbox
    return app


class SandboxApp(Starlette):
    """Starlette that remembers uvicorn's transport, which faults need to break a connection."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Note the transport (there is none in process) before Starlette wraps `send`."""
        if scope["type"] == "http":
            self.state.sandbox.world.background.serves_here()
        scope[TRANSPORT] = getattr(getattr(send, "__self__", None), "transport", None)
        await super().__call__(scope, receive, send)


class PlatformRoute(BaseRoute):
    """The operations of one path, by method, whatever characters the percent-decoded ids hold."""

    def __init__(self, sandbox: Sandbox, template: str, found: dict[str, Operation]) -> None:
        self._sandbox = sandbox
        self._operations = found
        self._pieces = template.split("/")

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Full on the path alone: the method is checked later, for a proper 405."""
        if scope["type"] != "http":
            return Match.NONE, {}
        raw = scope["raw_path"].decode("latin-1").split("/")
        if len(raw) != len(self._pieces):
            return Match.NONE, {}
        ids = {}
        for piece, wanted in zip(raw, self._pieces, strict=True):
            if wanted.startswith("{") and piece:
                ids[wanted[1:-1]] = unquote(piece)
            elif piece != wanted:
                return Match.NONE, {}
        return Match.FULL, {"path_params": ids}

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Through the gate."""
        operation = self._operations.get(scope["method"])
        if operation is None:
            await _refuse(405, int(self._sandbox.clock() * 1000), scope, send)
        else:
            await pass_gate(self._sandbox, operation, scope["path_params"], scope, receive, send)


async def _not_found(scope: Scope, receive: Receive, send: Send) -> None:
    await _refuse(404, int(scope["app"].state.sandbox.clock() * 1000), scope, send)


async def _refuse(status: int, now_ms: int, scope: Scope, send: Send) -> None:
    uri = f"{scope['raw_path'].decode('latin-1')} - {scope['method']}"
    await deliver(replies.error(status, uri, now_ms), send)


async def _log(request: Request) -> Response:
    sandbox: Sandbox = request.app.state.sandbox
    since = int(request.query_params.get("since", "0"))
    return _json([record for record in sandbox.log if record.number >= since])


async def _summary(request: Request) -> Response:
    sandbox: Sandbox = request.app.state.sandbox
    return _json(judge.summary(sandbox.log, sandbox.quotas))


async def _truth(request: Request) -> Response:
    sandbox: Sandbox = request.app.state.sandbox
    final = request.query_params.get("as", "final") == "final"
    return StreamingResponse(_truth_lines(sandbox, final=final), media_type="application/x-ndjson")


async def _truth_lines(sandbox: Sandbox, *, final: bool) -> AsyncIterator[bytes]:
    world = sandbox.world
    subs = world.sub_accounts.values()
    rows = judge.truth(world.life, subs, sandbox.config.faults, int(sandbox.clock() * 1000), final=final)
    for row in rows:
        yield msgspec.json.encode(row) + b"\n"
        await asyncio.sleep(0)  # the platform goes on answering meanwhile


def _json(value: object) -> Response:
    return Response(msgspec.json.encode(value), media_type="application/json")
