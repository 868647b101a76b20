"""The two steps of authentication: RingCentral tokens, and the short-lived RingCX tokens they are exchanged for.

A *grant* is what a token endpoint answers with. An access token is checked against the clock at each use. A refresh
token can be spent once: using it gives a new pair, using it again is refused (ringcx-api.md, *Authentication, two
steps*).
"""

import secrets
from typing import NamedTuple


class Pair(NamedTuple):
    """A fresh access token and the refresh token that replaces it."""

    access: str
    refresh: str


class TokenStore:
    """The tokens of one kind that were handed out and still work.

    An unused refresh token lives for `refresh_seconds`; a refresh leaves older access tokens alone until they expire.
    """

    def __init__(self, prefix: str, access_seconds: float, refresh_seconds: float) -> None:
        self._prefix = prefix
        self._access_seconds = access_seconds
        self._refresh_seconds = refresh_seconds
        self._access: dict[str, float] = {}
        self._refresh: dict[str, float] = {}
        self.handed_out: set[str] = set()  # every token there ever was

    def issue(self, now: float) -> Pair:
        """A new pair; forgets what has expired."""
        self._access = {token: until for token, until in self._access.items() if until > now}
        self._refresh = {token: until for token, until in self._refresh.items() if until > now}
        pair = Pair(*(f"{self._prefix}-{kind}-{secrets.token_urlsafe(24)}" for kind in ("access", "refresh")))
        self.handed_out.update(pair)
        self._access[pair.access] = now + self._access_seconds
        self._refresh[pair.refresh] = now + self._refresh_seconds
        return pair

    def refresh(self, token: str, now: float) -> Pair | None:
        """A new pair for an unspent refresh token, which is spent by this; None if it is spent, expired or unknown."""
        until = self._refresh.pop(token, None)
        return self.issue(now) if until is not None and now < until else None

    def is_valid(self, token: str, now: float) -> bool:
        """Whether an access token works at `now`."""
        return now < self._access.get(token, now)

    def revoke(self, token: str) -> None:
        """Make an access token expire before its time."""
        self._access.pop(token, None)
