"""Streaming profiles: made, read, changed and removed, with the specification's own rules."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from connectors.sandbox import Sandbox, SandboxConfig

Open = Callable[[SandboxConfig], tuple[httpx.Client, Sandbox]]
PATH = "/platform/api/media/product"
ONE = f"{PATH}/account/99999999/type/QUEUE/id/1234"
BODY: dict[str, Any] = {
    "productType": "QUEUE",
    "productId": 1234,
    "subAccountId": "99999999",
    "mainAccountId": "99990000",
    "rcAccountId": "123456789",
    "streamingUrl": "wss://sample.com",
    "secret": "sampleSecret",
}


def test_a_profile_is_made_read_changed_and_removed(open_sandbox: Open) -> None:
    """The seed's own sample comes back as it shows it, its secret included."""
    client, _ = open_sandbox(SandboxConfig())
    assert client.post(PATH, json=BODY).json() == BODY
    assert client.get(ONE).json() == BODY
    change = {"productType": "QUEUE", "productId": 1234, "subAccountId": "99999999", "streamingUrl": "wss://other:8443"}
    assert client.put(PATH, json=change).json() == BODY | {"streamingUrl": "wss://other:8443"}
    assert client.delete(ONE).status_code == 200
    assert [client.get(ONE).status_code, client.delete(ONE).status_code] == [404, 404]
    assert client.put(PATH, json=change).status_code == 404


def test_profiles_are_at_the_older_path_if_it_is_configured(open_sandbox: Open) -> None:
    """The seeds show both."""
    client, _ = open_sandbox(SandboxConfig(profiles_path="/media-distributor/product"))
    assert client.post("/media-distributor/product", json=BODY).status_code == 200
    assert client.post(PATH, json=BODY).status_code == 404


@pytest.mark.parametrize(
    "changes",
    [
        {"streamingUrl": "ws://sample.com"},
        {"streamingUrl": "https://sample.com"},
        {"streamingUrl": "wss://sample.com/path"},
        {"streamingUrl": "wss://sample.com\nx"},
        {"productType": "IVR"},
        {"productId": "1234"},
        {"productId": 2**31},
        {"mainAccountId": None},
    ],
)
def test_a_profile_that_the_specification_does_not_allow_is_refused(
    open_sandbox: Open, changes: dict[str, Any]
) -> None:
    """400; an address has no path, and only `wss://`."""
    client, _ = open_sandbox(SandboxConfig())
    assert client.post(PATH, json=BODY | changes).status_code == 400
    assert client.get(ONE).status_code == 404


def test_requests_that_make_no_sense_are_refused(open_sandbox: Open) -> None:
    """A second profile, somebody else's sub-account, a type or a number that is none."""
    client, _ = open_sandbox(SandboxConfig())
    assert client.post(PATH, json=BODY | {"streamingUrl": ""}).status_code == 200
    assert client.post(PATH, json=BODY).status_code == 409
    assert client.post(PATH, json=BODY | {"subAccountId": "1"}).status_code == 403
    assert client.get(ONE.replace("QUEUE", "queue")).status_code == 400
    assert client.get(ONE.replace("1234", "12a")).status_code == 400
    assert client.post(ONE).status_code == 405
    assert client.get(ONE, headers={"Authorization": "Bearer no"}).status_code == 401
