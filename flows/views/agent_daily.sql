-- What each agent did each day.
-- Grain: one row per sub-account, agent and UTC day on which the agent's segments began.
-- Columns:
--   sub_account_id      RingCX sub-account
--   agent_id            The agent: segmentParticipantId of segments of type AGENT
--   agent_name          Their name, where a transcript has it
--   day                 Day in UTC
--   conversations       Dialogs that the agent took part in
--   segments            Segments of the agent
--   handle_seconds      How long these lasted, together [s]
--   transcripts         Those of them whose transcript is stored
--   turns               Utterances of the agent in them
--   words               Words of these
--   contact_words       Words of the contacts in the same segments
--   talk_share          Share of the agent in what both said [0 to 1, by words]
SELECT
    s.sub_account_id,
    s.segment_participant_id AS agent_id,
    max(t.agent_name) AS agent_name,
    CAST(coalesce(s.segment_start_time, s.segment_end_time) AT TIME ZONE 'UTC' AS DATE) AS day,
    count(DISTINCT s.dialog_id) AS conversations,
    count(*) AS segments,
    sum(s.segment_duration_ms) / 1000 AS handle_seconds,
    count(*) FILTER (s.transcript_state = 'stored') AS transcripts,
    CAST(coalesce(sum(t.turns), 0) AS BIGINT) AS turns,
    CAST(coalesce(sum(t.words), 0) AS BIGINT) AS words,
    CAST(coalesce(sum(t.contact_words), 0) AS BIGINT) AS contact_words,
    coalesce(sum(t.words), 0) / nullif(coalesce(sum(t.words), 0) + coalesce(sum(t.contact_words), 0), 0) AS talk_share
FROM segments AS s
LEFT JOIN (
    SELECT
        sub_account_id,
        dialog_id,
        segment_id,
        max(participant_name) FILTER (speaker = 'agent') AS agent_name,
        count(*) FILTER (speaker = 'agent') AS turns,
        sum(words) FILTER (speaker = 'agent') AS words,
        sum(words) FILTER (speaker = 'contact') AS contact_words
    FROM spoken
    GROUP BY sub_account_id, dialog_id, segment_id
) AS t USING (sub_account_id, dialog_id, segment_id)
WHERE s.segment_type = 'AGENT' AND s.segment_participant_id IS NOT NULL
GROUP BY s.sub_account_id, s.segment_participant_id, day
