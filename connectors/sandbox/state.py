"""The state of one running sandbox, and the words in which its requests are recorded."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from connectors.sandbox import auth
from connectors.sandbox.account import generate_account
from connectors.sandbox.ai.jobs import Jobs
from connectors.sandbox.background import Background
from connectors.sandbox.call import Call, World
from connectors.sandbox.calls.live import LiveCalls
from connectors.sandbox.clock import Clock
from connectors.sandbox.config import DEFAULT_LIMITS, SandboxConfig
from connectors.sandbox.faults import FaultPlan
from connectors.sandbox.judge import LogRecord
from connectors.sandbox.life import Life
from connectors.sandbox.media.recordings import content_path
from connectors.sandbox.model import AccountSource, Key
from connectors.sandbox.quota import Quotas, Verdict
from connectors.sandbox.replies import Reply
from connectors.sandbox.sound.library import Library
from connectors.sandbox.tokens import TokenStore

WEEK_S = 604_799  # life of a refresh token (ringcx-api.md says it of RingCentral's; for RingCX it is unknown)


class Operation(NamedTuple):
    """One endpoint: `group` is its rate-limit group; `{name}` pieces of the template become `Call.ids[name]`."""

    name: str
    method: str
    template: str
    group: str
    answer: Callable[[World, Call], Reply]
    door: Callable[[World, Call], Reply | None] = auth.ringcx_door  # the 401 for who may not ask


class Visit(NamedTuple):
    """One request and what the gate decided about it."""

    operation: Operation
    group: str
    call: Call
    verdict: Verdict
    fault: str


class Sandbox:
    """A RingCX on its own: tests reach it as `app.state.sandbox` or `SandboxServer.sandbox`.

    `log` lists every request to the platform in the order of arrival (the older half is dropped past
    `config.log_limit`); `script(group, faults)` plans trouble for the next requests of a group, see `FaultPlan.script`.
    `calls` are the live calls, `jobs` the speech jobs.
    """

    def __init__(self, config: SandboxConfig, clock: Clock) -> None:
        self.config = config
        self.clock = clock
        self.log: list[LogRecord] = []
        self.plan = FaultPlan(config.faults)
        self.script = self.plan.script
        self.quotas = Quotas({**DEFAULT_LIMITS, **config.limits}, config.penalty_seconds)
        account = config.account or _default_account(config, clock())
        subs = config.sub_accounts or account.sub_accounts
        background = Background()
        self.calls = LiveCalls(account, clock, config, background)
        self.jobs = Jobs(config)
        self.world = World(
            config=config,
            life=Life(self.calls, config.faults, {sub.sub_account_id: sub.data_retention_days for sub in subs}),
            sub_accounts={sub.sub_account_id: sub for sub in subs},
            platform_tokens=TokenStore("rc", config.platform_token_seconds, WEEK_S),
            ringcx_tokens=TokenStore("rcx", config.token_seconds, WEEK_S),
            sounds=Library(config.audio),
            calls=self.calls,
            profiles=self.calls.profiles,
            jobs=self.jobs,
            background=background,
            recordings={},
        )
        self._arrived = 0

    def recording_uri(self, key: Key) -> str:
        """The path at which RingCentral's media host has the recording of a segment, as a call log would show it."""
        return content_path(self.world, key)

    def secrets(self) -> set[str]:
        """Everything that it gave or was given and that nobody else may read: credentials, tokens, secret addresses."""
        config, world = self.config, self.world
        streams = (stream for call in self.calls.all() for stream in call.streams)
        found = {config.client_secret, config.jwt, *(stream.token for stream in streams)}
        return found | world.platform_tokens.handed_out | world.ringcx_tokens.handed_out | self.jobs.addresses()

    def record(self, visit: Visit, status: int | None) -> None:
        """Add one request to the log."""
        if len(self.log) >= self.config.log_limit:
            del self.log[: len(self.log) // 2]
        ids = visit.call.ids
        self.log.append(
            LogRecord(
                number=self._arrived,
                at=visit.call.now,
                method=visit.operation.method,
                operation=visit.operation.name,
                group=visit.group,
                sub_account_id=ids.get("sub"),
                dialog_id=ids.get("dialog"),
                segment_id=ids.get("segment"),
                status=status,
                was_inside_penalty=visit.verdict.in_penalty,
                fault=visit.fault,
            )
        )
        self._arrived += 1


def _default_account(config: SandboxConfig, now: float) -> AccountSource:
    midnight = datetime.fromtimestamp(now, UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    start = midnight - timedelta(days=config.history_days)
    if config.sub_accounts is None:
        return generate_account(config.seed, start.timestamp())
    return generate_account(config.seed, start.timestamp(), sub_accounts=config.sub_accounts)
