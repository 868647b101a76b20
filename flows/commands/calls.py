"""Commands for live calls: their streams, and where the calls of a queue or campaign are streamed to."""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from getpass import getpass
from pathlib import Path
from typing import TypeVar

from cyclopts import App

from connectors.errors import ConnectorError
from connectors.ringcx.profiles import Profile
from flows.calls.streams import Stream, StreamRequest
from flows.commands.app import DONE, FAILED, USAGE, app, complain, ready_settings
from flows.runtime import Runtime, open_lake, open_runtime
from flows.settings import Settings, SettingsError

T = TypeVar("T")

stream = App(name="stream", help="Start, stop and list audio streams of live dialogs.")
profile = App(name="profile", help="Streaming profiles: where the calls of a queue or a campaign are streamed to.")
app.command(stream)
app.command(profile)


@stream.command
def start(
    dialog: str,
    /,
    *,
    segment: str = "",
    sub_account: str = "",
    url: str = "",
    token: str = "",
    encoding: str = "PCMU",
    rate: int = 8000,
    ptime: int = 20,
) -> int:
    """Start to stream a live dialog, or one segment of it. Started once more, it tells whether it runs.

    Parameters
    ----------
    dialog
        The dialog's id.
    segment
        Only this segment of it.
    sub_account
        The sub-account that owns it; may be left out where there is only one.
    url
        Where the audio goes; absent: RINGCX_RECEIVE_URL.
    token
        What the receiver is shown; absent: one is made, which `ringcx-etl receive` accepts. Only its digest is kept.
    encoding
        Encoding asked for.
    rate
        Sample rate asked for, Hz.
    ptime
        Time in one packet asked for, ms.
    """
    from flows.calls import show as show_calls
    from flows.calls import streams

    request = StreamRequest(
        dialog_id=dialog,
        segment_id=segment,
        sub_account_id=sub_account,
        url=url,
        token=token,
        encoding=encoding,
        rate_hz=rate,
        ptime_ms=ptime,
    )
    show_calls.stream(run_with(ready_settings(), lambda runtime: streams.start(runtime, request)))
    return DONE


@stream.command
def stop(stream_id: str = "", /, *, all_: bool = False) -> int:
    """Stop a stream, by the id that `start` and `list` show, or all that may be running.

    Parameters
    ----------
    stream_id
        The stream's id.
    all_
        All streams that may be running.
    """
    from flows.calls import show as show_calls
    from flows.calls import streams

    if bool(stream_id) == all_:
        return complain("name one stream, or --all", USAGE)
    settings = ready_settings()
    if stream_id:
        show_calls.stream(run_with(settings, lambda runtime: streams.stop(runtime, stream_id)))
        return DONE

    def tell(found: Stream, error: ConnectorError | None) -> None:
        if error is None:
            show_calls.stream(found)
        else:
            complain(error, FAILED)

    left = run_with(settings, lambda runtime: streams.stop_all(runtime, tell))
    return FAILED if left else DONE


@stream.command(name="list")
def list_streams(*, all_: bool = False, json: bool = False) -> int:
    """List the streams that may be running, as far as is known here.

    Parameters
    ----------
    all_
        Also those that have ended, or were refused.
    json
        As a JSON array.
    """
    from flows.calls import show as show_calls
    from flows.calls import streams

    with open_lake(ready_settings()) as lake:
        show_calls.streams(streams.streams(lake, ended=all_), json=json)
    return DONE


@profile.command
def create(kind: str, number: int, /, *, url: str = "", sub_account: str = "", secret_file: Path | None = None) -> int:
    """Stream the calls of a queue or campaign from now on, to wss://host[:port].

    Its secret is the first of RINGCX_RECEIVE_TOKENS, or is asked for on a terminal; it is shown nowhere.

    Parameters
    ----------
    kind
        queue or campaign.
    number
        Its id.
    url
        Where to; absent: RINGCX_RECEIVE_URL.
    sub_account
        Its sub-account; may be left out where there is only one.
    secret_file
        A file that holds the secret; an empty one: none.
    """
    from flows.calls import profiles
    from flows.calls import show as show_calls

    settings = ready_settings()
    secret = _secret(secret_file) or _first_token(settings) or (_asked() if sys.stdin.isatty() else None)

    async def run(runtime: Runtime) -> Profile:
        product = await profiles.product_of(runtime, kind, number, sub_account)
        return await profiles.create(runtime, product, profiles.Wish(url=url, secret=secret))

    show_calls.profile(run_with(settings, run))
    return DONE


@profile.command(name="show")
def show_profile(kind: str, number: int, /, *, sub_account: str = "") -> int:
    """Show where a queue's or campaign's calls are streamed to.

    Parameters
    ----------
    kind
        queue or campaign.
    number
        Its id.
    sub_account
        Its sub-account; may be left out where there is only one.
    """
    from flows.calls import profiles
    from flows.calls import show as show_calls

    async def run(runtime: Runtime) -> Profile:
        return await profiles.read(runtime, await profiles.product_of(runtime, kind, number, sub_account))

    show_calls.profile(run_with(ready_settings(), run))
    return DONE


@profile.command
def update(
    kind: str,
    number: int,
    /,
    *,
    url: str = "",
    sub_account: str = "",
    secret_file: Path | None = None,
    new_secret: bool = False,
) -> int:
    """Change where they are streamed to, or the secret; what is not named stays as it is.

    Parameters
    ----------
    kind
        queue or campaign.
    number
        Its id.
    url
        Where to: wss://host[:port].
    sub_account
        Its sub-account; may be left out where there is only one.
    secret_file
        A file that holds the new secret.
    new_secret
        Take the first of RINGCX_RECEIVE_TOKENS as the new secret, or ask for it.
    """
    from flows.calls import profiles
    from flows.calls import show as show_calls

    settings = ready_settings()
    secret = _secret(secret_file)
    if secret is None and new_secret:
        secret = _first_token(settings) or _asked()
    if not url and secret is None:
        return complain("nothing to change: give --url, --secret-file or --new-secret", USAGE)

    async def run(runtime: Runtime) -> Profile:
        product = await profiles.product_of(runtime, kind, number, sub_account)
        return await profiles.update(runtime, product, profiles.Wish(url=url, secret=secret))

    show_calls.profile(run_with(settings, run))
    return DONE


@profile.command
def delete(kind: str, number: int, /, *, sub_account: str = "") -> int:
    """Stream a queue's or campaign's calls no more.

    Parameters
    ----------
    kind
        queue or campaign.
    number
        Its id.
    sub_account
        Its sub-account; may be left out where there is only one.
    """
    from flows.calls import profiles

    async def run(runtime: Runtime) -> None:
        await profiles.delete(runtime, await profiles.product_of(runtime, kind, number, sub_account))

    run_with(ready_settings(), run)
    print(f"{kind} {number}: no profile any more")
    return DONE


def run_with(settings: Settings, work: Callable[[Runtime], Awaitable[T]]) -> T:
    """What `work` brings, with a runtime."""

    async def run() -> T:
        async with open_runtime(settings) as runtime:
            return await work(runtime)

    return asyncio.run(run())


def _secret(file: Path | None) -> str | None:
    return None if file is None else file.read_text().strip()


def _first_token(settings: Settings) -> str | None:
    first = settings.ringcx_receive_tokens.get_secret_value().partition(",")[0].strip()
    return first or None


def _asked() -> str | None:
    if not sys.stdin.isatty():
        raise SettingsError("RINGCX_RECEIVE_TOKENS: set it, or give --secret-file; there is no terminal to ask on")
    return getpass("Secret (empty: none): ", sys.stderr).strip() or None
