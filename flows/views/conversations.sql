-- Conversations as a whole: who, when, how long, how much each side said, how it ended, and all of the text.
-- Grain: one row per dialog, those without a stored transcript included. Filter by day to read only that day.
-- Columns:
--   sub_account_id      RingCX sub-account of the dialog
--   dialog_id           The dialog
--   day                 Day on which it began, in UTC
--   channel_class       VOICE or DIGITAL
--   channel_type        VOICE, EMAIL, MESSENGER, ENGAGE_MESSAGING, ...
--   direction           INBOUND or OUTBOUND
--   contact             The contact's number or address
--   company             The company's number or address
--   started_at          When it began [UTC]
--   ended_at            When it ended, so far as is known [UTC]
--   duration_seconds    From the one to the other [s]
--   segments            Segments that it is made of
--   transfers           Agent segments after the first
--   agents              Ids of the agents in it, sorted
--   agent_names         Names of the agents who spoke, where RingCX has them, sorted
--   transcripts         Segments whose transcript is stored
--   turns               Utterances
--   agent_turns         Those of agents
--   contact_turns       Those of the contact
--   bot_turns           Those of bots
--   words               Words, by white space
--   agent_words         Those of agents
--   contact_words       Those of the contact
--   bot_words           Those of bots
--   talk_share          Share of the agents in what agents and contact said [0 to 1, by words]
--   first_response_seconds  From the contact's first utterance to the next one of an agent [s]
--   longest_silence_seconds Longest time between two utterances [s]
--   agent_dispositions  Dispositions that agents chose, sorted
--   system_dispositions Dispositions of the system, sorted
--   opening             The first utterance
--   text                All of it, one line per turn: `speaker: message`
SELECT
    sub_account_id,
    dialog_id,
    day,
    any_value(channel_class) AS channel_class,
    any_value(channel_type) AS channel_type,
    any_value(direction) AS direction,
    any_value(contact) AS contact,
    any_value(company) AS company,
    any_value(started_at) AS started_at,
    any_value(ended_at) AS ended_at,
    date_diff('millisecond', any_value(started_at), any_value(ended_at)) / 1000 AS duration_seconds,
    any_value(segments) AS segments,
    any_value(transfers) AS transfers,
    any_value(agents) AS agents,
    coalesce(list_sort(list_distinct(list(participant_name) FILTER (speaker = 'agent'))), []) AS agent_names,
    any_value(transcripts) AS transcripts,
    count(seq) AS turns,
    count(*) FILTER (speaker = 'agent') AS agent_turns,
    count(*) FILTER (speaker = 'contact') AS contact_turns,
    count(*) FILTER (speaker = 'bot') AS bot_turns,
    CAST(coalesce(sum(words), 0) AS BIGINT) AS words,
    CAST(coalesce(sum(words) FILTER (speaker = 'agent'), 0) AS BIGINT) AS agent_words,
    CAST(coalesce(sum(words) FILTER (speaker = 'contact'), 0) AS BIGINT) AS contact_words,
    CAST(coalesce(sum(words) FILTER (speaker = 'bot'), 0) AS BIGINT) AS bot_words,
    coalesce(sum(words) FILTER (speaker = 'agent'), 0)
    / nullif(sum(words) FILTER (speaker IN ('agent', 'contact')), 0) AS talk_share,
    date_diff(
        'millisecond',
        min(spoken_at) FILTER (speaker = 'contact'),
        list_min(
            list_filter(
                list(spoken_at) FILTER (speaker = 'agent'),
                lambda x: x >= min(spoken_at) FILTER (speaker = 'contact')
            )
        )
    ) / 1000 AS first_response_seconds,
    max(gap_seconds) AS longest_silence_seconds,
    any_value(agent_dispositions) AS agent_dispositions,
    any_value(system_dispositions) AS system_dispositions,
    arg_min(message, turn) AS opening,
    string_agg(coalesce(speaker, 'unknown') || ': ' || coalesce(message, ''), chr(10) ORDER BY turn)
        FILTER (seq IS NOT NULL) AS text
FROM (
    -- As in turns, but with the dialogs of which nothing was said, and beginning with the dialogs: of a day's alone, the
    -- segments are looked up, and of the utterances, only the files of their days are read.
    SELECT
        d.*,
        u.seq,
        speaker_of(
            u.participant_type, u.participant_id, u.rc_user_id,
            u.source, s.segment_type, s.agent_id, s.extension_id, s.contact
        ) AS speaker,
        u.participant_name,
        u.spoken_at,
        u.words,
        u.message,
        row_number() OVER dialog AS turn,
        date_diff('millisecond', lag(u.spoken_at) OVER dialog, u.spoken_at) / 1000 AS gap_seconds
    FROM dialogs AS d
    JOIN segment_transcripts AS s USING (sub_account_id, dialog_id)
    LEFT JOIN utterances AS u
        ON u.dialog_id = s.dialog_id AND u.segment_day = s.segment_day
        AND u.sub_account_id IS NOT DISTINCT FROM s.sub_account_id AND u.segment_id IS NOT DISTINCT FROM s.segment_id
        AND u.source IS NOT DISTINCT FROM s.source
    WINDOW dialog AS (
        PARTITION BY d.sub_account_id, d.dialog_id, d.day
        ORDER BY u.spoken_at, s.segment_start_time, s.segment_id, u.seq
    )
)
GROUP BY sub_account_id, dialog_id, day
