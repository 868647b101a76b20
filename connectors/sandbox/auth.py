"""Who may ask: the token endpoints of both hosts, and the check of the RingCX token.

Source: ringcx-api.md, *Authentication, two steps*.
"""

from base64 import b64decode
from binascii import Error as Base64Error
from urllib.parse import parse_qs

import msgspec

from connectors.sandbox import replies
from connectors.sandbox.call import Call, World
from connectors.sandbox.replies import Reply
from connectors.sandbox.tokens import Pair

JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"


def oauth_token(world: World, call: Call) -> Reply:
    """A RingCentral token for the JWT or for a refresh token (ringcx-api.md, *Authentication*, step 1)."""
    config, form = world.config, call.form
    if _basic(call.authorization) != (config.client_id, config.client_secret):
        return replies.oauth_error(401, "invalid_client", "Client authentication is required")
    grant = form.get("grant_type")
    pair: Pair | None = None
    if grant == JWT_BEARER:
        pair = world.platform_tokens.issue(call.now) if form.get("assertion") == config.jwt else None
    elif grant == "refresh_token":
        pair = world.platform_tokens.refresh(form.get("refresh_token", ""), call.now)
    else:
        return replies.oauth_error(400, "unsupported_grant_type", f"Unsupported grant type: {grant}")
    if pair is None:
        return replies.oauth_error(400, "invalid_grant", "The assertion or token is invalid, expired or already used")
    return replies.ok(
        {
            "access_token": pair.access,
            "token_type": "bearer",
            "expires_in": config.platform_token_seconds,
            "refresh_token": pair.refresh,
            "refresh_token_expires_in": 604_799,
            "scope": "ReadAccounts",
            "owner_id": "63403121",
            "endpoint_id": "sandbox-endpoint",
        }
    )


def platform_account(world: World, call: Call) -> Reply:
    """The RingCentral account of the token; its `id` is the rcAccountId."""
    if refusal := platform_door(world, call):
        return refusal
    return replies.ok({"id": world.config.rc_account_id, "mainNumber": "+16505550100", "status": "Confirmed"})


def ringcx_login(world: World, call: Call) -> Reply:
    """A RingCX token for a RingCentral token (ringcx-api.md, *Authentication*, step 2)."""
    form = call.form
    if not form.get("rcAccessToken") or form.get("rcTokenType") != "Bearer":
        return replies.error(400, call.uri, call.now_ms)
    if not world.platform_tokens.is_valid(form["rcAccessToken"], call.now):
        return replies.error(401, call.uri, call.now_ms)
    with_refresh = parse_qs(call.query).get("includeRefresh") == ["true"]
    return _ringcx_grant(world, world.ringcx_tokens.issue(call.now), with_refresh=with_refresh)


def ringcx_refresh(world: World, call: Call) -> Reply:
    """A new RingCX token and a new refresh token; the one sent is spent."""
    pair = world.ringcx_tokens.refresh(call.form.get("refresh_token", ""), call.now)
    if pair is None:
        return replies.error(401, call.uri, call.now_ms)
    return _ringcx_grant(world, pair, with_refresh=True)


def _ringcx_grant(world: World, pair: Pair, *, with_refresh: bool) -> Reply:
    agents = [
        {
            "agentId": 1_310_618 + index,
            "firstName": "Sandbox",
            "lastName": "Supervisor",
            "agentType": "SUPERVISOR",
            "rcUserId": 63_403_121,
            "accountId": sub.sub_account_id,
            "accountName": sub.name,
        }
        for index, sub in enumerate(world.sub_accounts.values())
    ]
    return replies.ok(
        {
            "accessToken": pair.access,
            "refreshToken": pair.refresh if with_refresh else None,
            "tokenType": "Bearer",
            "mainAccountId": world.config.main_account_id,
            "agentDetails": agents,
        }
    )


def _basic(authorization: str) -> tuple[str, str] | None:
    scheme, _, encoded = authorization.partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        name, _, secret = b64decode(encoded, validate=True).decode().partition(":")
    except (Base64Error, UnicodeDecodeError):
        return None
    return name, secret


def open_door(world: World, call: Call) -> None:
    """Everybody may ask."""


def ringcx_door(world: World, call: Call) -> Reply | None:
    """401 unless the bearer token is a RingCX token."""
    return None if _is_ringcx(world, call.bearer, call.now) else replies.error(401, call.uri, call.now_ms)


def cookie_door(world: World, call: Call) -> Reply | None:
    """401 unless the cookie `access_token` is a RingCX token; `Authorization` counts for nothing here (summaries)."""
    return None if _is_ringcx(world, call.cookie_token, call.now) else replies.error(401, call.uri, call.now_ms)


def platform_door(world: World, call: Call) -> Reply | None:
    """401 unless the bearer token is a RingCentral token."""
    if world.platform_tokens.is_valid(call.bearer, call.now):
        return None
    body = {"errorCode": "TokenInvalid", "message": "Token not found", "errors": [{"errorCode": "OAU-213"}]}
    return Reply(401, msgspec.json.encode(body))


def media_door(world: World, call: Call) -> Reply | None:
    """401 unless the bearer token, or `access_token` in the address, is a token of either kind (seed 004)."""
    tokens = (call.bearer, call.query_token)
    is_known = any(
        _is_ringcx(world, token, call.now) or world.platform_tokens.is_valid(token, call.now) for token in tokens
    )
    return None if is_known else replies.error(401, call.uri, call.now_ms)


def _is_ringcx(world: World, token: str, now: float) -> bool:
    """Whether it is the static token or a RingCX token that has not expired."""
    return bool(token) and (token == world.config.static_token or world.ringcx_tokens.is_valid(token, now))
