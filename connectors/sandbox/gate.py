"""The gate that every request to the platform passes: rate limit (429), then fault, then token (401), then the answer.

Nothing awaits between the arrival of a request (its body has been read) and its entry in the log, so the log is in the
order of arrival and the rate limits count what the log shows.
"""

import asyncio
from email.utils import formatdate

from starlette.types import Receive, Scope, Send

from connectors.sandbox import replies
from connectors.sandbox.call import Call
from connectors.sandbox.delivery import break_off, deliver
from connectors.sandbox.faults import Fault
from connectors.sandbox.quota import Quota, Verdict
from connectors.sandbox.replies import HTML, JSON, WEB_PAGE, Reply
from connectors.sandbox.state import Operation, Sandbox, Visit

RIGHT = Fault()


async def pass_gate(
    sandbox: Sandbox, operation: Operation, ids: dict[str, str], scope: Scope, receive: Receive, send: Send
) -> None:
    """Answer one request for `operation`, or break the connection, and record it."""
    body = b"" if scope["method"] == "GET" else await _body(receive)
    call = _call(sandbox, ids, scope, body)
    group = f"{operation.group}:{ids.get('sub')}" if operation.group == "metadata" else operation.group
    quota = sandbox.quotas.of(group)
    verdict = quota.take(call.now)
    fault = _fault(sandbox, operation, call) if verdict.accepted else RIGHT
    reply = _dated(_reply(sandbox, operation, call, fault, verdict, quota), call)
    is_broken = fault.reset or fault.cut_headers or fault.truncate
    sandbox.record(Visit(operation, group, call, verdict, fault.name), None if is_broken else reply.status)
    if fault.delay_s:
        await asyncio.sleep(fault.delay_s)
    if reply.before:
        await reply.before()
    if is_broken:
        await break_off(reply, fault, scope, receive)
    else:
        await deliver(_with_limits(reply, group, verdict) if sandbox.config.rate_limit_headers else reply, send)


def _fault(sandbox: Sandbox, operation: Operation, call: Call) -> Fault:
    body = (
        call.body if operation.group == "metadata" else b""
    )  # the bodies of the auth groups hold secrets and never repeat
    return sandbox.plan.next(operation.group, (operation.name, *call.ids.values(), body)) or RIGHT


def _reply(sandbox: Sandbox, operation: Operation, call: Call, fault: Fault, verdict: Verdict, quota: Quota) -> Reply:
    if not verdict.accepted:
        retry_after_s = verdict.retry_after_s if sandbox.config.retry_after else None
        return _with_retry_after(replies.error(429, call.uri, call.now_ms), retry_after_s)
    if fault.status is not None or fault.penalty:
        return _failure(sandbox, call, fault, quota)
    return _fake(sandbox, call, fault) or _honest(sandbox, operation, call)


def _fake(sandbox: Sandbox, call: Call, fault: Fault) -> Reply | None:
    if fault.expired:
        for token in (call.bearer, call.cookie_token, call.query_token):
            sandbox.world.ringcx_tokens.revoke(token)
        return replies.error(401, call.uri, call.now_ms)
    if fault.html:
        return Reply(200, WEB_PAGE, HTML)
    if fault.error_code is not None:
        return replies.error_code(fault.error_code)
    return None


def _honest(sandbox: Sandbox, operation: Operation, call: Call) -> Reply:
    return operation.door(sandbox.world, call) or operation.answer(sandbox.world, call)


def _failure(sandbox: Sandbox, call: Call, fault: Fault, quota: Quota) -> Reply:
    retry_after_s = fault.retry_after_s
    if fault.penalty:
        penalty_s = quota.punish(call.now)
        if retry_after_s is None and sandbox.config.retry_after:
            retry_after_s = penalty_s
    status = 429 if fault.status is None else fault.status
    if fault.body is not None:
        return _with_retry_after(Reply(status, fault.body.encode(), JSON), retry_after_s)
    return _with_retry_after(replies.error(status, call.uri, call.now_ms), retry_after_s)


def _with_retry_after(reply: Reply, seconds: int | None) -> Reply:
    if seconds is None:
        return reply
    return reply._replace(headers=(*reply.headers, (b"retry-after", str(seconds).encode())))


def _dated(reply: Reply, call: Call) -> Reply:
    """With a `Date`, by the sandbox's clock."""
    return reply._replace(headers=(*reply.headers, (b"date", formatdate(call.now, usegmt=True).encode())))


def _with_limits(reply: Reply, group: str, verdict: Verdict) -> Reply:
    if verdict.rate is None:
        return reply
    values = {
        b"x-rate-limit-group": group.partition(":")[0],
        b"x-rate-limit-limit": str(verdict.rate.requests),
        b"x-rate-limit-remaining": str(verdict.remaining),
        b"x-rate-limit-window": f"{verdict.rate.seconds:g}",
    }
    return reply._replace(headers=(*reply.headers, *((name, value.encode()) for name, value in values.items())))


def _call(sandbox: Sandbox, ids: dict[str, str], scope: Scope, body: bytes) -> Call:
    headers = dict(scope["headers"])
    return Call(
        ids=ids,
        uri=f"{scope['raw_path'].decode('latin-1')} - {scope['method']}",
        authorization=headers.get(b"authorization", b"").decode("latin-1"),
        query=scope["query_string"].decode("latin-1"),
        body=body,
        now=sandbox.clock(),
        cookie=headers.get(b"cookie", b"").decode("latin-1"),
    )


async def _body(receive: Receive) -> bytes:
    parts = []
    while True:
        message = await receive()
        parts.append(message.get("body", b""))
        if not message.get("more_body", False):
            return b"".join(parts)
