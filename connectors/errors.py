"""What can go wrong outside, grouped by what the caller does about it.

    ConnectorError
    ├── Transient          the same request may succeed later
    │   ├── NotReady       404: there is nothing yet; ask again on the item's own clock, not now
    │   ├── RateLimited    429: the whole group is silent until its penalty has passed
    │   └── Unavailable    5xx, time-out, reset, truncated or unreadable body
    ├── Blocked            no request can be sent, or believed, before somebody mends something: a run ends
    │   ├── Unauthorized      401, or the login was refused: renew the token, else fix the credentials
    │   ├── StateUnavailable  the folder of quotas and tokens cannot be read or written
    │   └── ClockAhead        this machine's clock is ahead of the platform's
    ├── Uncertain          a request that must not be sent twice: it may have arrived, and nobody knows what came of it
    ├── Denied             403: a permission is missing; retrying is useless
    └── Rejected           400 or an errorCode: the platform will not answer this request

Facts are attributes; none of them, and no message, holds a token, a secret or a URL with either.
"""


class ConnectorError(Exception):
    """A request that brought no answer: its group, status and code, and how long to wait where the platform said so."""

    def __init__(
        self,
        message: str,
        *,
        group: str = "",
        status: int | None = None,
        code: str | None = None,
        retry_after_s: float | None = None,
        body: str = "",
    ) -> None:
        super().__init__(message)
        self.group = group
        self.status = status
        self.code = code
        self.retry_after_s = retry_after_s
        self.body = body


class Transient(ConnectorError):
    """The same request may succeed later."""


class NotReady(Transient):
    """404: what was asked for does not exist yet, or never will."""


class RateLimited(Transient):
    """429: past the limit, or inside a penalty."""


class Unavailable(Transient):
    """The platform, or the way there, is in trouble: 5xx, time-out, reset, truncated or unreadable answer."""


class Blocked(ConnectorError):
    """No request can be sent, or its answer believed, before somebody mends something."""


class Unauthorized(Blocked):
    """401 with a token that cannot be renewed, or credentials that were refused."""


class StateUnavailable(Blocked):
    """What processes share, quotas and tokens, cannot be read or written; the message names the file."""


class ClockAhead(Blocked):
    """By the platform's `Date`, this machine's clock is ahead: it would ask for windows that are not over yet."""


class Uncertain(ConnectorError):
    """A request that must not be sent twice may have arrived: find out what came of it before asking again."""


class Denied(ConnectorError):
    """403: the user lacks a permission; the message says which."""


class Rejected(ConnectorError):
    """The platform will never answer this request: 400, or an answer that carries an errorCode."""
