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
    sub_account_id,
    agent_id,
    max(agent_name) AS agent_name,
    day,
    count(DISTINCT dialog_id) AS conversations,
    count(*) AS segments,
    sum(duration_ms) / 1000 AS handle_seconds,
    count(*) FILTER (source = 'ringcx') AS transcripts,
    CAST(sum(turns) AS BIGINT) AS turns,
    CAST(coalesce(sum(words), 0) AS BIGINT) AS words,
    CAST(coalesce(sum(contact_words), 0) AS BIGINT) AS contact_words,
    coalesce(sum(words), 0) / nullif(coalesce(sum(words), 0) + coalesce(sum(contact_words), 0), 0) AS talk_share
FROM (
    -- Beginning with the segments: of the utterances, only the files of the days in question are read.
    SELECT
        sub_account_id,
        dialog_id,
        segment_id,
        agent_id,
        day,
        any_value(duration_ms) AS duration_ms,
        any_value(source) AS source,
        max(participant_name) FILTER (speaker = 'agent') AS agent_name,
        count(*) FILTER (speaker = 'agent') AS turns,
        sum(words) FILTER (speaker = 'agent') AS words,
        sum(words) FILTER (speaker = 'contact') AS contact_words
    FROM (
        SELECT
            s.sub_account_id,
            s.dialog_id,
            s.segment_id,
            s.agent_id,
            CAST(coalesce(s.segment_start_time, s.segment_end_time) AT TIME ZONE 'UTC' AS DATE) AS day,
            s.segment_duration_ms AS duration_ms,
            s.source,
            u.participant_name,
            u.words,
            speaker_of(
                u.participant_type, u.participant_id, u.rc_user_id,
                u.source, s.segment_type, s.agent_id, s.extension_id, s.contact
            ) AS speaker
        FROM segment_transcripts AS s
        LEFT JOIN utterances AS u
            ON u.dialog_id = s.dialog_id AND u.segment_day = s.segment_day
            AND u.sub_account_id IS NOT DISTINCT FROM s.sub_account_id AND u.segment_id IS NOT DISTINCT FROM s.segment_id
            AND u.source IS NOT DISTINCT FROM s.source
        WHERE s.segment_type = 'AGENT' AND s.agent_id IS NOT NULL
    )
    GROUP BY sub_account_id, dialog_id, segment_id, agent_id, day
)
GROUP BY sub_account_id, agent_id, day
