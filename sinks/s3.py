"""What AWS's own environment variables say of an object store: the keys, and where it is."""

import os
from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlsplit

from sinks.errors import LocationError


@dataclass(frozen=True, slots=True, repr=False)
class S3Access:
    """How to reach it. Without an endpoint, AWS's own."""

    key_id: str
    secret: str
    token: str
    region: str
    endpoint: str  # host and port
    scheme: Literal["http", "https"]


def s3_access() -> S3Access:
    """From the environment; LocationError says what is missing there."""
    env = os.environ
    if not (env.get("AWS_ACCESS_KEY_ID") and env.get("AWS_SECRET_ACCESS_KEY")):
        raise LocationError("this place is on S3: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY")
    endpoint = env.get("AWS_ENDPOINT_URL_S3") or env.get("AWS_ENDPOINT_URL") or ""
    parts = urlsplit(endpoint if "://" in endpoint else f"https://{endpoint}")
    return S3Access(
        env["AWS_ACCESS_KEY_ID"],
        env["AWS_SECRET_ACCESS_KEY"],
        env.get("AWS_SESSION_TOKEN", ""),
        env.get("AWS_REGION") or env.get("AWS_DEFAULT_REGION") or "us-east-1",
        parts.netloc,
        "http" if parts.scheme == "http" else "https",
    )
