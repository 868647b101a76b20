-- What each agent group handled each day: the nearest to a queue that the metadata names.
-- Grain: one row per sub-account, agent group, channel type, direction and UTC day on which the segments began.
-- Columns:
--   sub_account_id      RingCX sub-account
--   agent_group_id      segmentAgentGroupId; empty for segments of no group
--   channel_type        VOICE, EMAIL, MESSENGER, ENGAGE_MESSAGING, ...
--   direction           INBOUND or OUTBOUND
--   day                 Day in UTC
--   conversations       Dialogs
--   segments            Segments
--   agents              Different agents in them
--   answered            Segments that the system calls ANSWER
--   abandoned           Segments that the system calls ABANDON
--   handle_seconds      How long the segments lasted, together [s]
--   flagged             Segments with a transcript
--   transcripts         Those of them whose transcript is stored
SELECT
    sub_account_id,
    segment_agent_group_id AS agent_group_id,
    channel_type,
    dialog_origination AS direction,
    CAST(coalesce(segment_start_time, segment_end_time) AT TIME ZONE 'UTC' AS DATE) AS day,
    count(DISTINCT dialog_id) AS conversations,
    count(*) AS segments,
    count(DISTINCT segment_participant_id) FILTER (segment_type = 'AGENT') AS agents,
    count(*) FILTER (system_disposition = 'ANSWER') AS answered,
    count(*) FILTER (system_disposition = 'ABANDON') AS abandoned,
    sum(segment_duration_ms) / 1000 AS handle_seconds,
    count(*) FILTER (has_transcript) AS flagged,
    count(*) FILTER (transcript_state = 'stored') AS transcripts
FROM segments
GROUP BY sub_account_id, segment_agent_group_id, channel_type, dialog_origination, day
