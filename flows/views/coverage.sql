-- How much of each day was polled, and what it held.
-- Grain: one row per sub-account and UTC day. Columns: sub_account_id, day; windows (polled), minutes (of the day that
-- they cover), segments, flagged (with a transcript, at the last poll); first_polled_at, last_polled_at (UTC).
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
