"""Which segments are still to be heard, by whom, and how much of that one run takes on."""
# ruff: noqa: S608 - put together from the program's own

from collections.abc import Sequence
from dataclasses import dataclass

from flows.calls.speech.hearing import Candidate, Recording, candidates
from flows.calls.tables import GOOGLE, POCKETSPHINX, RINGCENTRAL_AI
from flows.ports import Transcriber
from flows.runtime import Runtime
from flows.settings import SettingsError
from flows.windows import Window

ENGINES = (POCKETSPHINX, RINGCENTRAL_AI, GOOGLE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """Which segments, by whom, how much: minutes of audio; `max_minutes` of time, after which nothing new begins."""

    engine: str = ""
    span: Window | None = None
    only: tuple[str, ...] = ()
    minutes: float | None = None
    max_minutes: float | None = None
    analyze: bool = False


def engine_of(runtime: Runtime, wish: Wish, transcriber: Transcriber | None = None) -> str:
    """Who hears it. Raises SettingsError for an engine that there is none of."""
    engine = transcriber.source if transcriber else wish.engine or runtime.settings.ringcx_transcribe_engine
    if transcriber is None and engine not in ENGINES:
        raise SettingsError(f"--engine {engine}: there are {', '.join(ENGINES)}")
    return engine


def budget_ms(runtime: Runtime, wish: Wish) -> float:
    """How much audio a run may take on. ms."""
    return (runtime.settings.ringcx_transcribe_minutes if wish.minutes is None else wish.minutes) * 60_000


def waiting(runtime: Runtime, wish: Wish, engine: str) -> list[Candidate]:
    """The segments that this engine has still to hear, newest first."""
    parameters = {"engine": engine, "now": runtime.now(), "accounts": list(wish.only)}
    if engine == RINGCENTRAL_AI:
        parameters["ready_s"] = runtime.settings.ringcx_recording_ready_seconds
        rows = runtime.lake.query(AT_RINGCX_SQL, parameters).to_pylist()
        found = [Candidate(key=tuple(row.pop("key").values()), **row) for row in rows]
    else:
        rows = runtime.lake.query(RECORDINGS_SQL, parameters).to_pylist()
        recordings = [Recording(key=tuple(row.pop("key").values()), **row) for row in rows]
        found = candidates(recordings)
    span = wish.span
    return [one for one in found if span is None or span.start <= one.ended_at < span.end]


def budgeted(found: Sequence[Candidate], budget_ms: float) -> list[Candidate]:
    """The first of them, until their audio fills the budget: the last one may go beyond it."""
    chosen, taken = [], 0
    for one in found:
        if taken >= budget_ms:
            break
        chosen.append(one)
        taken += one.audio_ms
    return chosen


JOBS = "SELECT sub_account_id, dialog_id, segment_id, state, next_attempt_at FROM jobs WHERE source = $engine"
# The audio of sessions with a segment that wants words: all of a session's recordings, because they belong together.
# Taken is a segment with a transcript, now or soon, and one that this engine has heard or that somebody is at.
RECORDINGS_SQL = f"""
    SELECT recording_id, struct_pack(sub_account_id, dialog_id, segment_id) AS key, origin, r.state,
        coalesce(path, '') AS path, coalesce(channels, 1) AS channels, started_at,
        coalesce(duration_ms, 0) AS duration_ms,
        coalesce(session_id, '') AS session_id, participant_type, participant_id, participant_name,
        s.segment_end_time IS NOT NULL AS is_listed,
        coalesce(s.transcript_state IN ('stored', 'pending'), false)
            OR coalesce(j.state <> 'waiting' OR j.next_attempt_at > $now, false) AS is_taken
    FROM recordings AS r
    LEFT JOIN segments AS s USING (sub_account_id, dialog_id, segment_id)
    LEFT JOIN ({JOBS}) AS j USING (sub_account_id, dialog_id, segment_id)
    WHERE r.state IN ('open', 'complete', 'cut', 'stored') AND started_at IS NOT NULL
        AND (r.state = 'open' OR (path IS NOT NULL AND duration_ms > 0))
        AND (len($accounts::VARCHAR[]) = 0 OR list_contains($accounts::VARCHAR[], sub_account_id))
    WINDOW session AS (
        PARTITION BY sub_account_id, dialog_id, origin, if(coalesce(session_id, '') = '', recording_id, session_id)
    )
    QUALIFY bool_or(NOT is_taken AND (is_listed OR coalesce(participant_type, '') <> 'contact')) OVER session
        OR NOT bool_or(participant_type IN ('agent', 'bot')) OVER session
"""
# Segments without a transcript whose recording RingCX has, and that nobody has asked RingCentral's AI about.
AT_RINGCX_SQL = f"""
    SELECT struct_pack(sub_account_id, dialog_id, segment_id) AS key,
        coalesce(segment_start_time, segment_end_time) AS began_at, segment_end_time AS ended_at,
        coalesce(segment_duration_ms, 0) AS audio_ms
    FROM segments AS s LEFT JOIN ({JOBS}) AS j USING (sub_account_id, dialog_id, segment_id)
    WHERE has_recording AND transcript_state NOT IN ('stored', 'pending')
        AND segment_end_time + to_seconds($ready_s) <= $now
        AND (j.state IS NULL OR (j.state = 'waiting' AND coalesce(j.next_attempt_at, $now) <= $now))
        AND (len($accounts::VARCHAR[]) = 0 OR list_contains($accounts::VARCHAR[], sub_account_id))
    ORDER BY segment_end_time DESC
"""
