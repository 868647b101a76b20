-- Conversations to read: every utterance with its place in the whole dialog, transfers included.
-- Grain: one row per utterance. Filter by day, sub_account_id or dialog_id: the rest is then not even read.
-- Columns:
--   sub_account_id      RingCX sub-account of the dialog
--   dialog_id           The dialog
--   turn                Place in the dialog by time, from 1
--   segment_id          The segment
--   source              Who heard it: ringcx, or the engine of speech to text
--   seq                 Place in the source's order within the segment, from 0
--   day                 Day on which the dialog began, in UTC
--   channel_class       VOICE or DIGITAL
--   channel_type        VOICE, EMAIL, MESSENGER, ENGAGE_MESSAGING, ...
--   direction           INBOUND or OUTBOUND
--   agent_id            Agent (or bot) of the segment
--   spoken_at           When it was said or written [UTC]
--   offset_seconds      Time since the dialog began [s]
--   gap_seconds         Time since the utterance before, in whichever segment; empty for the first [s]
--   speaker             agent, contact or bot: as the source says; else by the ids of the segment; else empty
--   participant_id      Who said it, as the source names them
--   participant_name    Their name, where it is known
--   words               Words, by white space (few in languages that are written without)
--   message             What was said
SELECT
    sub_account_id,
    dialog_id,
    row_number() OVER dialog AS turn,
    segment_id,
    source,
    seq,
    day,
    channel_class,
    channel_type,
    direction,
    agent_id,
    spoken_at,
    date_diff('millisecond', started_at, spoken_at) / 1000 AS offset_seconds,
    date_diff('millisecond', lag(spoken_at) OVER dialog, spoken_at) / 1000 AS gap_seconds,
    speaker,
    participant_id,
    participant_name,
    words,
    message
FROM (
    -- As in spoken, and the dialog's day and channel as in dialogs, so that segments are read once for both.
    SELECT
        u.* EXCLUDE (sub_account_id, dialog_id, segment_id),
        s.sub_account_id,
        s.dialog_id,
        s.segment_id,
        s.day,
        s.channel_class,
        s.channel_type,
        s.direction,
        s.started_at,
        s.segment_start_time,
        s.agent_id,
        speaker_of(
            u.participant_type, u.participant_id, u.rc_user_id,
            u.source, s.segment_type, s.agent_id, s.extension_id, s.contact
        ) AS speaker
    FROM utterances AS u
    JOIN (
        SELECT
            * EXCLUDE (channel_class, channel_type),
            min(coalesce(dialog_start_time, segment_start_time, segment_end_time)) OVER dialog AS started_at,
            CAST(
                min(coalesce(dialog_start_time, segment_start_time, segment_end_time)) OVER dialog AT TIME ZONE 'UTC'
                AS DATE
            ) AS day,
            first_value(channel_class IGNORE NULLS) OVER first_to_last AS channel_class,
            first_value(channel_type IGNORE NULLS) OVER first_to_last AS channel_type,
            first_value(dialog_origination IGNORE NULLS) OVER first_to_last AS direction
        FROM segment_transcripts
        WINDOW
            dialog AS (PARTITION BY sub_account_id, dialog_id),
            first_to_last AS (
                PARTITION BY sub_account_id, dialog_id ORDER BY segment_end_time
                ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING
            )
    ) AS s
        ON u.dialog_id = s.dialog_id AND u.segment_day = s.segment_day
        AND u.sub_account_id IS NOT DISTINCT FROM s.sub_account_id AND u.segment_id IS NOT DISTINCT FROM s.segment_id
        AND u.source IS NOT DISTINCT FROM s.source
)
-- The channel and the day are the same in all of a dialog: as parts of the partition, filters by them come first.
WINDOW dialog AS (
    PARTITION BY sub_account_id, dialog_id, day, channel_class, channel_type, direction
    ORDER BY spoken_at, segment_start_time, segment_id, seq
)
