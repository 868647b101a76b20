"""Ten questions of analysts, asked of the lake's views and of two peers that hold the same conversations.

    .venv/bin/python -m tests.bench.warehouse [UTTERANCES] [FOLDER]

lake    the DuckLake, through its views, a transaction for each question
plain   the same rows in the tables of one .duckdb file, under the same views
dlt     the same rows as dlt 1.31 lays them out in a .duckdb file (`interaction_metadata`, `transcripts` and the child
        table `transcripts__transcript` with `_dlt_id`, `_dlt_parent_id`, `_dlt_list_idx`, epoch milliseconds as text),
        under views that bring them into the shape of our tables, and then the same views

Each question is asked `ROUNDS` times of each in turn; the median counts. Prints seconds and ratios to `plain`.
"""

import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from statistics import median

import duckdb

from flows.dictionary import macro_bodies, view_bodies
from sinks.lake import Lake
from tests.bench.generated import open_generated

ROUNDS = 3
DAY = "DATE '2026-03-03'"
QUESTIONS = {
    "volume by hour of the day": "SELECT extract(hour FROM hour) AS h, sum(segments) FROM hourly_volume GROUP BY h",
    "one day's conversations": f"SELECT * EXCLUDE (text) FROM conversations WHERE day = {DAY}",
    "one conversation to read": "SELECT turn, speaker, message FROM turns WHERE dialog_id = '{dialog}' ORDER BY turn",
    "talk share by agent, a month": """
        SELECT agent_id, avg(talk_share) FROM agent_daily WHERE day BETWEEN '2026-03-01' AND '2026-03-31' GROUP BY 1""",
    "dispositions, a year": """
        SELECT disposition, sum(segments) FROM disposition_daily WHERE chosen_by = 'agent' GROUP BY ALL""",
    "who says refund": """
        SELECT count(*) FROM spoken WHERE regexp_matches(message, '(?i)refund') AND speaker = 'contact'""",
    "first response, a week": """
        SELECT channel_type, median(first_response_seconds) FROM conversations
        WHERE day BETWEEN '2026-03-01' AND '2026-03-07' GROUP BY ALL""",
    "longest silences, a week": """
        SELECT dialog_id, longest_silence_seconds FROM conversations
        WHERE day BETWEEN '2026-03-01' AND '2026-03-07' ORDER BY 2 DESC LIMIT 10""",
    "agent groups by month": """
        SELECT agent_group_id, date_trunc('month', day) AS month, sum(handle_seconds)
        FROM agent_group_daily GROUP BY ALL""",
    "words by speaker, all time": "SELECT speaker, count(*), sum(words) FROM spoken GROUP BY ALL",
}
DLT_SQL = """
    CREATE SCHEMA ringcx;
    CREATE TABLE ringcx.interaction_metadata AS
        SELECT sub_account_id, dialog_id, segment_id, channel_type, channel_class, dialog_origination,
            contact_endpoint_address, channel_endpoint_address, dialog_start_time AS dialog_start_time_ms,
            dialog_end_time AS dialog_end_time_ms, segment_type, segment_participant_id,
            segment_participant_rc_extension_id, segment_start_time AS segment_start_time_ms,
            segment_end_time AS segment_end_time_ms, segment_duration_ms, segment_agent_group_id, system_disposition,
            agent_disposition, has_transcript, '1788264000.0' AS _dlt_load_id,
            left(md5('m' || segment_id), 14) AS _dlt_id
        FROM lake.main.segments;
    CREATE TABLE ringcx.transcripts AS
        SELECT sub_account_id, dialog_id, segment_id, channel_class, '1788264000.0' AS _dlt_load_id,
            left(md5(segment_id), 14) AS _dlt_id
        FROM lake.main.segments WHERE transcript_state = 'stored';
    CREATE TABLE ringcx.transcripts__transcript AS
        SELECT participant_id, participant_type, participant_name, rc_user_id,
            epoch_ms(spoken_at)::VARCHAR AS "timestamp", message, left(md5(segment_id), 14) AS _dlt_root_id,
            left(md5(segment_id), 14) AS _dlt_parent_id, seq::BIGINT AS _dlt_list_idx,
            left(md5(segment_id || seq), 14) AS _dlt_id
        FROM lake.main.utterances;
"""
DLT_VIEWS = {
    "segments": """
        SELECT *, dialog_start_time_ms AS dialog_start_time, dialog_end_time_ms AS dialog_end_time,
            segment_start_time_ms AS segment_start_time, segment_end_time_ms AS segment_end_time,
            if(has_transcript, 'stored', 'absent') AS transcript_state, 8 AS utterance_count,
            DATE '2025-09-01' AS transcript_day
        FROM ringcx.interaction_metadata""",
    "utterances": """
        SELECT t.sub_account_id, t.dialog_id, t.segment_id, u._dlt_list_idx AS seq,
            make_timestamptz(u."timestamp"::BIGINT * 1000) AS spoken_at, u.participant_id, u.participant_type,
            u.participant_name, u.rc_user_id, u.message,
            len(list_filter(string_split(u.message, ' '), lambda x: x <> '')) AS words,
            DATE '2025-09-01' AS segment_day,
            'ringcx' AS source, NULL::VARCHAR AS extra
        FROM ringcx.transcripts__transcript AS u JOIN ringcx.transcripts AS t ON t._dlt_id = u._dlt_parent_id""",
    "jobs": """
        SELECT NULL::VARCHAR AS sub_account_id, NULL::VARCHAR AS dialog_id, NULL::VARCHAR AS segment_id,
            NULL::VARCHAR AS source, NULL::VARCHAR AS state, NULL::INTEGER AS utterance_count,
            NULL::DATE AS segment_day WHERE false""",
}
ANALYSTS = (
    "dialogs",
    "heard",
    "segment_transcripts",
    "spoken",
    "turns",
    "conversations",
    "agent_daily",
    "agent_group_daily",
    "disposition_daily",
)


def analysts_views() -> dict[str, str]:
    """The views that read nothing but segments and utterances."""
    return {name: body for name, body in view_bodies().items() if name in (*ANALYSTS, "hourly_volume")}


def add_views(con: duckdb.DuckDBPyConnection, views: Mapping[str, str]) -> None:
    """These views, and the macro that they call."""
    con.execute(f"CREATE MACRO speaker_of {macro_bodies()['speaker_of']}")
    for name, body in views.items():
        con.execute(f"CREATE VIEW {name} AS {body}")


def plain_file(lake: Lake, path: Path) -> None:
    """The lake's rows in plain tables, under the same views."""
    with lake.exclusive() as con:
        con.execute(f"ATTACH '{path}' AS peer")
        for table in ("segments", "utterances", "jobs"):
            con.execute(f"CREATE TABLE peer.main.{table} AS FROM lake.main.{table}")
        con.execute("DETACH peer")
    with duckdb.connect(str(path)) as con:
        add_views(con, analysts_views())


def dlt_file(lake: Lake, path: Path) -> None:
    """The lake's rows as dlt lays them out, under views of our shape."""
    with lake.exclusive() as con:
        con.execute(f"ATTACH '{path}' AS peer; USE peer")
        con.execute(DLT_SQL)
        con.execute("USE memory; DETACH peer")
    with duckdb.connect(str(path)) as con:
        add_views(con, {**DLT_VIEWS, **analysts_views()})


def _read(lake: Lake, sql: str) -> object:
    with lake.read() as con:
        return con.execute(sql).to_arrow_table()


def seconds(ask: Callable[[str], object], sql: str) -> float:
    """How long one answer takes, fetched whole."""
    began = time.perf_counter()
    ask(sql)
    return time.perf_counter() - began


def main() -> None:
    """Make what is missing, ask, and print a table."""
    utterances = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(sys.argv[2]) if len(sys.argv) > 2 else Path(scratch)
        with open_generated(folder / "lake", utterances) as lake:
            for name, make in (("plain", plain_file), ("dlt", dlt_file)):
                if not (folder / f"{name}.duckdb").exists():
                    make(lake, folder / f"{name}.duckdb")
            compare(lake, folder, utterances)


def compare(lake: Lake, folder: Path, utterances: int) -> None:
    """Ask all three, in turn."""
    peers = {name: duckdb.connect(str(folder / f"{name}.duckdb"), read_only=True) for name in ("plain", "dlt")}
    for con in peers.values():
        con.execute("SET TimeZone = 'UTC'")
    ask: dict[str, Callable[[str], object]] = {
        "lake": lambda sql: _read(lake, sql),
        **{name: lambda sql, con=con: con.execute(sql).to_arrow_table() for name, con in peers.items()},  # type: ignore[misc]
    }
    print(f"{utterances:,} utterances; median of {ROUNDS}, seconds and ratio to plain")
    ratios: dict[str, list[float]] = {name: [] for name in ask}
    dialog = lake.query(f"SELECT min(dialog_id) FROM dialogs WHERE day = {DAY}").to_pylist()[0]["min(dialog_id)"]
    for question, template in QUESTIONS.items():
        sql = template.replace("{dialog}", dialog)
        taken: dict[str, list[float]] = {name: [] for name in ask}
        for _ in range(ROUNDS):
            for name, one in ask.items():
                taken[name].append(seconds(one, sql))
        middle = {name: median(times) for name, times in taken.items()}
        for name, value in middle.items():
            ratios[name].append(value / middle["plain"])
        cells = "  ".join(f"{name} {value:7.3f} ({ratios[name][-1]:5.2f})" for name, value in middle.items())
        print(f"{question:<30} {cells}")
    print("median ratio to plain: " + ", ".join(f"{name} {median(values):.2f}" for name, values in ratios.items()))


if __name__ == "__main__":
    main()
