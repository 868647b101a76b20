-- The time that has been polled, as unbroken stretches.
-- Grain: one row per sub-account and stretch.
-- Columns:
--   sub_account_id      RingCX sub-account that was asked
--   covered_from        Where the stretch begins [UTC]
--   covered_until       Where it ends, exclusive [UTC]
--   windows             Windows that it is made of
SELECT
    sub_account_id,
    min(window_start) AS covered_from,
    max(window_end) AS covered_until,
    count(*) AS windows
FROM (
    SELECT *, sum(opens) OVER (PARTITION BY sub_account_id ORDER BY window_start, window_end) AS stretch
    FROM (
        SELECT
            *,
            CAST(
                window_start > coalesce(
                    max(window_end) OVER (
                        PARTITION BY sub_account_id ORDER BY window_start, window_end
                        ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
                    ),
                    TIMESTAMPTZ '-infinity'
                ) AS INTEGER
            ) AS opens
        FROM windows
    )
)
GROUP BY sub_account_id, stretch
