-- Which engine of speech to text heard a segment best: of those that are done with it.
-- Grain: one row per segment that an engine is done with.
-- Columns:
--   sub_account_id      RingCX sub-account of the segment
--   dialog_id           The dialog
--   segment_id          The segment
--   source              The engine: ringcentral-ai before google, before pocketsphinx, before any other
--   segment_day         Day that they are stored under, in UTC
--   utterance_count     Utterances that it heard
SELECT
    sub_account_id,
    dialog_id,
    segment_id,
    arg_min(source, place) AS source,
    arg_min(segment_day, place) AS segment_day,
    arg_min(utterance_count, place) AS utterance_count
FROM (
    SELECT
        *,
        CASE
            WHEN state = 'done' AND source <> 'ringcentral-insights'
                THEN (coalesce(list_position(['ringcentral-ai', 'google', 'pocketsphinx'], source), 4), source)
        END AS place
    FROM jobs
)
GROUP BY sub_account_id, dialog_id, segment_id
-- Not WHERE: the catalog would be asked which files may hold such rows, which costs more than to read them.
HAVING count(place) > 0
