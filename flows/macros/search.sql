-- Conversations in which each of up to 8 words or phrases was said, best first: FROM search(['refund', 'cancel*']).
-- Grain: one row per dialog. It reads all days, and ranks as `ringcx-etl search` does.
-- Parameters:
--   words               Words or phrases, as a list; a * at the end of one stands for any ending
-- Columns:
--   sub_account_id      RingCX sub-account of the dialog
--   dialog_id           The dialog
--   started_at          When it began [UTC]
--   turns               Utterances in it
--   hits                Utterances in which at least one of the words stands
--   score               How well it fits (BM25)
--   first_hit           The first of these utterances
(words) AS TABLE
WITH said AS (
    SELECT
        sub_account_id,
        dialog_id,
        spoken_at,
        message,
        CASE WHEN regexp_matches(message, search_beginning(words[1])) THEN regexp_matches(message, search_pattern(words[1])) ELSE false END AS is_1,
        CASE WHEN regexp_matches(message, search_beginning(words[2])) THEN regexp_matches(message, search_pattern(words[2])) ELSE false END AS is_2,
        CASE WHEN regexp_matches(message, search_beginning(words[3])) THEN regexp_matches(message, search_pattern(words[3])) ELSE false END AS is_3,
        CASE WHEN regexp_matches(message, search_beginning(words[4])) THEN regexp_matches(message, search_pattern(words[4])) ELSE false END AS is_4,
        CASE WHEN regexp_matches(message, search_beginning(words[5])) THEN regexp_matches(message, search_pattern(words[5])) ELSE false END AS is_5,
        CASE WHEN regexp_matches(message, search_beginning(words[6])) THEN regexp_matches(message, search_pattern(words[6])) ELSE false END AS is_6,
        CASE WHEN regexp_matches(message, search_beginning(words[7])) THEN regexp_matches(message, search_pattern(words[7])) ELSE false END AS is_7,
        CASE WHEN regexp_matches(message, search_beginning(words[8])) THEN regexp_matches(message, search_pattern(words[8])) ELSE false END AS is_8
    FROM best_utterances
),
counted AS (
    SELECT
        sub_account_id,
        dialog_id,
        count(*) AS hits,
        arg_min(message, spoken_at) AS first_hit,
        count(*) FILTER (is_1) AS n_1,
        count(*) FILTER (is_2) AS n_2,
        count(*) FILTER (is_3) AS n_3,
        count(*) FILTER (is_4) AS n_4,
        count(*) FILTER (is_5) AS n_5,
        count(*) FILTER (is_6) AS n_6,
        count(*) FILTER (is_7) AS n_7,
        count(*) FILTER (is_8) AS n_8
    FROM said
    WHERE is_1 OR is_2 OR is_3 OR is_4 OR is_5 OR is_6 OR is_7 OR is_8
    GROUP BY sub_account_id, dialog_id
),
spread AS (
    SELECT
        count(*) FILTER (n_1 > 0) AS with_1,
        count(*) FILTER (n_2 > 0) AS with_2,
        count(*) FILTER (n_3 > 0) AS with_3,
        count(*) FILTER (n_4 > 0) AS with_4,
        count(*) FILTER (n_5 > 0) AS with_5,
        count(*) FILTER (n_6 > 0) AS with_6,
        count(*) FILTER (n_7 > 0) AS with_7,
        count(*) FILTER (n_8 > 0) AS with_8
    FROM counted
),
scope AS (
    SELECT
        sub_account_id,
        dialog_id,
        min(coalesce(dialog_start_time, segment_start_time, segment_end_time)) AS started_at,
        CAST(
            coalesce(
                sum(CASE WHEN transcript_state = 'stored' THEN s.utterance_count ELSE h.utterance_count END), 0
            ) AS BIGINT
        ) AS turns
    FROM segments AS s
    LEFT JOIN heard AS h USING (sub_account_id, dialog_id, segment_id)
    WHERE CASE WHEN len(words) > 8 THEN error('search takes 8 words at most') ELSE true END
    GROUP BY sub_account_id, dialog_id
),
whole AS (
    SELECT count(*) AS conversations, greatest(avg(turns), 1) AS mean_turns FROM scope
)
SELECT
    sub_account_id,
    dialog_id,
    started_at,
    turns,
    hits,
    ln(1 + (conversations - with_1 + 0.5) / (with_1 + 0.5)) * n_1 * 2.2 / (n_1 + norm)
        + ln(1 + (conversations - with_2 + 0.5) / (with_2 + 0.5)) * n_2 * 2.2 / (n_2 + norm)
        + ln(1 + (conversations - with_3 + 0.5) / (with_3 + 0.5)) * n_3 * 2.2 / (n_3 + norm)
        + ln(1 + (conversations - with_4 + 0.5) / (with_4 + 0.5)) * n_4 * 2.2 / (n_4 + norm)
        + ln(1 + (conversations - with_5 + 0.5) / (with_5 + 0.5)) * n_5 * 2.2 / (n_5 + norm)
        + ln(1 + (conversations - with_6 + 0.5) / (with_6 + 0.5)) * n_6 * 2.2 / (n_6 + norm)
        + ln(1 + (conversations - with_7 + 0.5) / (with_7 + 0.5)) * n_7 * 2.2 / (n_7 + norm)
        + ln(1 + (conversations - with_8 + 0.5) / (with_8 + 0.5)) * n_8 * 2.2 / (n_8 + norm) AS score,
    first_hit
FROM (
    SELECT *, 1.2 * (0.25 + 0.75 * turns / mean_turns) AS norm
    FROM scope JOIN counted USING (sub_account_id, dialog_id), whole, spread
)
WHERE (n_1 > 0 OR len(words) < 1)
    AND (n_2 > 0 OR len(words) < 2)
    AND (n_3 > 0 OR len(words) < 3)
    AND (n_4 > 0 OR len(words) < 4)
    AND (n_5 > 0 OR len(words) < 5)
    AND (n_6 > 0 OR len(words) < 6)
    AND (n_7 > 0 OR len(words) < 7)
    AND (n_8 > 0 OR len(words) < 8)
ORDER BY score DESC, started_at DESC, sub_account_id, dialog_id
