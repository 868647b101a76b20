"""Google's engine against a gRPC server of its protocol on loopback."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import grpc
import pytest
from google.api_core.client_options import ClientOptions
from google.cloud.speech_v1 import (
    RecognizeRequest,
    RecognizeResponse,
    SpeechAsyncClient,
    SpeechRecognitionAlternative,
    SpeechRecognitionResult,
    WordInfo,
)
from google.cloud.speech_v1.services.speech.transports import SpeechGrpcAsyncIOTransport

from connectors.errors import ConnectorError, Denied, Rejected, Unauthorized, Unavailable
from connectors.speech import Heard, Track, Transcription
from connectors.speech.google import GoogleSpeech, cut
from tests.connectors.speech.sounds import tone, wav


class Google(grpc.GenericRpcHandler):  # type: ignore[misc]
    """Says `words` of every piece of audio, half a second into it; or fails."""

    def __init__(self, status: grpc.StatusCode | None = None) -> None:
        self.status, self.asked = status, []  # type: ignore[var-annotated]

    def service(self, call: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler | None:
        assert call.method == "/google.cloud.speech.v1.Speech/Recognize"
        return grpc.unary_unary_rpc_method_handler(
            self._recognize, RecognizeRequest.deserialize, RecognizeResponse.serialize
        )

    async def _recognize(self, request: RecognizeRequest, context: grpc.aio.ServicerContext) -> RecognizeResponse:
        self.asked.append(request)
        if self.status:
            await context.abort(self.status, "because")
        words = [WordInfo(word="hello", start_time=timedelta(seconds=0.5), end_time=timedelta(seconds=1.25))]
        best = SpeechRecognitionAlternative(transcript=" Hello. ", confidence=0.75, words=words)
        silent = SpeechRecognitionAlternative(transcript="")
        results = [SpeechRecognitionResult(alternatives=[one]) for one in (best, silent)]
        return RecognizeResponse(results=[*results, SpeechRecognitionResult()])


@asynccontextmanager
async def engine(google: Google) -> AsyncIterator[GoogleSpeech]:
    """The engine with a client of that server."""
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((google,))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        transport = SpeechGrpcAsyncIOTransport(channel=channel)
        yield GoogleSpeech(SpeechAsyncClient(transport=transport, client_options=ClientOptions()))
    await server.stop(None)


def hear(google: Google, *tracks: Track) -> Transcription:
    """What the engine hears of that server."""

    async def work() -> Transcription:
        async with engine(google) as one:
            return await one.transcribe(tracks, "en-US")

    return asyncio.run(work())


def test_what_google_heard_has_its_place_in_the_call(tmp_path: Path) -> None:
    """A call of any length: no request holds a minute, and the times go on from piece to piece."""
    path = wav(tmp_path / "call.wav", tone(50) + tone(1, 0) + tone(20), mulaw=True)
    google = Google()
    heard = hear(google, Track(path, starts_ms=1000))
    first, second = (len(one.audio.content) / 16_000 for one in google.asked)
    assert 50 <= first <= 51
    assert first + second == pytest.approx(71)
    later = round(1000 + 1000 * first)
    assert heard.heard == (
        Heard(1500, 2250, 0, "Hello.", 0.75),
        Heard(later + 500, later + 1250, 0, "Hello.", 0.75),
    )
    assert heard.audio_ms == 72_000


def test_google_is_asked_for_what_the_audio_is(tmp_path: Path) -> None:
    """Samples, rate and language must be right, or it hears noise."""
    google = Google()
    hear(google, Track(wav(tmp_path / "a.wav", tone(1), tone(1, 880))), Track(tmp_path / "a.wav", channel=1))
    assert [one.audio.content for one in google.asked] == [tone(1), tone(1, 880)]
    config = google.asked[0].config
    assert (config.encoding.name, config.sample_rate_hertz, config.language_code) == ("LINEAR16", 8000, "en-US")
    assert config.enable_word_time_offsets


ANSWERS = {
    grpc.StatusCode.UNAUTHENTICATED: (Unauthorized, "GOOGLE_APPLICATION_CREDENTIALS"),
    grpc.StatusCode.PERMISSION_DENIED: (Denied, "Enable the Speech-to-Text API"),
    grpc.StatusCode.INVALID_ARGUMENT: (Rejected, "because"),
    grpc.StatusCode.INTERNAL: (Unavailable, "because"),
}


@pytest.mark.parametrize("status", ANSWERS)
def test_googles_errors_are_ours(tmp_path: Path, status: grpc.StatusCode) -> None:
    """So that a run knows whether to go on, to try again, or to say what is to be mended."""
    kind, said = ANSWERS[status]
    with pytest.raises(ConnectorError, match=said) as caught:
        hear(Google(status), Track(wav(tmp_path / "a.wav", tone(0.1))))
    assert type(caught.value) is kind


def test_no_piece_is_cut_out_of_the_audio() -> None:
    """Pieces end in the quietest place, and together they are the whole."""
    whole = tone(44) + tone(0.5, 0) + tone(60)
    cuts = list(cut(iter([whole[n : n + 16_000] for n in range(0, len(whole), 16_000)]), 8000))
    assert b"".join(cuts) == whole
    assert 44 * 16_000 <= len(cuts[0]) <= 44.5 * 16_000
    assert all(len(one) <= 55 * 16_000 for one in cuts)
