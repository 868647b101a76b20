"""The tables of calls: streams, audio, what happened on a stream, speech to text, insights, summaries.

Every row that is about a segment carries the segment's whole key, so that it joins with `segments`, whose row may come
later: a call is live before RingCX's metadata lists it.
"""

import pyarrow as pa

from flows.columns import INSTANT, KEY_FIELDS, SEGMENT_KEY, ours
from sinks.schema import Table

TEXT = pa.string()

# Who heard an utterance, or gave an insight; `utterances.source` and `jobs.source`. Earlier ones are better.
RINGCX, RINGCENTRAL_AI, GOOGLE, POCKETSPHINX = "ringcx", "ringcentral-ai", "google", "pocketsphinx"
ANALYSIS = "ringcentral-insights"

STREAMS = Table(
    "streams",
    pa.schema(
        [
            ours("stream_id", TEXT, "The stream's id, which we choose: the same for the same request", nullable=False),
            ours("sub_account_id", TEXT, "RingCX sub-account of the dialog"),
            ours("dialog_id", TEXT, "The dialog that is streamed"),
            ours("segment_id", TEXT, "The segment of it that is streamed; empty: all of the dialog"),
            ours("state", TEXT, "starting, started, stopping, stopped, refused or unknown", nullable=False),
            ours("url", TEXT, "Where the audio goes, without what follows a question mark"),
            ours("encoding", TEXT, "Encoding asked for"),
            ours("rate_hz", pa.int32(), "Sample rate asked for", "Hz"),
            ours("ptime_ms", pa.int32(), "Time in one packet asked for", "ms"),
            ours("token_digest", TEXT, "SHA-256 of the token that the receiver is to be shown"),
            ours("asked_at", INSTANT, "When its start was asked for", "UTC"),
            ours("started_at", INSTANT, "When RingCX said that it starts", "UTC"),
            ours("stopped_at", INSTANT, "When RingCX said that it stops", "UTC"),
            ours("error", TEXT, "What RingCX said instead"),
        ]
    ),
    key=("stream_id",),
)

RECORDINGS = Table(
    "recordings",
    pa.schema(
        [
            ours("recording_id", TEXT, "Digest of segment, origin and session", nullable=False),
            *KEY_FIELDS,
            ours("origin", TEXT, "grpc or wss: heard live; ringcx: downloaded", nullable=False),
            ours("session_id", TEXT, "The stream's session, as RingCX names it"),
            ours("state", TEXT, "open, complete, cut; a download: pending, stored, missing, expired", nullable=False),
            ours("path", TEXT, "The WAV file, below RINGCX_AUDIO_PATH"),
            ours("encoding", TEXT, "PCMU, PCMA or L16"),
            ours("rate_hz", pa.int32(), "Sample rate", "Hz"),
            ours("channels", pa.int32(), "1, or 2: agent left, all others right"),
            ours("participant_type", TEXT, "Who is heard in a file of one channel: agent, contact, bot"),
            ours("participant_id", TEXT, "Their id, as the stream names it"),
            ours("participant_name", TEXT, "Their name, where the stream has it"),
            ours("ani", TEXT, "The caller's number"),
            ours("dnis", TEXT, "The number that was called"),
            ours("started_at", INSTANT, "When its first sample was heard; of a download, the segment's start", "UTC"),
            ours("ended_at", INSTANT, "When its last sample was heard", "UTC"),
            ours("duration_ms", pa.int64(), "Length of the audio in the file", "ms"),
            ours("size_bytes", pa.int64(), "Size of the file", "bytes"),
            ours("sha256", TEXT, "Digest of the file, once it is whole"),
            ours("chunks", pa.int64(), "Chunks that came", "chunks"),
            ours("chunks_missing", pa.int64(), "Chunks that never came: silence stands in their place", "chunks"),
            ours("chunks_reordered", pa.int64(), "Chunks that came out of order, and were put in order", "chunks"),
            ours("chunks_doubled", pa.int64(), "Chunks that came more than once", "chunks"),
            ours("chunks_late", pa.int64(), "Chunks that came after their place was written", "chunks"),
            ours("attempts", pa.int32(), "Times the download was asked for", "requests"),
            ours("next_attempt_at", INSTANT, "When a pending download is asked for next", "UTC"),
            ours("error", TEXT, "Why it was cut, or what the last attempt was told"),
            ours("run_id", TEXT, "Run that wrote it"),
        ]
    ),
    key=("recording_id",),
)

STREAM_EVENTS = Table(
    "stream_events",
    pa.schema(
        [
            ours("session_id", TEXT, "The stream's session"),
            ours("sub_account_id", TEXT, "RingCX sub-account, where the stream says so"),
            ours("dialog_id", TEXT, "The dialog, where the stream says so"),
            ours("segment_id", TEXT, "The segment that it is about; empty: the whole session"),
            ours("origin", TEXT, "grpc or wss"),
            ours("happened_at", INSTANT, "When it came", "UTC"),
            ours("event", TEXT, "connected, start, hold, unhold, stop, cut, refused, malformed, ..."),
            ours("data", pa.json_(), "What came with it"),
            ours("run_id", TEXT, "Run that received it"),
            ours("number", pa.int64(), "Its place among all that this run received, from 0"),
        ]
    ),
    sort_by=("happened_at",),
)

JOBS = Table(
    "jobs",
    pa.schema(
        [
            *KEY_FIELDS,
            ours("source", TEXT, "Engine that is asked: what its utterances and insights carry", nullable=False),
            ours("state", TEXT, "waiting, submitted, done, empty, failed or expired", nullable=False),
            ours("recording_ids", TEXT, "Recordings that are heard, separated by blanks; agent before contact"),
            ours("audio_started_at", INSTANT, "When the audio begins, where the platform is asked to hear it", "UTC"),
            ours("segment_day", pa.date32(), "Day that its utterances are stored under"),
            ours("channels", pa.int32(), "2: each channel is one speaker, agent first; absent: they are not known"),
            ours("job_id", TEXT, "The platform's id of the job"),
            ours("webhook_digest", TEXT, "SHA-256 of the path at which its answer is expected"),
            ours("attempts", pa.int32(), "Times it was begun", "attempts"),
            ours("next_attempt_at", INSTANT, "When it is begun, or asked about, next", "UTC"),
            ours("submitted_at", INSTANT, "When it was begun last", "UTC"),
            ours("finished_at", INSTANT, "When its answer came", "UTC"),
            ours("expires_at", INSTANT, "When the platform forgets its answer", "UTC"),
            ours("audio_ms", pa.int64(), "Audio heard", "ms"),
            ours("utterance_count", pa.int32(), "Utterances stored of it", "utterances"),
            ours("confidence", pa.float64(), "How sure the engine is", "0 to 1"),
            ours("language", TEXT, "Language it was told, as en-US"),
            ours("error", TEXT, "What went wrong last"),
            ours("claimed_by", TEXT, "Run that is working on it; until next_attempt_at"),
            ours("run_id", TEXT, "Run that stored its answer"),
        ]
    ),
    key=(*SEGMENT_KEY, "source"),
)

INSIGHTS = Table(
    "insights",
    pa.schema(
        [
            *KEY_FIELDS,
            ours("source", TEXT, "Engine that gave it", nullable=False),
            ours("position", pa.int32(), "Place among the segment's insights, from 0", nullable=False),
            ours("scope", TEXT, "utterance, speaker or conversation"),
            ours("name", TEXT, "Kind of insight: Emotion, Summary, TalkToListenRatio, ..."),
            ours("speaker_id", TEXT, "Speaker that it is about"),
            ours("starts_at_ms", pa.int64(), "Where in the audio it begins", "ms"),
            ours("ends_at_ms", pa.int64(), "Where it ends", "ms"),
            ours("value", pa.json_(), "The insight, as sent"),
        ]
    ),
    sort_by=(*SEGMENT_KEY, "source", "position"),
)

SUMMARIES = Table(
    "summaries",
    pa.schema(
        [
            *KEY_FIELDS,
            ours("kind", TEXT, "auto: by RingCX's AI; agent: as the agent left it", nullable=False),
            ours("state", TEXT, "pending, stored, empty, missing or expired", nullable=False),
            ours("summary", TEXT, "The text, as sent"),
            ours("segment_end_time", INSTANT, "When the segment ended", "UTC"),
            ours("attempts", pa.int32(), "Times it was asked for", "requests"),
            ours("next_attempt_at", INSTANT, "When it is asked for next", "UTC"),
            ours("fetched_at", INSTANT, "When it was asked for last", "UTC"),
            ours("error", TEXT, "What the last attempt that brought nothing was told"),
            ours("run_id", TEXT, "Run that asked for it last"),
        ]
    ),
    key=(*SEGMENT_KEY, "kind"),
)

CALL_TABLES = (STREAMS, RECORDINGS, STREAM_EVENTS, JOBS, INSIGHTS, SUMMARIES)
