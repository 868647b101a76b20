-- What was said, and by whom, also where participantType is empty; of each segment, as its best source heard it.
-- Grain: one row per utterance.
-- Columns:
--   sub_account_id      RingCX sub-account of the segment
--   dialog_id           The dialog
--   segment_id          The segment
--   source              Who heard it: ringcx, or the engine of speech to text
--   seq                 Place in the source's order within the segment, from 0
--   segment_day         Day on which the segment ended, in UTC: filter by it, and only that day's files are read
--   segment_start_time  When the segment began [UTC]
--   agent_id            Agent (or bot) of the segment
--   spoken_at           When it was said or written [UTC]
--   speaker             agent, contact or bot: as the source says; else by the ids of the segment; else empty
--   participant_id      Who said it, as the source names them
--   participant_name    Their name, where it is known
--   words               Words, by white space (few in languages that are written without)
--   message             What was said
SELECT
    u.sub_account_id,
    u.dialog_id,
    u.segment_id,
    u.source,
    u.seq,
    u.segment_day,
    s.segment_start_time,
    s.segment_participant_id AS agent_id,
    u.spoken_at,
    CASE
        WHEN lower(u.participant_type) IN ('agent', 'contact', 'bot') THEN lower(u.participant_type)
        WHEN lower(u.participant_type) IN ('customer', 'caller', 'user', 'end_user') THEN 'contact'
        WHEN u.participant_id = s.segment_participant_id AND s.segment_type IN ('BOT', 'IVR') THEN 'bot'
        WHEN u.participant_id = s.segment_participant_id THEN 'agent'
        WHEN u.participant_id = s.contact_endpoint_address THEN 'contact'
        WHEN u.rc_user_id IS NOT NULL THEN 'agent'
        WHEN u.participant_id = s.segment_participant_rc_extension_id THEN 'agent'
        -- One agent has one segment with one contact: whoever else RingCX names is that contact.
        WHEN u.source = 'ringcx' AND u.participant_id IS NOT NULL AND s.segment_participant_id IS NOT NULL
            THEN 'contact'
    END AS speaker,
    u.participant_id,
    u.participant_name,
    u.words,
    u.message
FROM utterances AS u
JOIN segments AS s USING (sub_account_id, dialog_id, segment_id)
LEFT JOIN heard AS h USING (sub_account_id, dialog_id, segment_id)
-- The rule of best_utterances, put here once more: through that view, segments would be read twice.
WHERE u.source = CASE WHEN s.transcript_state = 'stored' THEN 'ringcx' ELSE coalesce(h.source, 'ringcx') END
