-- Of each segment, whose transcript counts and where it is kept: RingCX's own where it is stored, else that of the best
-- engine of speech to text that is done with it (view `heard`).
-- Grain: one row per segment, those of which nothing was heard included.
-- Columns:
--   sub_account_id      RingCX sub-account of the segment
--   dialog_id           The dialog
--   segment_id          The segment
--   source              Who heard it: ringcx, or the engine of speech to text; empty where nobody did
--   segment_day         Day that its utterances are stored under, in UTC; empty where there are none
--   utterance_count     Utterances in it
--   channel_class       VOICE or DIGITAL
--   channel_type        VOICE, EMAIL, MESSENGER, ENGAGE_MESSAGING, ...
--   dialog_origination  INBOUND or OUTBOUND
--   dialog_start_time   When the dialog began [UTC]
--   segment_start_time  When the segment began [UTC]
--   segment_end_time    When the segment ended [UTC]
--   segment_duration_ms How long the segment lasted [ms]
--   segment_type        AGENT, BOT or IVR
--   agent_id            Agent, bot or IVR of the segment
--   extension_id        RingCentral extension of the agent
--   contact             The contact's number or address
SELECT
    s.sub_account_id,
    s.dialog_id,
    s.segment_id,
    CASE WHEN s.transcript_state = 'stored' THEN 'ringcx' ELSE h.source END AS source,
    CASE WHEN s.transcript_state = 'stored' THEN s.transcript_day ELSE h.segment_day END AS segment_day,
    coalesce(CASE WHEN s.transcript_state = 'stored' THEN s.utterance_count ELSE h.utterance_count END, 0)
        AS utterance_count,
    s.channel_class,
    s.channel_type,
    s.dialog_origination,
    s.dialog_start_time,
    s.segment_start_time,
    s.segment_end_time,
    s.segment_duration_ms,
    s.segment_type,
    s.segment_participant_id AS agent_id,
    s.segment_participant_rc_extension_id AS extension_id,
    s.contact_endpoint_address AS contact
FROM segments AS s
LEFT JOIN heard AS h USING (sub_account_id, dialog_id, segment_id)
