-- Who says an utterance: agent, contact or bot, also where participantType is empty. Empty where nobody can tell.
-- Grain: one text. As the source says; else by the ids of the segment.
-- Parameters:
--   participant_type    What the source says
--   participant_id      Who said it, as the source names them
--   rc_user_id          Their RingCentral user id
--   source              Who heard it
--   segment_type        AGENT, BOT or IVR
--   agent_id            Agent, bot or IVR of the segment
--   extension_id        RingCentral extension of the agent
--   contact             The contact's number or address
(participant_type, participant_id, rc_user_id, source, segment_type, agent_id, extension_id, contact) AS (
    CASE
        WHEN lower(participant_type) IN ('agent', 'contact', 'bot') THEN lower(participant_type)
        WHEN lower(participant_type) IN ('customer', 'caller', 'user', 'end_user') THEN 'contact'
        WHEN participant_id = agent_id AND segment_type IN ('BOT', 'IVR') THEN 'bot'
        WHEN participant_id = agent_id THEN 'agent'
        WHEN participant_id = contact THEN 'contact'
        WHEN rc_user_id IS NOT NULL THEN 'agent'
        WHEN participant_id = extension_id THEN 'agent'
        -- One agent has one segment with one contact: whoever else RingCX names is that contact.
        WHEN source = 'ringcx' AND participant_id IS NOT NULL AND agent_id IS NOT NULL THEN 'contact'
    END
)
