"""Secrets that pass through the sandbox are in nothing that it shows or logs."""

import asyncio
import logging
from pathlib import Path

import httpx
import pytest

from connectors.sandbox import (
    FixedAccount,
    LiveCall,
    ManualClock,
    SandboxConfig,
    SandboxServer,
    simple_segment,
    two_voices,
)
from connectors.sandbox.model import Key
from connectors.sandbox.sound import tone
from tests.connectors.sandbox.conftest import NOON, STATIC
from tests.connectors.sandbox.ears import Ear, listening_grpc, listening_wss, make_certificate

ROOT = "/voice/api/cx/integration/v1/accounts/980634004/sub-accounts/99999999"


def test_no_token_or_secret_is_logged_or_shown(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Not by our code, and not by the libraries that carry calls and fetch audio, even at their most talkative."""
    certificate = make_certificate(tmp_path)
    caplog.set_level(logging.DEBUG)
    account = FixedAccount([simple_segment("old", "s", NOON - 900, has_recording=True)])
    config = SandboxConfig(account=account, caller_ca=certificate, caller_pace=None, ai_seconds=(0, 0))

    async def run(server: SandboxServer) -> tuple[str, str]:
        sandbox = server.sandbox
        headers = STATIC | {"cookie": "access_token=hidden-cookie"}
        async with (
            listening_wss(Ear(), certificate) as wss,
            listening_grpc(Ear(), certificate) as streaming,
            httpx.AsyncClient(base_url=server.base_url, headers=headers) as client,
            asyncio.timeout(20),
        ):
            audio = tone("x", 0.2)
            call = sandbox.calls.begin(LiveCall(dialog_id="d", speakers=two_voices("s", audio, audio), hangs_up=False))
            for ear in (wss, streaming):
                url = f"{ear.url}{'&' if '?' in ear.url else '?'}access_token=hidden-url"
                await client.post(
                    f"{ROOT}/dialogs/d/streams", json={"url": url, "streamId": ear.url, "token": "hidden-token"}
                )
                await asyncio.wrap_future(call.streams[-1].future)
            path = sandbox.recording_uri(Key("99999999", "old", "s"))
            platform_token = sandbox.world.platform_tokens.issue(NOON).access
            body = {"contentUri": f"{server.base_url}{path}?access_token=sandbox-token", "encoding": "Wav"}
            await client.post(
                "/ai/audio/v1/async/speech-to-text?webhook=http://127.0.0.1:9/x",
                json=body | {"languageCode": "en-US"},
                headers={"Authorization": f"Bearer {platform_token}"},
            )
            while sandbox.jobs.all()[0].completed_ms is None:
                await client.get("/_sandbox/summary")
            shown = [(await client.get(f"/_sandbox/{what}")).text for what in ("log", "summary", "calls", "truth")]
            return "".join([*shown, repr(call.streams), repr(sandbox.jobs.all()), repr(call.live)]), platform_token

    with SandboxServer(config, clock=ManualClock(NOON)) as server:
        shown, platform_token = asyncio.run(run(server))
        assert server.sandbox.jobs.all()[0].status == "Success"
    for secret in ("hidden", "sandbox-token", platform_token):
        assert secret not in shown
        assert secret not in caplog.text
