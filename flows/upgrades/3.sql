-- Where transcripts are kept: `transcript_day` of the segments and `segment_day` of the jobs that earlier layouts stored.
UPDATE lake.main.segments AS s
SET transcript_day = u.segment_day
FROM (
    SELECT sub_account_id, dialog_id, segment_id, min(segment_day) AS segment_day
    FROM lake.main.utterances
    WHERE source = 'ringcx'
    GROUP BY ALL
) AS u
WHERE s.sub_account_id = u.sub_account_id AND s.dialog_id = u.dialog_id AND s.segment_id = u.segment_id;

UPDATE lake.main.jobs AS j
SET segment_day = u.segment_day
FROM (
    SELECT sub_account_id, dialog_id, segment_id, source, min(segment_day) AS segment_day
    FROM lake.main.utterances
    GROUP BY ALL
) AS u
WHERE j.sub_account_id = u.sub_account_id AND j.dialog_id = u.dialog_id AND j.segment_id = u.segment_id
    AND j.source = u.source;

-- A live call over midnight was kept under two days.
UPDATE lake.main.utterances AS u
SET segment_day = j.segment_day
FROM lake.main.jobs AS j
WHERE u.sub_account_id = j.sub_account_id AND u.dialog_id = j.dialog_id AND u.segment_id = j.segment_id
    AND u.source = j.source AND u.segment_day <> j.segment_day;
