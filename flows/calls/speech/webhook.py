"""Where RingCentral's AI tells what it heard: a path for each job, which nobody can guess, and 404 for all else.

The tables hold a path's digest only, so whoever reads them cannot answer a job. An answer is stored if its path is that
of a job that has not ended, and if it names that job where its id is known. It gets 200 once it is committed, and again
when it comes again. 503, when the lake is busy, has the platform try again. Anything else, another method, another
path, too long a body, another job's answer, gets the same 404.
"""

import asyncio
import logging
import socket
from collections.abc import AsyncIterator, Callable, Generator
from contextlib import asynccontextmanager, contextmanager
from datetime import datetime
from urllib.parse import urlsplit

import uvicorn
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from connectors.answers import UNREADABLE
from connectors.ringcentral.results import parse_answer, raw_of
from flows.calls.speech import jobs
from flows.calls.speech.platform_answers import refuse, settle
from flows.calls.speech.platform_jobs import Asked, asked, digest_of
from flows.pipeline import unbroken
from flows.ports import Store
from flows.settings import Settings, SettingsError
from sinks.errors import LakeError

log = logging.getLogger(__name__)

LOOPBACK = "127.0.0.1"
LONGEST_BYTES = 16 << 20  # an hour's words with their times are about 2 MB
BODIES_AT_ONCE, LOOKS_AT_ONCE = 4, 4
BODY_S = 30.0
CONNECTIONS = 64
STORED, NOBODY, LATER = 200, 404, 503


class Webhook:
    """The application. `on_answer` is called after each answer that was taken."""

    def __init__(
        self,
        store: Store,
        now: Callable[[], datetime],
        run_id: str,
        on_answer: Callable[[], None] = lambda: None,
        longest_bytes: int = LONGEST_BYTES,
    ) -> None:
        self._store, self._now, self._run_id, self._on_answer = store, now, run_id, on_answer
        self._longest_bytes = longest_bytes
        self._looks, self._bodies = asyncio.Semaphore(LOOKS_AT_ONCE), asyncio.Semaphore(BODIES_AT_ONCE)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        request = Request(scope, receive)
        status = await self._answered(request)
        await Response(status_code=status, headers={"connection": "close"})(scope, receive, send)

    async def _answered(self, request: Request) -> int:
        digest = digest_of(request.url.path) if request.method == "POST" else ""
        if not digest:
            return NOBODY
        try:
            async with self._looks:
                job = await unbroken(self._job, digest)
            if job is None:
                return NOBODY
            async with self._bodies:
                body = await self._body(request, job)
                status = NOBODY if body is None else await unbroken(self._take, digest, body)
        except LakeError as error:
            log.warning("webhook later error=%s", error)
            return LATER
        if status == STORED:
            self._on_answer()
        return status

    def _job(self, digest: str) -> Asked | None:
        return next(iter(asked(self._store, "webhook_digest = ?", [digest])), None)

    def _take(self, digest: str, body: bytes) -> int:
        """Look once more, for reading the body took its time; then store what came of the job."""
        job = self._job(digest)
        if job is None:
            return NOBODY
        try:
            answer = parse_answer(body)
        except UNREADABLE as error:
            if job.state not in jobs.ENDED:
                log.warning("webhook unreadable job=%s error=%s", job.name, error)
                reason = f"a webhook's answer that is about no job ({error})"
                refuse(self._store, job.key, "webhook", raw_of(body), reason, self._now(), self._run_id)
            return NOBODY
        if job.job_id is not None and job.job_id != answer.job_id:
            log.warning("webhook refused job=%s: the answer is another job's", job.name)
            return NOBODY
        settle(self._store, job, answer, self._now(), self._run_id)
        return STORED

    async def _body(self, request: Request, job: Asked) -> bytes | None:
        """The body; None for one that is too long or does not come."""
        body = bytearray()
        try:
            async with asyncio.timeout(BODY_S):
                async for chunk in request.stream():
                    body += chunk
                    if len(body) > self._longest_bytes:
                        log.warning("webhook refused job=%s: more than %d bytes", job.name, self._longest_bytes)
                        return None
        except (TimeoutError, ClientDisconnect):
            return None
        return bytes(body)


def public_url(settings: Settings) -> str:
    """The address that RingCentral is told. Raises SettingsError for one that must not be used."""
    url = settings.ringcx_webhook_url
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError:
        host = ""
    if not host or parts.query or parts.fragment or parts.scheme not in ("https", "http"):
        raise SettingsError("RINGCX_WEBHOOK_URL: set it to the public address of `ringcx-etl webhook`, https://host...")
    if parts.scheme == "http" and host not in (LOOPBACK, "::1", "localhost"):
        raise SettingsError("RINGCX_WEBHOOK_URL: http:// sends what was said in the clear; use https://")
    return url.rstrip("/")


@asynccontextmanager
async def serving(webhook: Webhook, port: int, host: str = LOOPBACK) -> AsyncIterator[int]:
    """Receive answers while the block lasts; its port. Raises OSError where that is taken.

    In the clear: the public address, with its TLS, is a proxy's.
    """
    listener = socket.create_server((host, port), backlog=CONNECTIONS)
    config = uvicorn.Config(
        webhook,
        log_config=None,
        log_level="critical",
        access_log=False,  # a line of it would hold the path
        server_header=False,
        lifespan="off",
        ws="none",
        timeout_keep_alive=5,
        timeout_graceful_shutdown=5,
        limit_concurrency=CONNECTIONS,
    )
    server = _Server(config)
    task = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        yield int(listener.getsockname()[1])
    finally:
        server.should_exit = True
        await asyncio.wait([task])
        listener.close()


class _Server(uvicorn.Server):
    """Leaves the signals to the program that it is part of."""

    @contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Nothing is captured."""
        yield
