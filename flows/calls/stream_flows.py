"""Flows that start and stop a stream, for other systems to begin. Its token is no parameter: Prefect shows those.

Neither is retried: a request that may have been done is not sent again.
"""

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State
from prefect.states import Failed

from flows.calls import streams
from flows.calls.streams import StreamRequest
from flows.direct import direct_flow
from flows.recording import KNOWN, RunFailed
from flows.runtime import open_runtime
from flows.settings import SettingsError, load_settings


@task(name="start stream", retries=0, cache_policy=NO_CACHE, persist_result=False)
async def start(request: StreamRequest) -> object:
    """The stream's id, once RingCX has accepted it. Ends Failed with the reason, and no traceback, otherwise."""
    try:
        async with open_runtime(load_settings()) as runtime:
            return (await streams.start(runtime, request)).stream_id
    except (*KNOWN, SettingsError) as error:
        return Failed(message=str(error))


@task(name="stop stream", retries=0, cache_policy=NO_CACHE, persist_result=False)
async def stop(stream_id: str) -> object:
    """The stream's state, once it has stopped. Ends Failed with the reason, and no traceback, otherwise."""
    try:
        async with open_runtime(load_settings()) as runtime:
            return (await streams.stop(runtime, stream_id)).state
    except (*KNOWN, SettingsError) as error:
        return Failed(message=str(error))


@direct_flow("start-stream")
async def start_stream(
    dialog_id: str, segment_id: str = "", sub_account_id: str | int = "", url: str = "", encoding: str = "PCMU"
) -> object:
    """Start to stream a live dialog, or one segment of it; the stream's id.

    Args:
        dialog_id: The dialog.
        segment_id: Only this segment of it. Empty: all of it.
        sub_account_id: The sub-account that owns it. Empty: the only one.
        url: Where the audio goes. Empty: RINGCX_RECEIVE_URL.
        encoding: Encoding asked for.
    """
    # Prefect's command line takes what looks like a number for one.
    wanted = StreamRequest(
        dialog_id=dialog_id, segment_id=segment_id, sub_account_id=str(sub_account_id), url=url, encoding=encoding
    )
    return own(await start(wanted))


@direct_flow("stop-stream")
async def stop_stream(stream_id: str) -> object:
    """Stop a stream that was started here; its state.

    Args:
        stream_id: Its id, which its start gave.
    """
    return own(await stop(stream_id))


def own(ended: object) -> object:
    """What a task brought; its failure as the flow's own, so that the flow says why it failed."""
    if isinstance(ended, State) and ended.is_failed():
        return Failed(message=ended.message, data=RunFailed(ended.message))
    return ended
