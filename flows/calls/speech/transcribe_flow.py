"""The flow of speech to text, for other systems to begin; on a schedule it is part of `enrich`."""

from typing import cast

from prefect import get_run_logger
from prefect.states import Failed

from flows.calls.speech.transcribing import Transcribed, Wish
from flows.calls.speech.transcribing import transcribe as transcribe_now
from flows.direct import direct_flow
from flows.recording import KNOWN, RunFailed
from flows.runtime import open_runtime
from flows.settings import SettingsError, load_settings
from flows.stopping import stoppable


@direct_flow("transcribe")
async def transcribe(engine: str = "", minutes: float | None = None, *, analyze: bool = False) -> Transcribed:
    """Put audio without a transcript into words, newest first.

    Args:
        engine: pocketsphinx, google or ringcentral-ai. Empty: RINGCX_TRANSCRIBE_ENGINE.
        minutes: Budget, in minutes of audio. None: RINGCX_TRANSCRIBE_MINUTES.
        analyze: Also ask RingCentral's AI for insights.
    """

    async def work() -> Transcribed:
        async with open_runtime(load_settings()) as runtime:
            return await transcribe_now(runtime, Wish(engine=engine, minutes=minutes, analyze=analyze))

    try:
        done = await stoppable(work)
    except (*KNOWN, SettingsError) as error:
        return cast("Transcribed", Failed(message=str(error), data=error))
    hearing = done.hearing
    get_run_logger().info(
        f"transcribe run_id={done.run_id} engine={done.engine} segments={hearing.done} audio_ms={hearing.done_ms}"
        f" utterances={hearing.utterances} left={done.left}"
    )
    if done.ok:
        return done
    reasons = "; ".join(hearing.troubles)
    return cast("Transcribed", Failed(message=reasons, data=RunFailed(reasons)))
