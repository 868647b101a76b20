"""Addresses that only the platform may see: those of audio hold a token, those of webhooks must not be guessed."""

import re
from urllib.parse import quote

import httpx

SECRET = re.compile(
    r"(access_token(?:=|%3[Dd]|\\u003[dD])|(?:/|%2[Ff]|\\/)ringcx(?:/|%2[Ff]|\\/))[^&\s\"'\\<>)\]]{16,}"
)
TOKEN = re.compile(r"(access_token(?:=|%3[Dd]|\\u003[dD]))[^&\s\"'\\<>)\]]+")


def masked(text: str) -> str:
    """The text without the tokens of addresses and the paths of webhooks."""
    return SECRET.sub(r"\1***", TOKEN.sub(r"\1***", text))


class SecretUrl(httpx.URL):
    """An address whose query is shown nowhere: httpx logs the address of each request."""

    def __str__(self) -> str:
        return f"{self.scheme}://{self.netloc.decode()}{self.path}"

    def __repr__(self) -> str:
        return f"SecretUrl({str(self)!r})"


def with_token(uri: str, token: str) -> str:
    """The address with a token in it: a secret from here on."""
    bare, hash_, fragment = uri.partition("#")
    sign = "&" if "?" in bare else "?"
    return f"{bare}{sign}access_token={quote(token, safe='')}{hash_}{fragment}"
