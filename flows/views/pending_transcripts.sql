-- Transcripts that are still to come, and when each is asked for next.
-- Grain: one row per pending segment. Columns: sub_account_id, dialog_id, segment_id; segment_end_time (UTC), age (since
-- then, until its last attempt or first sight); attempts, last_attempt_at, next_attempt_at (UTC); said (what the last
-- attempt was told); claimed_by (the run that is asking now).
SELECT
    sub_account_id,
    dialog_id,
    segment_id,
    segment_end_time,
    coalesce(transcript_at, first_seen_at) - segment_end_time AS age,
    transcript_attempts AS attempts,
    transcript_at AS last_attempt_at,
    next_attempt_at,
    transcript_error AS said,
    claimed_by
FROM segments
WHERE transcript_state = 'pending'
