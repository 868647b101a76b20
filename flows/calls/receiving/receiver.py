"""`receive`: calls that RingCX streams, heard over both transports, kept as WAV files and rows. Knows no Prefect.

Audio comes first: no trouble with the lake stops it, and what could not be committed is committed later.
"""

import asyncio
import contextlib
import resource
import signal
import ssl
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from connectors.receivers.bounds import Bounds
from connectors.receivers.door import Door
from connectors.receivers.grpc_server import KeyPair, grpc_receiver
from connectors.receivers.wss_server import wss_receiver
from flows.alive import LiveRuns
from flows.calls.receiving.disk import Disk, journal
from flows.calls.receiving.intake import WRITE_EVERY_S, Intake, Tally
from flows.calls.receiving.ledger import Ledger, RunRow, keep_committing
from flows.calls.receiving.recovery import Recovered, recover
from flows.calls.receiving.tokens import Tokens
from flows.runtime import live_runs_of, open_lake
from flows.settings import Settings, SettingsError
from sinks.lake import Lake

LOOPBACK = ("127.0.0.1", "::1", "localhost")
FILES_WANTED = 8192  # a call takes a connection and a file or more; 1,024 is what a process usually gets
LAST_COMMIT_WITHIN_S = 5.0


@dataclass(frozen=True, slots=True)
class Listening:
    """Where callers reach a receiver."""

    wss: str
    grpc: str


@dataclass(frozen=True, slots=True)
class Received:
    """What a run heard. `uncommitted`: what the lake would not take; the next run commits it."""

    run_id: str
    tally: Tally
    recovered: Recovered | None
    uncommitted: str = ""


@dataclass(frozen=True, slots=True)
class Show:
    """What a run tells as it goes: where it listens, and how it is getting on."""

    listening: Callable[[Listening], None] = lambda where: None
    progress: Callable[[Tally, str], None] = lambda tally, trouble: None


async def receive(
    settings: Settings,
    show: Show,
    *,
    plain: bool = False,
    clock: Callable[[], float] = time.time,
    until: asyncio.Event | None = None,
) -> Received:
    """Hear calls until `until` is set; then no new ones, and those that run may end within the grace time.

    No `until`: SIGINT and SIGTERM do it. `plain`: without TLS, on loopback only. Raises SettingsError,
    StateUnavailable, OSError for a port that is taken.
    """
    tls, keys = (None, None) if plain else _tls(settings)
    if plain and settings.ringcx_receive_host not in LOOPBACK:
        raise SettingsError("--plain is for loopback: set RINGCX_RECEIVE_HOST=127.0.0.1, or leave --plain out.")
    _allow_many_files()
    run = RunRow(str(uuid4()), datetime.fromtimestamp(clock(), UTC))
    lake = open_lake(settings)
    with lake, _alive(settings, lake, run.run_id):
        disk = Disk(settings.ringcx_audio_path, run.run_id)
        tokens = Tokens(settings.ringcx_receive_tokens.get_secret_value(), lake)
        intake = Intake(disk, run.run_id, tokens.accepts, settings.ringcx_receive_reorder_chunks, clock)
        ledger = Ledger(lake, settings.ringcx_audio_path, intake, disk, run)
        door = Door(intake, bounds(settings))
        try:
            async with _working(intake, ledger, show):
                with _told_to_stop(until) as told:
                    async with _open(door, settings, tls, keys) as where:
                        show.listening(where)
                        await told()
                        door.is_closing = True
                        await _first_of(door.emptied(), told(), within_s=settings.ringcx_receive_grace_seconds)
            committed = await _last(intake, ledger, datetime.fromtimestamp(clock(), UTC))
        finally:
            intake.close()
            disk.end()
        return Received(run.run_id, intake.so_far(), ledger.recovered, "" if committed else ledger.trouble)


def recover_only(settings: Settings) -> Recovered:
    """Put in order what killed receivers left, and receive nothing. Raises LakeError, StateUnavailable, OSError."""
    with open_lake(settings) as lake:
        lake.create()
        return recover(lake, settings.ringcx_audio_path)


def bounds(settings: Settings) -> Bounds:
    """The bounds that these settings set."""
    return Bounds(
        calls=settings.ringcx_receive_calls,
        message_bytes=settings.ringcx_receive_message_bytes,
        idle_s=settings.ringcx_receive_idle_seconds,
        call_s=settings.ringcx_receive_seconds,
    )


@contextmanager
def _alive(settings: Settings, lake: Lake, run_id: str) -> Iterator[None]:
    """Alive for other runs of this lake, and for those that look after this folder of audio."""
    folder = journal(settings.ringcx_audio_path)
    with live_runs_of(settings, lake).living(run_id), LiveRuns(folder).living(run_id):
        yield


@asynccontextmanager
async def _open(
    door: Door, settings: Settings, tls: ssl.SSLContext | None, keys: KeyPair | None
) -> AsyncIterator[Listening]:
    host, wss_port, grpc_port = (
        settings.ringcx_receive_host,
        settings.ringcx_receive_wss_port,
        settings.ringcx_receive_grpc_port,
    )
    async with grpc_receiver(door, host, grpc_port, keys) as grpc_bound, wss_receiver(door, host, wss_port, tls) as wss:
        wss_bound = next(iter(wss.sockets)).getsockname()[1]
        shown = f"[{host}]" if ":" in host else host
        yield Listening(
            f"{'wss' if tls else 'ws'}://{shown}:{wss_bound}", f"{'grpcs' if keys else 'grpc'}://{shown}:{grpc_bound}"
        )


@asynccontextmanager
async def _working(intake: Intake, ledger: Ledger, show: Show) -> AsyncIterator[None]:
    """Audio goes to the disk and rows to the lake for as long as the block lasts."""
    is_over = asyncio.Event()

    def told() -> None:
        show.progress(intake.so_far(), intake.tally.trouble or ledger.trouble)

    async def keep_writing() -> None:
        while not is_over.is_set():
            await intake.flush()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(is_over.wait(), WRITE_EVERY_S)

    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(keep_writing())
            group.create_task(keep_committing(ledger, is_over, told))
            try:
                yield
            finally:
                is_over.set()
    except BaseExceptionGroup as errors:
        if len(errors.exceptions) == 1:
            raise errors.exceptions[0] from None
        raise


async def _last(intake: Intake, ledger: Ledger, finished_at: datetime) -> bool:
    """Everything written and committed, if the disk and the lake let us."""
    loop = asyncio.get_running_loop()
    until = loop.time() + LAST_COMMIT_WITHIN_S
    while True:
        await intake.flush()
        if await ledger.finish(finished_at, intake.tally.trouble or None) and not intake.tally.trouble:
            return True
        if loop.time() > until:
            return False
        await asyncio.sleep(1)


@contextmanager
def _told_to_stop(until: asyncio.Event | None) -> Iterator[Callable[[], Coroutine[Any, Any, None]]]:
    """A function that returns when `until` is set, or else at the next Ctrl-C or SIGTERM."""
    came, loop = until or asyncio.Event(), asyncio.get_running_loop()

    async def told() -> None:
        await came.wait()
        came.clear()

    signals = () if until else (signal.SIGINT, signal.SIGTERM)
    for one in signals:
        loop.add_signal_handler(one, came.set)
    try:
        yield told
    finally:
        for one in signals:
            loop.remove_signal_handler(one)


async def _first_of(*works: Coroutine[Any, Any, None], within_s: float) -> None:
    tasks = [asyncio.ensure_future(work) for work in works]
    await asyncio.wait(tasks, timeout=within_s, return_when=asyncio.FIRST_COMPLETED)
    for task in tasks:
        task.cancel()


def _tls(settings: Settings) -> tuple[ssl.SSLContext, KeyPair]:
    """The certificate and its key, for both transports. Raises SettingsError."""
    certificate, key = settings.ringcx_receive_certificate, settings.ringcx_receive_key
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(certificate, key, password=lambda: b"")
        return context, KeyPair(certificate.read_bytes(), key.read_bytes())
    except FileNotFoundError:
        missing = ", ".join(str(path) for path in (certificate, key) if not path.exists())
        say = f"there is no {missing}; `ringcx-etl certificate` makes one to develop with"
    except (OSError, ssl.SSLError, ValueError) as error:
        say = f"cannot use {certificate} with {key}: {getattr(error, 'reason', None) or error}; the key has no password"
    raise SettingsError(f"RINGCX_RECEIVE_CERTIFICATE, RINGCX_RECEIVE_KEY: {say}.")


def _allow_many_files() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = FILES_WANTED if hard == resource.RLIM_INFINITY else min(FILES_WANTED, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
