"""Which account and sub-account a path may name."""

from connectors.sandbox import replies
from connectors.sandbox.call import Call, World
from connectors.sandbox.replies import Reply


def refusal_of(world: World, call: Call) -> Reply | None:
    """404 for an unknown account, 403 (spec) for an unknown sub-account, 403 (seed 003) for a denied one."""
    if call.ids["account"] != world.config.rc_account_id:
        return replies.error(404, call.uri, call.now_ms)
    sub = world.sub_accounts.get(call.ids["sub"])
    if sub is None:
        return replies.error(403, call.uri, call.now_ms)
    return replies.access_denied(call.now_ms) if sub.denied else None
