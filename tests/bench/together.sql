-- What must hold in any one state of the lake, whoever writes meanwhile.
-- Grain: one row. Columns: transcripts_wrong (stored without all their utterances, each once; or utterances of what is
-- not stored), windows_wrong (their counts are not those of the segments), segments, utterances, windows.
SELECT
    (
        SELECT count(*)
        FROM (
            SELECT sub_account_id, dialog_id, segment_id, utterance_count AS said
            FROM segments WHERE transcript_state = 'stored'
        ) AS stored
        FULL JOIN (
            SELECT sub_account_id, dialog_id, segment_id, count(*) AS there, count(DISTINCT seq) AS places
            FROM utterances GROUP BY ALL
        ) AS spoken USING (sub_account_id, dialog_id, segment_id)
        WHERE said IS DISTINCT FROM there OR there IS DISTINCT FROM places
    ) AS transcripts_wrong,
    (
        SELECT count(*)
        FROM windows
        LEFT JOIN (
            SELECT sub_account_id, date_trunc('minute', segment_end_time) AS window_start,
                count(*) AS n, count(*) FILTER (WHERE has_transcript) AS with_transcript
            FROM segments GROUP BY ALL
        ) AS seen USING (sub_account_id, window_start)
        WHERE windows.segments <> coalesce(n, 0) OR flagged <> coalesce(with_transcript, 0)
    ) AS windows_wrong,
    (SELECT count(*) FROM segments) AS segments,
    (SELECT count(*) FROM utterances) AS utterances,
    (SELECT count(*) FROM windows) AS windows
