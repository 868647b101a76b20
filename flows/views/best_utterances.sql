-- What was said, as the best source of each segment heard it: RingCX's own transcript where it is stored, else the best
-- engine of speech to text that is done with the segment (view `heard`).
-- Grain: one row per utterance. Live calls are in it before RingCX's metadata lists them.
-- Columns:
--   sub_account_id      RingCX sub-account of the segment
--   dialog_id           The dialog
--   segment_id          The segment
--   source              Who heard it: ringcx, or the engine of speech to text
--   seq                 Place in the source's order within the segment, from 0
--   segment_day         Day on which the segment ended, in UTC: filter by it, and only that day's files are read
--   spoken_at           When it was said or written [UTC]
--   participant_type    agent, contact or bot, where the source says so
--   participant_id      Who said it, as the source names them
--   participant_name    Their name, where it is known
--   words               Words, by white space (few in languages that are written without)
--   message             What was said
--   extra               Of an engine: start_ms and end_ms in the audio, confidence; of RingCX: fields that we do not know
SELECT
    u.sub_account_id,
    u.dialog_id,
    u.segment_id,
    u.source,
    u.seq,
    u.segment_day,
    u.spoken_at,
    u.participant_type,
    u.participant_id,
    u.participant_name,
    u.words,
    u.message,
    u.extra
FROM utterances AS u
-- Said by what is left out, which is little or nothing: to look every utterance up among the segments costs more.
ANTI JOIN (
    SELECT j.sub_account_id, j.dialog_id, j.segment_id, j.source
    FROM jobs AS j
    LEFT JOIN segments AS s USING (sub_account_id, dialog_id, segment_id)
    LEFT JOIN heard AS h USING (sub_account_id, dialog_id, segment_id)
    WHERE s.transcript_state = 'stored' OR j.source IS DISTINCT FROM h.source
) USING (sub_account_id, dialog_id, segment_id, source)
