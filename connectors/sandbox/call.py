"""One request, and the world it is answered from: what every operation of the platform is given."""

from typing import NamedTuple
from urllib.parse import parse_qs

from connectors.sandbox.config import SandboxConfig
from connectors.sandbox.life import Life
from connectors.sandbox.model import SubAccount
from connectors.sandbox.tokens import TokenStore


class Call(NamedTuple):
    """One request: `ids` are the percent-decoded pieces of the path, `uri` is the raw path with its method."""

    ids: dict[str, str]
    uri: str
    authorization: str
    query: str
    body: bytes
    now: float

    @property
    def now_ms(self) -> int:
        """The moment of arrival in epoch milliseconds."""
        return int(self.now * 1000)

    @property
    def bearer(self) -> str:
        """The bearer token, empty without one."""
        scheme, _, token = self.authorization.partition(" ")
        return token.strip() if scheme.lower() == "bearer" else ""

    @property
    def form(self) -> dict[str, str]:
        """The first value of every field of a form body."""
        return {name: values[0] for name, values in parse_qs(self.body.decode(errors="replace")).items()}


class World(NamedTuple):
    """What the operations work on."""

    config: SandboxConfig
    life: Life
    sub_accounts: dict[str, SubAccount]
    platform_tokens: TokenStore
    ringcx_tokens: TokenStore
