"""A lake of generated conversations, as many as wanted: a year of them, in the files that maintenance leaves.

    .venv/bin/python -m tests.bench.generated FOLDER [UTTERANCES]

The words are the corpus's where it is there (each utterance one of its 158,066, with a number), and made up where not.
Eight utterances a segment; every tenth dialog has a second segment, with another agent. Deterministic.
"""

import gzip
import json
import sys
import time
from pathlib import Path

import pyarrow as pa

from flows.runtime import lake_at
from sinks.lake import Lake
from sinks.location import Location
from sinks.maintenance import maintain
from tests.processes import CORPUS

LINES, DAYS, AGENTS = 8, 365, 200  # utterances a segment, days in all, agents

# Ids are made as RingCX makes them: those of voice begin with random digits, those of other channels with a time.
BATCH_SQL = """
    CREATE OR REPLACE TEMP TABLE batch AS
    SELECT
        i,
        i - i % 11 // 10 AS dialog,
        md5(dialog::VARCHAR) AS random,
        dialog % 3 = 0 AS is_digital,
        TIMESTAMPTZ '2025-09-01 00:00:00+00' + to_microseconds(dialog * {gap_us}) AS dialog_start_time,
        dialog_start_time + to_seconds(200 * (i % 11 // 10)) AS segment_start_time,
        segment_start_time + to_seconds(190) AS segment_end_time,
        if(
            is_digital,
            'd-' || printf('%08x', epoch(dialog_start_time)::BIGINT) || left(random, 16),
            's-v-' || random
        ) || '-' || epoch_ms(dialog_start_time) AS dialog_id,
        if(is_digital, dialog_id, 'p' || substr(dialog_id, 2)) || printf('-%x', epoch_ms(segment_start_time))
            AS segment_id,
        'agent-' || hash(i) % {agents} AS segment_participant_id
    FROM range({first}, {last}) AS r(i)
"""
SEGMENTS_SQL = """
    INSERT INTO lake.main.segments BY NAME
    SELECT
        '1' AS sub_account_id,
        dialog_id,
        segment_id,
        if(is_digital, 'MESSENGER', 'VOICE') AS channel_type,
        if(is_digital, 'DIGITAL', 'VOICE') AS channel_class,
        if(i % 4 = 0, 'OUTBOUND', 'INBOUND') AS dialog_origination,
        '+1555' || lpad((hash(i) % 1000000)::VARCHAR, 7, '0') AS contact_endpoint_address,
        dialog_start_time,
        'AGENT' AS segment_type,
        segment_participant_id,
        segment_start_time,
        segment_end_time,
        190000 AS segment_duration_ms,
        'group-' || hash(i) % 12 AS segment_agent_group_id,
        if(hash(i) % 20 = 0, 'ABANDON', 'ANSWER') AS system_disposition,
        ['Solved', 'Refund', 'Callback', 'Complaint', NULL][(1 + hash(i + 1) % 5)::INTEGER] AS agent_disposition,
        true AS has_transcript,
        'stored' AS transcript_state,
        1 AS transcript_attempts,
        {lines} AS utterance_count,
        0 AS quarantined_count,
        segment_end_time AS transcript_at,
        CAST(segment_end_time AT TIME ZONE 'UTC' AS DATE) AS transcript_day,
        segment_end_time AS first_seen_at
    FROM batch
"""
UTTERANCES_SQL = """
    INSERT INTO lake.main.utterances BY NAME
    SELECT
        '1' AS sub_account_id,
        s.dialog_id,
        s.segment_id,
        s.seq::INTEGER AS seq,
        s.segment_start_time + to_seconds(s.seq * 20 + hash(s.i, s.seq) % 15) AS spoken_at,
        if(s.seq % 2 = 0, s.segment_participant_id, 'c-' || s.dialog) AS participant_id,
        if(s.i % 2 = 0, if(s.seq % 2 = 0, 'agent', 'contact'), NULL) AS participant_type,
        t.message || ' ' || hash(s.i, s.seq) % 10000 AS message,
        len(string_split(t.message, ' ')) + 1 AS words,
        CAST(s.segment_end_time AT TIME ZONE 'UTC' AS DATE) AS segment_day
    FROM (
        SELECT *, CAST(hash(i, seq) % {texts} AS BIGINT) AS number
        FROM (SELECT *, unnest(range({lines})) AS seq FROM batch)
    ) AS s
    JOIN texts AS t USING (number)
"""


def texts() -> list[str]:
    """What people say."""
    if not CORPUS.exists():
        line = "please help with my order the refund has not come I want to cancel thank you account number"
        words = line.split()
        return [" ".join(words[(n * k) % len(words)] for k in range(1, 3 + n % 11)) for n in range(5000)]
    with gzip.open(CORPUS, "rt", encoding="utf-8") as lines:
        return [turn["text"] for line in lines for turn in json.loads(line)["turns"]]


def fill(lake: Lake, utterances: int) -> None:
    """Put so many utterances, and their segments, into a new lake, a month or so at a time."""
    said = texts()
    segments, batch = utterances // LINES, 125_000
    gap_us = DAYS * 86_400_000_000 // segments
    with lake.exclusive() as con:
        con.register("texts", pa.table({"number": range(len(said)), "message": said}))
        for first in range(0, segments, batch):
            numbers = {"first": first, "last": min(first + batch, segments), "lines": LINES, "texts": len(said)}
            for sql in (BATCH_SQL, SEGMENTS_SQL, UTTERANCES_SQL):
                con.execute(sql.format(**numbers, gap_us=gap_us, agents=AGENTS))
        con.unregister("texts")
    maintain(lake)


def open_generated(folder: Path, utterances: int) -> Lake:
    """The lake with so many generated utterances in `folder`, made if it is not there yet."""
    lake = lake_at(Location.parse(str(folder), None))
    is_new = not (folder / "catalog.sqlite").exists()
    lake.create()
    if is_new:
        fill(lake, utterances)
    return lake


def main() -> None:
    """Make one."""
    folder, utterances = Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 1_000_000
    began = time.perf_counter()
    with open_generated(folder, utterances) as lake:
        rows = lake.query(
            "SELECT count(*) AS utterances, count(DISTINCT dialog_id) AS dialogs FROM utterances"
        ).to_pylist()
    print(rows[0], f"{time.perf_counter() - began:.0f} s")


if __name__ == "__main__":
    main()
