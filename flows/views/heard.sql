-- Which engine of speech to text heard a segment best: of those that are done with it.
-- Grain: one row per segment that an engine is done with.
-- Columns:
--   sub_account_id      RingCX sub-account of the segment
--   dialog_id           The dialog
--   segment_id          The segment
--   source              The engine: ringcentral-ai before google, before pocketsphinx, before any other
--   utterance_count     Utterances that it heard
SELECT
    sub_account_id,
    dialog_id,
    segment_id,
    arg_min(source, (coalesce(list_position(['ringcentral-ai', 'google', 'pocketsphinx'], source), 4), source))
        AS source,
    arg_min(
        utterance_count, (coalesce(list_position(['ringcentral-ai', 'google', 'pocketsphinx'], source), 4), source)
    ) AS utterance_count
FROM jobs
WHERE state = 'done' AND source <> 'ringcentral-insights'
GROUP BY ALL
