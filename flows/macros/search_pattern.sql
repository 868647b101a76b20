-- The pattern (RE2) of texts in which a word or phrase stands, whatever its case, as whole words.
-- Grain: one text; empty where there is no letter or digit in it. Where people write without spaces (Chinese, Thai) it may
-- begin and end anywhere.
-- Parameters:
--   said                A word, or several that stand beside each other; a * at its end stands for any ending
(said) AS (
    if(regexp_matches(said, '^[^\p{L}\p{N}\p{M}_]*[\x{E00}-\x{EFF}\x{1000}-\x{109F}\x{1780}-\x{17FF}\x{3005}-\x{3007}\x{3040}-\x{30FF}\x{31F0}-\x{31FF}\x{3400}-\x{4DBF}\x{4E00}-\x{9FFF}\x{F900}-\x{FAFF}\x{FF66}-\x{FF9F}\x{20000}-\x{3FFFF}]'), '', '(?:^|[^\p{L}\p{N}\p{M}_]|[\x{E00}-\x{EFF}\x{1000}-\x{109F}\x{1780}-\x{17FF}\x{3005}-\x{3007}\x{3040}-\x{30FF}\x{31F0}-\x{31FF}\x{3400}-\x{4DBF}\x{4E00}-\x{9FFF}\x{F900}-\x{FAFF}\x{FF66}-\x{FF9F}\x{20000}-\x{3FFFF}])')
    || search_beginning(said)
    || if(said LIKE '%*' OR regexp_matches(said, '[\x{E00}-\x{EFF}\x{1000}-\x{109F}\x{1780}-\x{17FF}\x{3005}-\x{3007}\x{3040}-\x{30FF}\x{31F0}-\x{31FF}\x{3400}-\x{4DBF}\x{4E00}-\x{9FFF}\x{F900}-\x{FAFF}\x{FF66}-\x{FF9F}\x{20000}-\x{3FFFF}][^\p{L}\p{N}\p{M}_]*$'), '', '(?:$|[^\p{L}\p{N}\p{M}_]|[\x{E00}-\x{EFF}\x{1000}-\x{109F}\x{1780}-\x{17FF}\x{3005}-\x{3007}\x{3040}-\x{30FF}\x{31F0}-\x{31FF}\x{3400}-\x{4DBF}\x{4E00}-\x{9FFF}\x{F900}-\x{FAFF}\x{FF66}-\x{FF9F}\x{20000}-\x{3FFFF}])')
)
