"""Live calls for whoever is in another process: begun, listed and ended over HTTP, without a token.

    POST /_sandbox/calls      {"dialogId", "segmentId", "subAccountId"?, "seconds"?, "hangsUp"?, "productId"?}
    GET  /_sandbox/calls      every call since the beginning, newest last
    POST /_sandbox/calls/end  {"dialogId", "subAccountId"?}

These are not in the log: the platform knows nothing of them.
"""

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from connectors.sandbox.calls.ongoing import LiveCall, Ongoing, two_voices
from connectors.sandbox.sound.g711 import encode
from connectors.sandbox.sound.library import Library
from connectors.sandbox.state import Sandbox


class _Begin(msgspec.Struct, rename="camel"):
    dialog_id: str
    segment_id: str
    sub_account_id: str = "99999999"
    seconds: float | None = None
    hangs_up: bool = True
    product_id: int | None = None


class _End(msgspec.Struct, rename="camel"):
    dialog_id: str
    sub_account_id: str = "99999999"


async def _begin(request: Request) -> Response:
    sandbox: Sandbox = request.app.state.sandbox
    try:
        wanted = msgspec.json.decode(await request.body(), type=_Begin)
        ongoing = sandbox.calls.begin(made_up(wanted, sandbox.world.sounds))
    except (msgspec.DecodeError, ValueError) as error:
        return Response(str(error), 400)
    return _json(_shown(ongoing))


async def _list(request: Request) -> Response:
    sandbox: Sandbox = request.app.state.sandbox
    return _json([_shown(ongoing) for ongoing in sandbox.calls.all()])


async def _end(request: Request) -> Response:
    sandbox: Sandbox = request.app.state.sandbox
    try:
        wanted = msgspec.json.decode(await request.body(), type=_End)
    except msgspec.DecodeError as error:
        return Response(str(error), 400)
    ongoing = sandbox.calls.live(wanted.sub_account_id, wanted.dialog_id)
    if ongoing is None:
        return Response("no such live call", 404)
    ongoing.end()
    return _json(_shown(ongoing))


def made_up(wanted: _Begin, sounds: Library) -> LiveCall:
    """A call with the sandbox's own audio; of a recording on one channel the agent has all."""
    sound = sounds.named(f"{wanted.dialog_id}/{wanted.segment_id}")
    speakers = two_voices(wanted.segment_id, agent=encode(sound.pcm), contact=encode(sound.other))
    return LiveCall(
        dialog_id=wanted.dialog_id,
        speakers=speakers if sound.other else speakers[:1],
        sub_account_id=wanted.sub_account_id,
        seconds=wanted.seconds,
        hangs_up=wanted.hangs_up,
        lines=sound.lines,
        product_id=wanted.product_id,
    )


def _shown(ongoing: Ongoing) -> dict[str, object]:
    live = ongoing.live
    return {
        "subAccountId": live.sub_account_id,
        "dialogId": live.dialog_id,
        "segmentIds": [who.segment_id for who in live.speakers if who.kind != "CONTACT"],
        "isLive": ongoing.is_live,
        "streams": [
            {
                "streamId": stream.stream_id,
                "url": stream.url,
                "status": None if stream.outcome is None else stream.outcome.status,
                "error": None if stream.outcome is None else stream.outcome.error,
            }
            for stream in list(ongoing.streams)
        ],
    }


def _json(value: object) -> Response:
    return Response(msgspec.json.encode(value), media_type="application/json")


CALL_ROUTES = (
    Route("/_sandbox/calls", _begin, methods=["POST"]),
    Route("/_sandbox/calls", _list, methods=["GET"]),
    Route("/_sandbox/calls/end", _end, methods=["POST"]),
)
