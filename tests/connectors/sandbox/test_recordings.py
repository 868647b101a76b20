"""Recordings: WAV files that come some minutes after the call, with the trouble that downloads have."""

import struct
import wave
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import httpx
import pytest

from connectors.sandbox import Fault, FixedAccount, ManualClock, Sandbox, SandboxConfig, SandboxServer, simple_segment
from connectors.sandbox.model import Key
from connectors.sandbox.sound import decode, encode, pcm_of_wav
from connectors.sandbox.sound.tones import tone_pcm
from connectors.sandbox.sound.wav import wav_of_pcm
from tests.connectors.sandbox.conftest import NOON, STATIC

Open = Callable[[SandboxConfig], tuple[httpx.Client, Sandbox]]
ROOT = "/voice/api/cx/integration/v1/accounts/980634004/sub-accounts/99999999"
PATH = f"{ROOT}/recordings/dialogs/d/segments/s"
OLD = FixedAccount(
    [
        simple_segment("d", "s", NOON - 900, channel_type="VOICE", channel_class="VOICE", has_recording=True),
        simple_segment("d", "silent", NOON - 900),
    ]
)


def frames(content: bytes) -> tuple[int, int, int, int]:
    """Channels, bytes a sample, samples a second, and samples of a WAV file."""
    with wave.open(BytesIO(content)) as file:
        return file.getnchannels(), file.getsampwidth(), file.getframerate(), file.getnframes()


def test_a_recording_is_a_wav_file_that_never_changes(open_sandbox: Open) -> None:
    """16-bit PCM, 8 kHz, a few seconds of tones where there is no real audio."""
    client, _ = open_sandbox(SandboxConfig(account=OLD))
    answer = client.get(PATH)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "audio/wav")
    assert frames(answer.content)[:3] == (1, 2, 8000)
    assert 16_000 <= frames(answer.content)[3] <= 32_000
    assert client.get(PATH).content == answer.content


def test_a_recording_may_have_the_agent_on_the_left(open_sandbox: Open) -> None:
    """Which of them the platform does is not documented, so both can be had."""
    mono, _ = open_sandbox(SandboxConfig(account=OLD))
    stereo, _ = open_sandbox(SandboxConfig(account=OLD, recording_channels=2))
    assert frames(stereo.get(PATH).content) == (2, 2, 8000, frames(mono.get(PATH).content)[3])


def test_a_recording_takes_minutes_to_be_ready(open_sandbox: Open, clock: ManualClock) -> None:
    """404 for ten minutes, a file after fifteen; never one for a segment without."""
    account = FixedAccount([simple_segment("d", "s", NOON, has_recording=True)])
    client, _ = open_sandbox(SandboxConfig(account=account))
    for seconds, status in ((0, 404), (599, 404), (301, 200), (366 * 86_400, 404)):
        clock.advance(seconds)
        assert client.get(PATH).status_code == status
    other, _ = open_sandbox(SandboxConfig(account=OLD))
    assert other.get(PATH.replace("/s", "/silent")).status_code == 404


def test_real_audio_is_served_from_a_folder_at_telephone_quality(open_sandbox: Open, tmp_path: Path) -> None:
    """16 kHz, stereo and 8 bit come as 8 kHz, mono and 16 bit, as long as they were."""
    with wave.open(str(tmp_path / "call.wav"), "wb") as file:
        file.setparams((2, 1, 16_000, 0, "NONE", ""))
        file.writeframes(bytes(range(256)) * 250)
    client, _ = open_sandbox(SandboxConfig(account=OLD, audio=tmp_path))
    assert frames(client.get(PATH).content) == (1, 2, 8000, 16_000)


def test_the_shared_corpus_can_be_served(open_sandbox: Open, shared: Path) -> None:
    """Two real calls, one of them with a transcript beside it."""
    _, sandbox = open_sandbox(SandboxConfig(account=OLD, audio=shared / "corpus" / "audio"))
    names = {sandbox.world.sounds.named(str(number)).name for number in range(20)}
    assert names == {"google_commercial_mono_8k", "aws_pca_auto0_8k_u8"}


def test_recordings_have_a_limit_and_faults_of_their_own(open_sandbox: Open) -> None:
    """120 a minute; the log names the group and the segment."""
    client, sandbox = open_sandbox(SandboxConfig(account=OLD, limits={"recordings": "2/60"}))
    sandbox.script("recordings", [Fault(status=503)])
    assert [client.get(PATH).status_code for _ in range(3)] == [503, 200, 429]
    assert (sandbox.log[1].group, sandbox.log[1].segment_id) == ("recordings", "s")


def test_a_recording_can_be_cut_in_the_middle() -> None:
    """The headers promise more than comes: the client has to notice."""
    with SandboxServer(SandboxConfig(account=OLD), clock=ManualClock(NOON)) as server:
        server.sandbox.script("recordings", [Fault(truncate=True)])
        with pytest.raises(httpx.RemoteProtocolError):
            httpx.get(server.base_url + PATH, headers=STATIC)
        assert httpx.get(server.base_url + PATH, headers=STATIC).status_code == 200


@pytest.mark.parametrize("kind", ["ringcx", "ringcentral"])
def test_a_recording_can_be_had_with_a_token_in_its_address(open_sandbox: Open, clock: ManualClock, kind: str) -> None:
    """As seed 004 hands it to the AI API, on both hosts; and the log keeps no token."""
    client, sandbox = open_sandbox(SandboxConfig(account=OLD))
    tokens = sandbox.world.ringcx_tokens if kind == "ringcx" else sandbox.world.platform_tokens
    token = tokens.issue(clock.now).access
    for path in (PATH, sandbox.recording_uri(Key("99999999", "d", "s"))):
        answer = client.get(path, params={"access_token": token}, headers={"Authorization": ""})
        assert answer.status_code == 200
        assert client.get(path, params={"access_token": "wrong"}, headers={"Authorization": ""}).status_code == 401
    assert token not in client.get("/_sandbox/log").text
    assert client.get("/restapi/v1.0/account/~/recording/1/content").status_code == 404


def test_mu_law_keeps_what_a_telephone_line_carries() -> None:
    """Decoded and encoded again nothing changes, which comparisons sample for sample rely on."""
    mulaw = encode(tone_pcm("x", 1))
    assert encode(decode(mulaw)) == mulaw
    assert pcm_of_wav(wav_of_pcm(decode(mulaw))) == decode(mulaw)
    file = bytearray(wav_of_pcm(mulaw[: len(mulaw) // 2 * 2]))
    file[20:22], file[24:36] = b"\x07\0", struct.pack("<IIHH", 8000, 8000, 1, 8)
    assert pcm_of_wav(bytes(file)) == decode(mulaw)
    assert tone_pcm("x", 20)[:100] == tone_pcm("x", 1)[:100]
    assert tone_pcm("y", 1) != tone_pcm("x", 1)
