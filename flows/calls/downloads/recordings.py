"""Recordings downloaded: which, where to, and what is said of them in `recordings`. Knows no Prefect.

A recording is streamed to a file beside its place, checked, flushed, and put there in one step; then its row says
`stored`. So a row never promises a file that is not there, and a file without a row is fetched once more and replaced.
"""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import timedelta

import httpx
import pyarrow as pa

from connectors import wav
from connectors.answers import BadBody
from connectors.ringcx.recordings import Recordings
from flows.calls.downloads.choice import CONDITION, Choice
from flows.calls.downloads.fetching import Errand, Progress
from flows.calls.downloads.fetching import fetch as fetch_all
from flows.calls.downloads.fetching import wanted as wanted_of
from flows.calls.downloads.haul import STORED, Arrival, Fetched, Item, Outcome
from flows.calls.tables import RECORDINGS
from flows.columns import SEGMENT_KEY
from flows.outcomes import Key
from flows.runtime import Accounts, Runtime
from sinks.changes import Change, Upsert
from sinks.landing import Landing, clear_parts, landing

KIND, ORIGIN = "recordings", "ringcx"
LONGEST_BYTES = 2**32  # no WAV file is longer
STALE_PARTS_S = 7200.0  # nothing is streamed for so long
LONGER, LONGER_MS = 1.5, 60_000  # how much longer than its segment or dialog a recording may be

FROM = f"""
    FROM segments AS s LEFT JOIN (FROM recordings WHERE origin = '{ORIGIN}') AS r
        USING (sub_account_id, dialog_id, segment_id)
    WHERE {CONDITION} AND s.has_recording AND coalesce(r.state, 'pending') NOT IN ('stored', 'expired')
"""
DUE_SQL = f"""
    SELECT sub_account_id, dialog_id, segment_id, '' AS kind, coalesce(r.attempts, 0) AS attempts,
        s.segment_start_time AS segment_start, s.segment_end_time AS segment_end,
        greatest(s.segment_duration_ms, s.dialog_duration_ms) AS longest_ms
    {FROM} AND coalesce(r.next_attempt_at, s.segment_end_time + to_seconds($ready_s)) <= $now
    ORDER BY s.segment_end_time DESC LIMIT $limit
"""
LEFT_SQL = f"SELECT count(*) AS n {FROM} AND $ready_s >= 0"


def recording_id(key: Key, origin: str = ORIGIN, session_id: str = "") -> str:
    """What names a recording, and its file: a digest, because ids are the platform's and no part of a path."""
    return hashlib.sha256("\0".join((*key, origin, session_id)).encode()).hexdigest()[:32]


async def fetch(
    runtime: Runtime,
    choice: Choice = Choice(),  # noqa: B008 - frozen
    *,
    max_minutes: float | None = None,
    on_progress: Progress = lambda haul: None,
) -> Fetched:
    """Download what is due of the chosen segments' recordings, newest first, below `RINGCX_AUDIO_PATH`.

    None is fetched twice once it is stored. Starts nothing new after `max_minutes`; the next run goes on from there.
    """
    top = runtime.settings.ringcx_audio_path
    await asyncio.to_thread(clear_parts, top, runtime.clock() - STALE_PARTS_S)
    return await fetch_all(runtime, _errand(runtime, choice), max_minutes=max_minutes, on_progress=on_progress)


async def wanted(runtime: Runtime, choice: Choice) -> tuple[int, timedelta]:
    """How many recordings are due, and how long they take at the present limits."""
    return await wanted_of(runtime, _errand(runtime, choice))


def _errand(runtime: Runtime, choice: Choice) -> Errand:
    source = Recordings(runtime.caller)

    async def attempt(accounts: Accounts, item: Item, run_id: str) -> Arrival:
        return await source.fetch(accounts.rc_account_id, *item.key, _taker(runtime, item, run_id))

    return Errand(
        kind=KIND,
        limits=runtime.settings.ringcx_recording_limits,
        due_sql=DUE_SQL,
        left_sql=LEFT_SQL,
        choice=choice,
        ready_s=runtime.settings.ringcx_recording_ready_seconds,
        attempt=attempt,
        changes=_changes,
    )


def _taker(
    runtime: Runtime, item: Item, run_id: str
) -> Callable[[httpx.Headers, AsyncIterator[bytes]], Awaitable[Arrival]]:
    name = recording_id(item.key)
    path = f"{ORIGIN}/{item.segment_end:%Y-%m-%d}/{name}.wav"

    async def take(headers: httpx.Headers, chunks: AsyncIterator[bytes]) -> Arrival:
        with landing(runtime.settings.ringcx_audio_path, path, run_id) as file:
            head = await _write(file, chunks)
            heard = _checked(head, file.size, headers, item)
            await asyncio.to_thread(file.finish)
            columns = {
                "path": path,
                "encoding": heard.encoding,
                "rate_hz": heard.rate_hz,
                "channels": heard.channels,
                "duration_ms": heard.duration_ms,
                "size_bytes": file.size,
                "sha256": file.sha256,
            }
            return Arrival(columns=columns, size_bytes=file.size)

    return take


async def _write(file: Landing, chunks: AsyncIterator[bytes]) -> bytes:
    """The file's beginning; the rest is on the disk. Raises BadBody as soon as it is clear that it is no WAV file."""
    head, longest = b"", LONGEST_BYTES
    async for chunk in chunks:
        if len(head) < wav.HEAD_BYTES:
            is_first_look = len(head) < 12
            head += chunk[: wav.HEAD_BYTES - len(head)]
            if is_first_look and len(head) >= 12:
                longest = (wav.declared_bytes(head) or LONGEST_BYTES) + 1
        await asyncio.to_thread(file.write, chunk)
        if file.size > longest:
            raise BadBody(f"more than the {longest - 1} bytes that the WAV file has")
    return head


def _checked(head: bytes, size: int, headers: httpx.Headers, item: Item) -> wav.Wav:
    declared = headers.get("content-length", "")
    if declared.isdecimal() and "content-encoding" not in headers and int(declared) != size:
        raise BadBody(f"{size} bytes of {declared}")
    heard = wav.read_wav(head, size)
    if item.longest_ms and heard.duration_ms > item.longest_ms * LONGER + LONGER_MS:
        raise BadBody(f"{heard.duration_ms} ms of audio in a dialog of {item.longest_ms} ms")
    return heard


def _changes(done: Sequence[Outcome], run_id: str) -> list[Change]:
    rows = {}
    for outcome in done:
        item = outcome.item
        name = recording_id(item.key)
        rows[name] = {
            "recording_id": name,
            **dict(zip(SEGMENT_KEY, item.key, strict=True)),
            "origin": ORIGIN,
            "state": outcome.state,
            "started_at": item.segment_start,
            "ended_at": item.segment_end,
            "attempts": outcome.attempts,
            "next_attempt_at": outcome.next_attempt_at,
            "error": outcome.error,
            "run_id": run_id,
            **outcome.arrival.columns,
        }
    stored = pa.Table.from_pylist(list(rows.values()), RECORDINGS.schema)
    return [Upsert(RECORDINGS, stored, keep=f"t.state = '{STORED}'")]
