-- Interactions as the metadata tells of them, with a transcript or without.
-- Grain: one row per dialog.
-- Columns:
--   sub_account_id      RingCX sub-account of the dialog
--   dialog_id           The dialog
--   day                 Day on which it began, in UTC: filter by it, and everything else reads only that day
--   channel_class       VOICE or DIGITAL
--   channel_type        VOICE, EMAIL, MESSENGER, ENGAGE_MESSAGING, ...
--   direction           INBOUND or OUTBOUND
--   contact             The contact's number or address
--   company             The company's number or address
--   started_at          When it began [UTC]
--   ended_at            When it ended, so far as is known [UTC]
--   segments            Segments that it is made of
--   agents              Ids of the agents in it, sorted
--   transfers           Agent segments after the first
--   agent_dispositions  Dispositions that agents chose, sorted
--   system_dispositions Dispositions of the system, sorted
--   flagged             Segments with a transcript
--   transcripts         Segments whose transcript is stored
SELECT
    sub_account_id,
    dialog_id,
    CAST(
        min(coalesce(dialog_start_time, segment_start_time, segment_end_time)) AT TIME ZONE 'UTC' AS DATE
    ) AS day,
    arg_min(channel_class, segment_end_time) AS channel_class,
    arg_min(channel_type, segment_end_time) AS channel_type,
    arg_min(dialog_origination, segment_end_time) AS direction,
    arg_min(contact_endpoint_address, segment_end_time) AS contact,
    arg_min(channel_endpoint_address, segment_end_time) AS company,
    min(coalesce(dialog_start_time, segment_start_time, segment_end_time)) AS started_at,
    max(greatest(dialog_end_time, segment_end_time)) AS ended_at,
    count(*) AS segments,
    coalesce(list_sort(list_distinct(list(segment_participant_id) FILTER (segment_type = 'AGENT'))), []) AS agents,
    greatest(count(*) FILTER (segment_type = 'AGENT') - 1, 0) AS transfers,
    list_sort(list_distinct(list(agent_disposition))) AS agent_dispositions,
    list_sort(list_distinct(list(system_disposition))) AS system_dispositions,
    count(*) FILTER (has_transcript) AS flagged,
    count(*) FILTER (transcript_state = 'stored') AS transcripts
FROM segments
GROUP BY sub_account_id, dialog_id
