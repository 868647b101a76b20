"""Streaming profiles over HTTP (spec: call-streaming-profile-openapi.json; seeds 001 and 002).

Not documented, and assumed: 404 for an unknown product, 409 for a second profile of one product, 403 for a sub-account
of somebody else; an update changes what it names and leaves the rest.
"""

import re
from typing import Annotated, TypeVar

import msgspec

from connectors.sandbox import replies
from connectors.sandbox.call import Call, World
from connectors.sandbox.media.profiles import ProductType, Profile
from connectors.sandbox.replies import Reply

# The specification's own pattern: a host and a port, and no path.
URL = re.compile(
    r"(wss://)([0-9]{1,3}(?:\.[0-9]{1,3}){3}"
    r"|(([a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9\-]*[a-zA-Z0-9])\.)*([A-Za-z0-9]|[A-Za-z0-9][A-Za-z0-9\-]*[A-Za-z0-9]))"
    r"(:([0-9]{1,5}))?"
)
Wanted = TypeVar("Wanted", bound="Update")
Int32 = Annotated[int, msgspec.Meta(ge=-(2**31), lt=2**31)]


class Update(msgspec.Struct, frozen=True, rename="camel"):
    """The body of an update (spec: `UpdateProductReq`)."""

    product_type: ProductType
    product_id: Int32
    sub_account_id: str
    streaming_url: str
    main_account_id: str | None = None
    rc_account_id: str | None = None
    secret: str | None = None


class Creation(Update, frozen=True, rename="camel", kw_only=True):
    """The body of a creation (spec: `CreateProductReq`), which must say whose the product is."""

    main_account_id: str
    rc_account_id: str


def create_profile(world: World, call: Call) -> Reply:
    """A new profile."""
    wanted = _decoded(call, Creation)
    if isinstance(wanted, Reply):
        return wanted
    if refusal := _refusal(world, call, wanted.sub_account_id):
        return refusal
    if world.profiles.find(wanted.sub_account_id, wanted.product_type, wanted.product_id):
        return replies.error(409, call.uri, call.now_ms)
    profile = Profile(**msgspec.structs.asdict(wanted))
    world.profiles.put(profile)
    return replies.ok(profile)


def update_profile(world: World, call: Call) -> Reply:
    """Another address, or another secret, for a profile that is there."""
    wanted = _decoded(call, Update)
    if isinstance(wanted, Reply):
        return wanted
    if refusal := _refusal(world, call, wanted.sub_account_id):
        return refusal
    old = world.profiles.find(wanted.sub_account_id, wanted.product_type, wanted.product_id)
    if old is None:
        return replies.error(404, call.uri, call.now_ms)
    named = {name: value for name, value in msgspec.structs.asdict(wanted).items() if value is not None}
    profile = msgspec.structs.replace(old, **named)
    world.profiles.put(profile)
    return replies.ok(profile)


def read_profile(world: World, call: Call) -> Reply:
    """The profile of a product."""
    profile = _named(world, call)
    return profile if isinstance(profile, Reply) else replies.ok(profile)


def delete_profile(world: World, call: Call) -> Reply:
    """The end of a profile; the wording of the answer is not documented."""
    profile = _named(world, call)
    if isinstance(profile, Reply):
        return profile
    world.profiles.remove(profile)
    return Reply(200, b"Product deleted", replies.TEXT)


def _named(world: World, call: Call) -> Profile | Reply:
    """The profile of the path, or why it cannot be had."""
    if refusal := _refusal(world, call, call.ids["sub"]):
        return refusal
    kind, number = call.ids["type"], call.ids["id"]
    if kind not in ("QUEUE", "CAMPAIGN") or not re.fullmatch(r"-?[0-9]{1,10}", number):
        return replies.error(400, call.uri, call.now_ms)
    return world.profiles.find(call.ids["sub"], kind, int(number)) or replies.error(404, call.uri, call.now_ms)


def _decoded(call: Call, kind: type[Wanted]) -> Wanted | Reply:
    try:
        wanted = msgspec.json.decode(call.body, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return replies.error(400, call.uri, call.now_ms)
    if wanted.streaming_url and not URL.fullmatch(wanted.streaming_url):
        problem = ("streamingUrl", "must be a wss:// address", "")
        return replies.error(400, call.uri, call.now_ms, [problem])
    return wanted


def _refusal(world: World, call: Call, sub_account_id: str) -> Reply | None:
    sub = world.sub_accounts.get(sub_account_id)
    return replies.access_denied(call.now_ms) if sub is None or sub.denied else None
