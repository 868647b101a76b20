"""What the platform asks of others: audio to be analysed is fetched, and webhooks are called."""

import ssl
from pathlib import Path
from typing import Protocol

import httpx

TIMEOUT_S = 30


class Outside(Protocol):
    """The world outside the platform. Both raise OSError when nobody answers."""

    async def get(self, url: str) -> tuple[int, bytes]:
        """The status and the body at an address."""

    async def post(self, url: str, body: bytes) -> int:
        """The status with which a webhook takes a JSON body."""


class OverHttp:
    """The real one; `ca` is a file of certificates to trust.

    It works without httpx's client, which would log every address, and addresses of audio hold tokens.
    """

    def __init__(self, ca: Path | None = None) -> None:
        self._ca = ca

    async def get(self, url: str) -> tuple[int, bytes]:
        """The status and the body at an address."""
        return await self._ask("GET", url, None)

    async def post(self, url: str, body: bytes) -> int:
        """The status with which a webhook takes a JSON body."""
        return (await self._ask("POST", url, body))[0]

    async def _ask(self, method: str, url: str, body: bytes | None) -> tuple[int, bytes]:
        trust = ssl.create_default_context(cafile=None if self._ca is None else str(self._ca))
        headers = {"content-type": "application/json"} if body is not None else {}
        timeouts = httpx.Timeout(TIMEOUT_S).as_dict()
        try:
            request = httpx.Request(method, url, content=body, headers=headers, extensions={"timeout": timeouts})
            async with httpx.AsyncHTTPTransport(verify=trust) as transport:
                answer = await transport.handle_async_request(request)
                return answer.status_code, await answer.aread()
        except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
            raise ConnectionError(type(error).__name__) from None  # its text may hold the address, which is a secret
