-- How much of each day was polled, and what it held.
-- Grain: one row per sub-account and UTC day.
-- Columns:
--   sub_account_id      RingCX sub-account that was asked
--   day                 Day in UTC
--   windows             Windows of it that were polled
--   minutes             Minutes of the day that these cover
--   segments            Segments that ended in them, at the last poll
--   flagged             Those of them with a transcript
--   first_polled_at     When one of them was polled first [UTC]
--   last_polled_at      When one of them was polled last [UTC]
SELECT
    sub_account_id,
    CAST(window_start AT TIME ZONE 'UTC' AS DATE) AS day,
    count(*) AS windows,
    CAST(sum(date_diff('minute', window_start, window_end)) AS BIGINT) AS minutes,
    CAST(sum(segments) AS BIGINT) AS segments,
    CAST(sum(flagged) AS BIGINT) AS flagged,
    min(first_polled_at) AS first_polled_at,
    max(polled_at) AS last_polled_at
FROM windows
GROUP BY ALL
