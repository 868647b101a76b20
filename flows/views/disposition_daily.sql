-- How conversations ended, by day.
-- Grain: one row per sub-account, who said so, disposition and UTC day on which the segments ended.
-- Columns:
--   sub_account_id      RingCX sub-account
--   day                 Day in UTC
--   chosen_by           agent or system
--   disposition         As RingCX spells it
--   segments            Segments with it
--   conversations       Dialogs with it
SELECT
    sub_account_id,
    CAST(segment_end_time AT TIME ZONE 'UTC' AS DATE) AS day,
    chosen_by,
    disposition,
    count(*) AS segments,
    count(DISTINCT dialog_id) AS conversations
FROM (
    SELECT sub_account_id, dialog_id, segment_end_time, 'agent' AS chosen_by, agent_disposition AS disposition
    FROM segments
    UNION ALL
    SELECT sub_account_id, dialog_id, segment_end_time, 'system' AS chosen_by, system_disposition AS disposition
    FROM segments
)
WHERE disposition IS NOT NULL
GROUP BY sub_account_id, day, chosen_by, disposition
