-- Time between two polled stretches, which nobody has asked for.
-- Grain: one row per sub-account and gap.
-- Columns:
--   sub_account_id      RingCX sub-account that was not asked
--   gap_from            Where the gap begins [UTC]
--   gap_until           Where it ends, exclusive [UTC]
--   hours               How long it is [hours]
SELECT
    sub_account_id,
    covered_until AS gap_from,
    next_from AS gap_until,
    date_diff('second', covered_until, next_from) / 3600 AS hours
FROM (
    SELECT *, lead(covered_from) OVER (PARTITION BY sub_account_id ORDER BY covered_from) AS next_from FROM covered
)
WHERE next_from IS NOT NULL
