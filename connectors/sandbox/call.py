"""One request, and the world it is answered from: what every operation of the platform is given."""

from typing import NamedTuple
from urllib.parse import parse_qs

from connectors.sandbox.ai.jobs import Jobs
from connectors.sandbox.background import Background
from connectors.sandbox.calls.live import LiveCalls
from connectors.sandbox.config import SandboxConfig
from connectors.sandbox.life import Life
from connectors.sandbox.media.profiles import Profiles
from connectors.sandbox.model import Key, SubAccount
from connectors.sandbox.sound.library import Library
from connectors.sandbox.tokens import TokenStore


class Call(NamedTuple):
    """One request: `ids` are the percent-decoded pieces of the path, `uri` is the raw path with its method."""

    ids: dict[str, str]
    uri: str
    authorization: str
    query: str
    body: bytes
    now: float
    cookie: str = ""

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
    def cookie_token(self) -> str:
        """The token in the `Cookie` header, empty without one."""
        pairs = (part.strip().partition("=") for part in self.cookie.split(";"))
        return next((value for name, _, value in pairs if name == "access_token"), "")

    @property
    def query_token(self) -> str:
        """The token in the address, empty without one."""
        return self.parameter("access_token")

    def parameter(self, name: str) -> str:
        """The first value of a parameter of the query, empty without one."""
        return parse_qs(self.query).get(name, [""])[0]

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
    sounds: Library
    calls: LiveCalls
    profiles: Profiles
    jobs: Jobs
    background: Background
    recordings: dict[str, Key]  # RingCentral's ids of recordings
