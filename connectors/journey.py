"""How far a request came, and how its body comes: httpx's failures as one that says only what kind it was.

No error of httpx's leaves this module, nor is one the context of another: they hold the request, and so its token.
"""

import asyncio
from collections.abc import AsyncGenerator

import httpx

NO_ANSWER = (httpx.HTTPError, httpx.StreamError, httpx.InvalidURL, httpx.CookieConflict, OSError)
NO_CONNECTION = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol)
LONGEST_BODY_S = 3600.0  # for one that is streamed, however steadily it comes


class Lost(Exception):
    """No whole answer: the kind of failure. `unsent`: nothing of the request can have arrived."""

    def __init__(self, kind: str, *, unsent: bool = False) -> None:
        super().__init__(kind)
        self.kind, self.unsent = kind, unsent


class Way:
    """How far a request came on a real connection, as httpcore tells; other ways to the platform tell nothing."""

    def __init__(self) -> None:
        self._connecting = self._sending = False

    async def note(self, event: str, info: object) -> None:
        """httpcore's `trace`: `connection.connect_tcp.started`, `http11.send_request_headers.started`, ..."""
        del info
        self._connecting = self._connecting or event.startswith("connection.connect")
        self._sending = self._sending or event.endswith("send_request_headers.started")

    def ended_before_sending(self, error: Exception) -> bool:
        """Whether it is certain that nothing of the request went out before this error."""
        return isinstance(error, NO_CONNECTION) or (self._connecting and not self._sending)


async def opened(client: httpx.AsyncClient, request: httpx.Request) -> httpx.Response:
    """The answer as soon as its headers are there. Raises Lost."""
    try:
        return await client.send(request, stream=True)
    except NO_ANSWER as error:
        kind = type(error).__name__
    raise Lost(kind)


async def chunks_of(response: httpx.Response, deadline: asyncio.Timeout, each_s: float) -> AsyncGenerator[bytes, None]:
    """The body as it comes; each chunk gives the next one as long again. Raises Lost."""
    now = asyncio.get_running_loop().time
    end = now() + LONGEST_BODY_S
    kind = ""
    try:
        async for chunk in response.aiter_bytes():
            deadline.reschedule(min(end, now() + each_s))
            yield chunk
    except NO_ANSWER as error:
        kind = type(error).__name__
    if kind:
        raise Lost(kind)


async def read_whole(response: httpx.Response) -> None:
    """Read the body, for one that is short. Raises Lost."""
    kind = ""
    try:
        await response.aread()
    except NO_ANSWER as error:
        kind = type(error).__name__
    if kind:
        raise Lost(kind)
