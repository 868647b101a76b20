"""Whom a receiver lets in: who shows one of the tokens in the settings, or that of a stream which may be running."""

import asyncio
import hashlib
import hmac
import logging

from flows.calls import streams
from sinks.errors import LakeError
from sinks.lake import Lake

log = logging.getLogger(__name__)

LOOK_UP_WITHIN_S = 5.0


class Tokens:
    """Tokens and secrets, separated by commas; kept as digests only."""

    def __init__(self, tokens: str, lake: Lake) -> None:
        self._digests = [_digest(token.strip()) for token in tokens.split(",") if token.strip()]
        self._lake = lake
        self._turn = asyncio.Semaphore(1)  # whoever tries tokens keeps one thread busy at most

    async def accepts(self, token: str) -> bool:
        """Whether this token is one of them. All are compared, each in constant time."""
        shown = _digest(token)
        if any([hmac.compare_digest(shown, known) for known in self._digests]):  # noqa: C419 - all of them
            return True
        try:
            async with asyncio.timeout(LOOK_UP_WITHIN_S), self._turn:
                return await asyncio.to_thread(streams.accepts, self._lake, token)
        except (LakeError, TimeoutError) as error:
            log.warning("streams could not be looked up, a caller is refused error=%s", type(error).__name__)
            return False


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode(errors="surrogateescape")).digest()
