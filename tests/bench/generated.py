"""A lake of generated conversations, as many as wanted: a year of them, laid out as a nightly maintenance leaves it.

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

from flows import tables
from flows.dictionary import macro_bodies, view_bodies
from sinks.lake import Lake
from sinks.location import Location
from tests.processes import CORPUS

LINES, DAYS, AGENTS = 8, 365, 200  # utterances a segment, days in all, agents

SEGMENTS_SQL = """
    INSERT INTO lake.main.segments BY NAME
    SELECT
        '1' AS sub_account_id,
        'd' || lpad((i - i % 11 // 10)::VARCHAR, 9, '0') AS dialog_id,
        's' || lpad(i::VARCHAR, 9, '0') AS segment_id,
        if(i % 3 = 0, 'MESSENGER', 'VOICE') AS channel_type,
        if(i % 3 = 0, 'DIGITAL', 'VOICE') AS channel_class,
        if(i % 4 = 0, 'OUTBOUND', 'INBOUND') AS dialog_origination,
        '+1555' || lpad((hash(i) % 1000000)::VARCHAR, 7, '0') AS contact_endpoint_address,
        TIMESTAMPTZ '2025-09-01 00:00:00+00' + to_microseconds((i - i % 11 // 10) * {gap_us}) AS dialog_start_time,
        'AGENT' AS segment_type,
        'agent-' || hash(i) % {agents} AS segment_participant_id,
        dialog_start_time + to_seconds(200 * (i % 11 // 10)) AS segment_start_time,
        segment_start_time + to_seconds(190) AS segment_end_time,
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
        segment_end_time AS first_seen_at
    FROM range({first}, {last}) AS r(i)
    ORDER BY segment_end_time
"""
UTTERANCES_SQL = """
    INSERT INTO lake.main.utterances BY NAME
    SELECT
        s.sub_account_id,
        s.dialog_id,
        s.segment_id,
        s.seq::INTEGER AS seq,
        s.segment_start_time + to_seconds(s.seq * 20 + hash(s.i, s.seq) % 15) AS spoken_at,
        if(s.seq % 2 = 0, s.segment_participant_id, 'c-' || s.dialog_id) AS participant_id,
        if(s.i % 2 = 0, if(s.seq % 2 = 0, 'agent', 'contact'), NULL) AS participant_type,
        t.message || ' ' || hash(s.i, s.seq) % 10000 AS message,
        len(string_split(t.message, ' ')) + 1 AS words,
        CAST(s.segment_end_time AT TIME ZONE 'UTC' AS DATE) AS segment_day
    FROM (
        SELECT *, CAST(hash(i, seq) % {texts} AS BIGINT) AS number
        FROM (
            SELECT *, CAST(substr(segment_id, 2) AS BIGINT) AS i, unnest(range({lines})) AS seq
            FROM lake.main.segments
            WHERE segment_id >= 's' || lpad('{first}', 9, '0') AND segment_id < 's' || lpad('{last}', 9, '0')
        )
    ) AS s
    JOIN texts AS t USING (number)
    ORDER BY segment_day, s.sub_account_id, s.dialog_id, s.segment_id, s.seq
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
            for sql in (SEGMENTS_SQL, UTTERANCES_SQL):
                con.execute(sql.format(**numbers, gap_us=gap_us, agents=AGENTS))
        con.unregister("texts")


def open_generated(folder: Path, utterances: int) -> Lake:
    """The lake with so many generated utterances in `folder`, made if it is not there yet."""
    lake = Lake(Location.parse(str(folder), None), tables.TABLES, view_bodies(), macros=macro_bodies())
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
