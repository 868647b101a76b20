-- What was said, and by whom, also where participantType is empty; of each segment, as its best source heard it.
-- Grain: one row per utterance.
-- Columns:
--   sub_account_id      RingCX sub-account of the segment
--   dialog_id           The dialog
--   segment_id          The segment
--   source              Who heard it: ringcx, or the engine of speech to text
--   seq                 Place in the source's order within the segment, from 0
--   segment_day         Day on which the segment ended, in UTC: filter by it, and only that day is read
--   segment_start_time  When the segment began [UTC]
--   agent_id            Agent (or bot) of the segment
--   spoken_at           When it was said or written [UTC]
--   speaker             agent, contact or bot: as the source says; else by the ids of the segment; else empty
--   participant_id      Who said it, as the source names them
--   participant_name    Their name, where it is known
--   words               Words, by white space (few in languages that are written without)
--   message             What was said
SELECT
    -- Keys are those of the segment: a list of dialogs is looked up there first.
    s.sub_account_id,
    s.dialog_id,
    s.segment_id,
    u.source,
    u.seq,
    u.segment_day,
    s.segment_start_time,
    s.agent_id,
    u.spoken_at,
    speaker_of(
        u.participant_type, u.participant_id, u.rc_user_id, u.source, s.segment_type, s.agent_id, s.extension_id, s.contact
    ) AS speaker,
    u.participant_id,
    u.participant_name,
    u.words,
    u.message
FROM utterances AS u
-- By day, too, so that of the utterances only the days in question are read. IS NOT DISTINCT FROM is = here, but asks
-- the catalog for no statistics of the column, which costs a millisecond each and would leave out no file.
JOIN segment_transcripts AS s
    ON u.dialog_id = s.dialog_id AND u.segment_day = s.segment_day
    AND u.sub_account_id IS NOT DISTINCT FROM s.sub_account_id AND u.segment_id IS NOT DISTINCT FROM s.segment_id
    AND u.source IS NOT DISTINCT FROM s.source
