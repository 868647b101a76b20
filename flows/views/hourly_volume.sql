-- How much came in, by the hour.
-- Grain: one row per sub-account, channel, direction and UTC hour in which the segments began.
-- Columns:
--   sub_account_id      RingCX sub-account
--   hour                Beginning of the hour [UTC]
--   channel_class       VOICE or DIGITAL
--   channel_type        VOICE, EMAIL, MESSENGER, ENGAGE_MESSAGING, ...
--   direction           INBOUND or OUTBOUND
--   conversations       Dialogs with a segment that began in it
--   segments            Segments that began in it
--   flagged             Those of them with a transcript
--   transcripts         Those whose transcript is stored
--   pending             Those whose transcript is still to come
--   segment_seconds     How long the segments lasted, together [s]
SELECT
    sub_account_id,
    time_bucket(INTERVAL 1 HOUR, coalesce(segment_start_time, segment_end_time)) AS hour,
    channel_class,
    channel_type,
    dialog_origination AS direction,
    count(DISTINCT dialog_id) AS conversations,
    count(*) AS segments,
    count(*) FILTER (has_transcript) AS flagged,
    count(*) FILTER (transcript_state = 'stored') AS transcripts,
    count(*) FILTER (transcript_state = 'pending') AS pending,
    sum(segment_duration_ms) / 1000 AS segment_seconds
FROM segments
GROUP BY sub_account_id, hour, channel_class, channel_type, dialog_origination
