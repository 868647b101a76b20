-- Conversations to read: every utterance with its place in the whole dialog, transfers included.
-- Grain: one row per utterance. Filter by day, sub_account_id or dialog_id: the rest is then not even read.
-- Columns:
--   sub_account_id      RingCX sub-account of the dialog
--   dialog_id           The dialog
--   turn                Place in the dialog by time, from 1
--   segment_id          The segment
--   seq                 Place in the platform's order within the segment, from 0
--   day                 Day on which the dialog began, in UTC
--   channel_class       VOICE or DIGITAL
--   channel_type        VOICE, EMAIL, MESSENGER, ENGAGE_MESSAGING, ...
--   direction           INBOUND or OUTBOUND
--   agent_id            Agent (or bot) of the segment
--   spoken_at           When it was said or written [UTC]
--   offset_seconds      Time since the dialog began [s]
--   gap_seconds         Time since the utterance before, in whichever segment; empty for the first [s]
--   speaker             agent, contact or bot: as RingCX says; else by the ids of the segment; else empty
--   participant_id      Who said it, as RingCX names them
--   participant_name    Their name, where RingCX has it
--   words               Words, by white space (few in languages that are written without)
--   message             What was said
SELECT
    s.sub_account_id,
    s.dialog_id,
    row_number() OVER dialog AS turn,
    s.segment_id,
    s.seq,
    d.day,
    d.channel_class,
    d.channel_type,
    d.direction,
    s.agent_id,
    s.spoken_at,
    date_diff('millisecond', d.started_at, s.spoken_at) / 1000 AS offset_seconds,
    date_diff('millisecond', lag(s.spoken_at) OVER dialog, s.spoken_at) / 1000 AS gap_seconds,
    s.speaker,
    s.participant_id,
    s.participant_name,
    s.words,
    s.message
FROM spoken AS s
JOIN dialogs AS d USING (sub_account_id, dialog_id)
-- The channel and the day are the same in all of a dialog: as parts of the partition, filters by them come first.
WINDOW dialog AS (
    PARTITION BY s.sub_account_id, s.dialog_id, d.day, d.channel_class, d.channel_type, d.direction
    ORDER BY s.spoken_at, s.segment_start_time, s.segment_id, s.seq
)
