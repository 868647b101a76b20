-- Conversations with what was said in them, at a glance.
-- Grain: one row per dialog that has utterances. Columns: sub_account_id, dialog_id; channel_type, channel_class,
-- dialog_origination (of its first segment); started_at, ended_at (UTC, first and last utterance); segments, utterances,
-- participants (counts); opening (the first line).
SELECT
    u.sub_account_id,
    u.dialog_id,
    arg_min(s.channel_type, s.segment_start_time) AS channel_type,
    arg_min(s.channel_class, s.segment_start_time) AS channel_class,
    arg_min(s.dialog_origination, s.segment_start_time) AS dialog_origination,
    min(u.spoken_at) AS started_at,
    max(u.spoken_at) AS ended_at,
    count(DISTINCT u.segment_id) AS segments,
    count(*) AS utterances,
    count(DISTINCT u.participant_id) AS participants,
    arg_min(u.message, u.spoken_at) AS opening
FROM utterances AS u
JOIN segments AS s USING (sub_account_id, dialog_id, segment_id)
GROUP BY u.sub_account_id, u.dialog_id
