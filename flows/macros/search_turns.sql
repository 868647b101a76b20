-- Utterances in which a word or phrase stands, whatever its case: FROM search_turns('refund'), search_turns('cancel*').
-- Grain: one row per utterance of the view spoken. Filter by segment_day, and only those days are read.
-- Parameters:
--   said                A word, or several that stand beside each other; a * at its end stands for any ending
-- Columns:
--   *                   Those of the view spoken
(said) AS TABLE
SELECT *
FROM spoken
WHERE regexp_matches(message, search_beginning(said)) AND regexp_matches(message, search_pattern(said))
