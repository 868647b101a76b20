-- Transcripts that are still to come, and when each is asked for next.
-- Grain: one row per pending segment.
-- Columns:
--   sub_account_id      RingCX sub-account of the segment
--   dialog_id           Its dialog
--   segment_id          The segment
--   segment_end_time    When it ended [UTC]
--   age                 How long ago that was at the last attempt, or when it was first seen
--   attempts            Times the transcript was asked for
--   last_attempt_at     When it was asked for last [UTC]
--   next_attempt_at     When it is asked for next [UTC]
--   said                What the last attempt was told
--   claimed_by          Run, and which of its claims, that is asking for it now
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
