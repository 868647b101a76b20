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
LEFT JOIN segments AS s USING (sub_account_id, dialog_id, segment_id)
LEFT JOIN heard AS h USING (sub_account_id, dialog_id, segment_id)
WHERE u.source = CASE WHEN s.transcript_state = 'stored' THEN 'ringcx' ELSE coalesce(h.source, 'ringcx') END
