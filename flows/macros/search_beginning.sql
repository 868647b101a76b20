-- A pattern (RE2) of texts in which a word or phrase may stand: quick, never too strict, and it asks for no whole words.
-- Grain: one text; empty where there is no letter or digit in it.
-- Parameters:
--   said                A word, or several that stand beside each other
(said) AS (
    nullif(
        '(?i)'
        || regexp_replace(
            regexp_replace(said, '^[^\p{L}\p{N}\p{M}_]+|[^\p{L}\p{N}\p{M}_]+$', '', 'g'),
            '[^\p{L}\p{N}\p{M}_]+', '[^\\p{L}\\p{N}\\p{M}_]+', 'g'
        ),
        '(?i)'
    )
)
