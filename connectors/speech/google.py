"""Speech to text by Google Cloud: the package's extra `google`, and credentials as Google finds them.

Audio goes out in pieces of less than a minute, the longest that one request may hold, cut where it is quietest; so a
call of any length needs neither a bucket nor much memory. Google's own library retries what may pass.
Source: https://cloud.google.com/speech-to-text/docs/reference/rest/v1/speech/recognize, seed 004's example.
"""

import warnings
from collections.abc import Iterator, Sequence
from datetime import timedelta
from itertools import chain

from connectors.errors import ConnectorError, Denied, RateLimited, Rejected, Unauthorized, Unavailable
from connectors.speech.audio import look, loudness, pieces
from connectors.speech.records import Heard, Track, Transcription, by_time

with warnings.catch_warnings():  # Google's libraries warn of Python versions that they will leave
    warnings.simplefilter("ignore", FutureWarning)
    try:
        from google.api_core import exceptions
        from google.auth.exceptions import GoogleAuthError
        from google.cloud.speech_v1 import (
            RecognitionAudio,
            RecognitionConfig,
            RecognizeRequest,
            SpeechAsyncClient,
            SpeechRecognitionResult,
        )
    except ImportError:
        raise Rejected("speech: the engine google needs its library: pip install 'ringcx-etl[google]'") from None

SOURCE = "google"
LONGEST_S, EARLIEST_CUT_S, STEP_S = 55, 40, 0.2
TIMEOUT_S = 120.0
LOGIN = (
    "Google refuses, or has, no credentials: set GOOGLE_APPLICATION_CREDENTIALS to a service account's key file, or log"
    " in with `gcloud auth application-default login`"
)


class GoogleSpeech:
    """The engine. `client`: one that is ready; None: one with the credentials of the environment."""

    source = SOURCE

    def __init__(self, client: SpeechAsyncClient | None = None) -> None:
        self._client = client

    async def transcribe(self, tracks: Sequence[Track], language: str) -> Transcription:
        """Everything that is said in these tracks; each is sent on its own."""
        heard: list[Heard] = []
        audio_ms = 0
        for number, track in enumerate(tracks):
            sound = look(track.path)
            audio_ms = max(audio_ms, track.starts_ms + sound.duration_ms)
            at_ms = track.starts_ms
            for samples in cut(pieces(track.path, track.channel, sound.rate_hz), sound.rate_hz):
                request = request_of(samples, sound.rate_hz, language)
                heard += [heard_of(result, number, at_ms) for result in await self._recognize(request) if _text(result)]
                at_ms += len(samples) * 1000 // (2 * sound.rate_hz)
        return by_time(heard, audio_ms)

    async def _recognize(self, request: RecognizeRequest) -> Sequence[SpeechRecognitionResult]:
        try:
            if self._client is None:
                self._client = SpeechAsyncClient()
            return list((await self._client.recognize(request, timeout=TIMEOUT_S)).results)
        except GoogleAuthError:
            failure: ConnectorError = Unauthorized(f"speech: {LOGIN}", group=SOURCE)
        except exceptions.GoogleAPICallError as error:
            failure = translated(error)
        raise failure


def request_of(samples: bytes, rate_hz: int, language: str) -> RecognizeRequest:
    """What Google is asked: 16-bit samples of one channel, with times of words, and punctuation."""
    config = RecognitionConfig(
        encoding=RecognitionConfig.AudioEncoding.LINEAR16,
        sample_rate_hertz=rate_hz,
        audio_channel_count=1,
        language_code=language,
        enable_word_time_offsets=True,
        enable_automatic_punctuation=True,
        model="phone_call" if language == "en-US" else "default",
        use_enhanced=language == "en-US",
    )
    return RecognizeRequest(config=config, audio=RecognitionAudio(content=samples))


def heard_of(result: SpeechRecognitionResult, track: int, at_ms: int) -> Heard:
    """One result as an utterance; `at_ms`: where its piece of audio begins."""
    best = result.alternatives[0]
    ends = _ms(result.result_end_time)
    begins = _ms(best.words[0].start_time) if best.words else 0
    if best.words:
        ends = _ms(best.words[-1].end_time)
    confidence = round(best.confidence, 4) if best.confidence else None  # 0 is how protobuf says nothing
    return Heard(at_ms + begins, at_ms + max(begins, ends), track, best.transcript.strip(), confidence)


def translated(error: exceptions.GoogleAPICallError) -> ConnectorError:
    """Google's error as one of ours; its text may be shown, it holds no credentials."""
    said = f"speech: Google answers {type(error).__name__}: {str(error.message)[:300]}"
    if isinstance(error, exceptions.Unauthenticated):
        return Unauthorized(f"{said}. {LOGIN}", group=SOURCE, status=401)
    if isinstance(error, exceptions.Forbidden):
        return Denied(
            f"{said}. Enable the Speech-to-Text API in the project of these credentials", group=SOURCE, status=403
        )
    if isinstance(error, exceptions.TooManyRequests):
        return RateLimited(said, group=SOURCE, status=429)
    if isinstance(error, exceptions.ClientError):
        return Rejected(said, group=SOURCE, status=error.code)
    return Unavailable(said, group=SOURCE, status=error.code)


def cut(samples: Iterator[bytes], rate_hz: int) -> Iterator[bytes]:
    """The samples in pieces shorter than a minute, each ended where it is quietest."""
    held = bytearray()
    longest = LONGEST_S * rate_hz * 2
    for piece in chain(samples, [b""]):
        held += piece
        while len(held) >= longest:
            end = _quietest(bytes(held[:longest]), rate_hz)
            yield bytes(held[:end])
            del held[:end]
    if held:
        yield bytes(held)


def _quietest(samples: bytes, rate_hz: int) -> int:
    """Where the quietest step of the last seconds ends, in bytes."""
    step = int(rate_hz * STEP_S) * 2
    places = range(EARLIEST_CUT_S * rate_hz * 2, len(samples) - step + 1, step)
    return min(places, key=lambda place: loudness(samples[place : place + step])) + step // 4 * 2


def _text(result: SpeechRecognitionResult) -> bool:
    return bool(result.alternatives) and bool(result.alternatives[0].transcript.strip())


def _ms(offset: timedelta) -> int:
    return offset // timedelta(milliseconds=1)
