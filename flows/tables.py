"""The tables, and RingCX's records as their rows. The one place that knows both.

Grain, key and every column's meaning are declared here; the data dictionary and the lake's comments come from it.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

import msgspec
import pyarrow as pa

from connectors.ringcx.records import Listing, Problem, Segment, Utterance
from flows.calls.tables import CALL_TABLES, RINGCX
from flows.columns import INSTANT, KEY_FIELDS, SEGMENT_KEY, from_metadata, from_transcript, ours
from flows.windows import Window
from sinks.schema import Table, with_default

# A transcript's states. Every one but the last four is asked for again.
ABSENT, PENDING, STORED, EMPTY, REJECTED, EXPIRED = "absent", "pending", "stored", "empty", "rejected", "expired"


METADATA_FIELDS = [
    *KEY_FIELDS,
    from_metadata("interaction_id", pa.string(), "Older id (UII) that ties call legs together"),
    from_metadata("channel_id", pa.string(), "Channel the interaction came through"),
    from_metadata("channel_type", pa.string(), "VOICE, EMAIL, MESSENGER, ENGAGE_MESSAGING, ..."),
    from_metadata("channel_class", pa.string(), "VOICE or DIGITAL"),
    from_metadata("channel_endpoint_address", pa.string(), "The company's number or address"),
    from_metadata("contact_endpoint_address", pa.string(), "The contact's number or address"),
    from_metadata("dialog_origination", pa.string(), "INBOUND or OUTBOUND"),
    from_metadata("dialog_start_time", INSTANT, "When the dialog began", "UTC"),
    from_metadata("dialog_end_time", INSTANT, "When the dialog ended", "UTC"),
    from_metadata("dialog_duration_ms", pa.int64(), "How long the dialog lasted", "ms"),
    from_metadata("segment_type", pa.string(), "AGENT, BOT or IVR"),
    from_metadata("segment_participant_id", pa.string(), "Agent, bot or IVR of the segment"),
    from_metadata("segment_participant_rc_extension_id", pa.string(), "RingCentral extension of the agent"),
    from_metadata("segment_start_time", INSTANT, "When the segment began", "UTC"),
    from_metadata("segment_end_time", INSTANT, "When the segment ended; what windows select by", "UTC", nullable=False),
    from_metadata("segment_duration_ms", pa.int64(), "How long the segment lasted", "ms"),
    from_metadata("segment_agent_group_id", pa.string(), "Agent group"),
    from_metadata("system_disposition", pa.string(), "ANSWER, ABANDON, BUSY, MACHINE, ..."),
    from_metadata("agent_disposition", pa.string(), "Disposition that the agent chose"),
    from_metadata("agent_notes", pa.string(), "Notes that the agent wrote"),
    from_metadata("has_recording", pa.bool_(), "RingCX has a recording"),
    from_metadata("has_transcript", pa.bool_(), "RingCX has, or will have, a transcript"),
    from_metadata("segment_events", pa.json_(), "Recording starts and stops, as sent"),
    ours("extra", pa.json_(), "Fields of the metadata that we do not know"),
]

LIFECYCLE_FIELDS = [
    ours("transcript_state", pa.string(), "absent, pending, stored, empty, rejected or expired", nullable=False),
    ours("transcript_attempts", pa.int32(), "Times the transcript was asked for", "requests"),
    ours("next_attempt_at", INSTANT, "When a pending transcript is asked for next", "UTC"),
    ours("claimed_by", pa.string(), "Run, and which of its claims, that is asking for it now; until next_attempt_at"),
    ours("transcript_error", pa.string(), "What the last attempt that brought nothing was told"),
    ours("utterance_count", pa.int32(), "Utterances stored for it", "utterances"),
    ours("quarantined_count", pa.int32(), "Utterances of it that are in quarantine", "utterances"),
    ours("transcript_at", INSTANT, "When its transcript was last asked for", "UTC"),
    ours("transcript_day", pa.date32(), "Day that its stored transcript's utterances are under: their segment_day"),
    ours("refetch_asked_at", INSTANT, "When a backfill asked for a stored one once more; until it has been", "UTC"),
    ours("first_seen_at", INSTANT, "When metadata listed it first", "UTC"),
]

SEGMENTS = Table(
    "segments",
    pa.schema([*METADATA_FIELDS, *LIFECYCLE_FIELDS]),
    key=SEGMENT_KEY,
    partition_by=("year(segment_end_time)", "month(segment_end_time)"),
    sort_by=SEGMENT_KEY,  # one dialog is looked up much more often than an hour, and a month is soon read
)

UTTERANCES = Table(
    "utterances",
    pa.schema(
        [
            *KEY_FIELDS,
            with_default(ours("source", pa.string(), "Who heard it: ringcx, or the engine of speech to text"), RINGCX),
            ours("seq", pa.int32(), "Place in the source's order within the segment, from 0", nullable=False),
            from_transcript("spoken_at", INSTANT, "When it was said or written", "timestamp", "UTC, ms"),
            from_transcript("participant_id", pa.string(), "Who said it"),
            from_transcript("participant_name", pa.string(), "Their name, where RingCX has it"),
            from_transcript("participant_type", pa.string(), "agent, contact or bot, where RingCX says so"),
            from_transcript("rc_user_id", pa.string(), "Their RingCentral user id"),
            from_transcript("message", pa.string(), "What was said, byte for byte"),
            ours("words", pa.int32(), "Words of it, by white space", "words"),
            ours("extra", pa.json_(), "Fields of the line that we do not know"),
            ours("segment_day", pa.date32(), "Day its segment ended when it was stored: keeps a transcript together"),
        ]
    ),
    # A month rather than a day: files are what a catalog answers slowly for. Days are told apart within.
    partition_by=("year(segment_day)", "month(segment_day)"),
    sort_by=("segment_day", *SEGMENT_KEY, "source", "seq"),
)

WINDOWS = Table(
    "windows",
    pa.schema(
        [
            ours("sub_account_id", pa.string(), "RingCX sub-account that was asked", nullable=False),
            ours("window_start", INSTANT, "Where the window begins", "UTC", nullable=False),
            ours("window_end", INSTANT, "Where it ends, exclusive", "UTC", nullable=False),
            ours("polled_at", INSTANT, "When it was asked for last", "UTC", nullable=False),
            ours("first_polled_at", INSTANT, "When it was asked for first", "UTC"),
            ours("polls", pa.int32(), "Times it was asked for", "requests"),
            ours("segments", pa.int32(), "Segments that ended in it, at the last poll", "segments"),
            ours("flagged", pa.int32(), "Those of them with hasTranscript", "segments"),
            ours("purpose", pa.string(), "Kind of run that asked for it first: ingest or backfill"),
            ours("run_id", pa.string(), "Run that asked for it last"),
        ]
    ),
    key=("sub_account_id", "window_start", "window_end"),
    sort_by=("sub_account_id", "window_start"),
)

QUARANTINE = Table(
    "quarantine",
    pa.schema(
        [
            ours("item_id", pa.string(), "Digest of the item and where it came from", nullable=False),
            ours("kind", pa.string(), "segment, utterance, transcript, insight or job", nullable=False),
            ours("sub_account_id", pa.string(), "RingCX sub-account that was asked"),
            ours("dialog_id", pa.string(), "Dialog, where it is known"),
            ours("segment_id", pa.string(), "Segment, where it is known"),
            ours("position", pa.int32(), "Place in the answer, from 0"),
            ours("reason", pa.string(), "Why it could not be understood"),
            ours("raw", pa.string(), "The item as it came"),
            ours("quarantined_at", INSTANT, "When it was seen first", "UTC"),
            ours("run_id", pa.string(), "Run that saw it first"),
        ]
    ),
    key=("item_id",),
)

RUNS = Table(
    "runs",
    pa.schema(
        [
            ours("run_id", pa.string(), "Id of the run", nullable=False),
            ours(
                "kind",
                pa.string(),
                "ingest, backfill, reconcile, maintain, receive, recordings, summaries or transcribe",
                nullable=False,
            ),
            ours("state", pa.string(), "running, done, failed or killed", nullable=False),
            ours("started_at", INSTANT, "When it began", "UTC"),
            ours("finished_at", INSTANT, "When it ended", "UTC"),
            ours("windows_polled", pa.int32(), "Windows covered by its polls", "windows"),
            ours("segments_read", pa.int64(), "Segments that RingCX listed", "segments"),
            ours("segments_loaded", pa.int64(), "Those that were new or had changed", "segments"),
            ours("segments_skipped", pa.int64(), "Those already stored just so", "segments"),
            ours("segments_quarantined", pa.int64(), "Those that could not be understood", "segments"),
            ours("transcripts_stored", pa.int64(), "Transcripts stored", "transcripts"),
            ours("transcripts_not_ready", pa.int64(), "Transcripts that were not there yet", "transcripts"),
            ours("transcripts_rejected", pa.int64(), "Transcripts that RingCX will never give", "transcripts"),
            ours("transcripts_expired", pa.int64(), "Transcripts still missing when retention ended", "transcripts"),
            ours("utterances_read", pa.int64(), "Utterances that RingCX sent", "utterances"),
            ours("utterances_loaded", pa.int64(), "Those stored", "utterances"),
            ours("utterances_skipped", pa.int64(), "Those of transcripts that another run had stored", "utterances"),
            ours("utterances_quarantined", pa.int64(), "Those that could not be understood", "utterances"),
            ours("requests", pa.json_(), "Requests by quota group and answer"),
            ours("unknown_fields", pa.json_(), "Fields that we do not know, and how often they came"),
            ours("error", pa.string(), "Why it failed, or what it had to leave out"),
            ours("version", pa.string(), "Version of ringcx-etl"),
        ]
    ),
    key=("run_id",),
)

TABLES = (SEGMENTS, UTTERANCES, WINDOWS, QUARANTINE, RUNS, *CALL_TABLES)

# What a poll may change in a stored segment: the metadata, and the state when the flag has come on since.
_FLAG_CAME_ON = "t.transcript_state = 'absent' AND s.transcript_state = 'pending'"
UPDATE_FROM_METADATA: Mapping[str, str] = {
    **{name: f"s.{name}" for name in pa.schema(METADATA_FIELDS).names if name not in SEGMENT_KEY},
    "transcript_state": f"CASE WHEN {_FLAG_CAME_ON} THEN s.transcript_state ELSE t.transcript_state END",
    "next_attempt_at": f"CASE WHEN {_FLAG_CAME_ON} THEN s.next_attempt_at ELSE t.next_attempt_at END",
}
UPDATE_WINDOW: Mapping[str, str] = {
    **{name: f"s.{name}" for name in ("polled_at", "segments", "flagged", "run_id")},
    "polls": "t.polls + s.polls",
}
UPDATE_FROM_TRANSCRIPT: Mapping[str, str] = {
    name: f"s.{name}" for name in pa.schema(LIFECYCLE_FIELDS).names if name != "first_seen_at"
}
# Of one that was fetched once more and did not come: only whether it is asked for yet again.
UPDATE_LEFT: Mapping[str, str] = {
    "next_attempt_at": "s.next_attempt_at",
    "claimed_by": "NULL",
    "refetch_asked_at": "CASE WHEN s.next_attempt_at IS NOT NULL THEN t.refetch_asked_at END",
}


def segment_rows(listings: Iterable[Listing], now: datetime) -> pa.Table:
    """One row per segment; of a segment that the answer lists twice, the last."""
    rows = {}
    for listing in listings:
        segment = listing.segment
        pending = bool(segment.has_transcript)
        row = msgspec.structs.asdict(segment)
        row["segment_events"] = _json(segment.segment_events)
        row["extra"] = listing.extra
        row["transcript_state"] = PENDING if pending else ABSENT
        row["transcript_attempts"] = row["utterance_count"] = row["quarantined_count"] = 0
        row["next_attempt_at"] = now if pending else None
        row["first_seen_at"] = now
        rows[segment.dialog_id, segment.segment_id] = row
    return pa.Table.from_pylist(list(rows.values()), SEGMENTS.schema)


def window_rows(
    sub_account_id: str, cells: Iterable[Window], segments: Sequence[Segment], now: datetime, purpose: str, run_id: str
) -> pa.Table:
    """One row per window that a poll covered, with the segments that ended in each."""
    rows = []
    for cell in cells:
        inside = [segment for segment in segments if cell.start <= segment.segment_end_time < cell.end]
        rows.append(
            {
                "sub_account_id": sub_account_id,
                "window_start": cell.start,
                "window_end": cell.end,
                "polled_at": now,
                "first_polled_at": now,
                "polls": 1,
                "segments": len(inside),
                "flagged": sum(bool(segment.has_transcript) for segment in inside),
                "purpose": purpose,
                "run_id": run_id,
            }
        )
    return pa.Table.from_pylist(rows, WINDOWS.schema)


def outcome_rows(rows: Iterable[Mapping[str, object]]) -> pa.Table:
    """One row per attempted transcript: its segment's key, where to look for it, its lifecycle after the attempt."""
    names = [*SEGMENT_KEY, "segment_end_time", *UPDATE_FROM_TRANSCRIPT]
    return pa.Table.from_pylist(list(rows), pa.schema([SEGMENTS.schema.field(name) for name in names]))


def utterance_rows(
    transcripts: Iterable[tuple[tuple[str, str, str], datetime, Sequence[Utterance]]],
) -> pa.Table:
    """One row per utterance of each (key, end of its segment, utterances), in the platform's order."""
    columns: dict[str, list[object]] = {name: [] for name in UTTERANCES.schema.names}
    for key, segment_end, utterances in transcripts:
        day = segment_end.date()
        for said in utterances:
            who = (said.participant_id, said.participant_name, said.participant_type, said.rc_user_id)
            words = len(said.message.split()) if said.message else 0
            values = (*key, RINGCX, said.seq, said.spoken_at_ms * 1000, *who, said.message, words, said.extra, day)
            for column, value in zip(columns.values(), values, strict=True):
                column.append(value)
    arrays = [pa.array(values, kind) for values, kind in zip(columns.values(), UTTERANCES.schema.types, strict=True)]
    return pa.table(arrays, schema=UTTERANCES.schema)


def quarantine_rows(
    kind: str, key: tuple[str, str | None, str | None], problems: Iterable[Problem], now: datetime, run_id: str
) -> list[dict[str, object]]:
    """One row per item that could not be understood; the same item from the same place is the same row."""
    sub_account_id, dialog_id, segment_id = key
    rows: list[dict[str, object]] = []
    for problem in problems:
        # A window is asked for again and lists its segments in any order, so there the position says nothing.
        position = "" if kind == "segment" else str(problem.position)
        place = (kind, sub_account_id, dialog_id or "", segment_id or "", problem.raw, position)
        rows.append(
            {
                "item_id": hashlib.sha256("\0".join(place).encode()).hexdigest(),
                "kind": kind,
                "sub_account_id": sub_account_id,
                "dialog_id": dialog_id,
                "segment_id": segment_id,
                "position": problem.position,
                "reason": problem.reason,
                "raw": problem.raw,
                "quarantined_at": now,
                "run_id": run_id,
            }
        )
    return rows


def quarantine_table(rows: Iterable[dict[str, object]]) -> pa.Table:
    """The rows of `quarantine_rows` as Arrow, each item once."""
    return pa.Table.from_pylist(list({row["item_id"]: row for row in rows}.values()), QUARANTINE.schema)


def _json(value: object) -> str | None:
    return None if value is None else msgspec.json.encode(value).decode()
