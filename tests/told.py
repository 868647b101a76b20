"""Lakes that tests tell line by line: segments, and what was said in each."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeAlias

import pyarrow as pa

from flows import tables
from flows.columns import SEGMENT_KEY
from flows.runtime import lake_at
from sinks.changes import Append, Upsert
from sinks.lake import Lake
from sinks.location import Location

ACCOUNT = "1"
T0 = datetime(2026, 8, 1, 9, tzinfo=UTC)
Line: TypeAlias = tuple[float, str, str, str]  # seconds after the segment's beginning, who, by which name, what


def segment(
    dialog: str, name: str, began: datetime, seconds: float, agent: str | None, **more: object
) -> dict[str, object]:
    """A segment's row with a stored transcript, of a call unless `more` says otherwise."""
    return {
        "sub_account_id": ACCOUNT,
        "dialog_id": dialog,
        "segment_id": name,
        "segment_type": "AGENT",
        "channel_class": "VOICE",
        "channel_type": "VOICE",
        "dialog_origination": "INBOUND",
        "dialog_start_time": began,
        "segment_participant_id": agent,
        "segment_start_time": began,
        "segment_end_time": began + timedelta(seconds=seconds),
        "has_transcript": True,
        "transcript_state": "stored",
        **more,
    }


def commit(lake: Lake, segments: Sequence[dict[str, object]], said: Mapping[tuple[str, str], Sequence[Line]]) -> None:
    """Store segments and the lines of each, by (dialog, segment); who is agent, contact or bot."""
    counted = []
    lines = []
    for row in segments:
        told = said.get((str(row["dialog_id"]), str(row["segment_id"])), ())
        ended = row["segment_end_time"]
        assert isinstance(ended, datetime)
        counted.append({**row, "utterance_count": len(told), "transcript_day": ended.date()})
        for seq, (seconds, who, called, message) in enumerate(told):
            began = row["segment_start_time"]
            assert isinstance(began, datetime)
            line = {name: row[name] for name in SEGMENT_KEY}
            line |= {
                "source": "ringcx",
                "seq": seq,
                "spoken_at": began + timedelta(seconds=seconds),
                "participant_type": who,
            }
            line |= {"participant_id": called, "participant_name": called, "message": message}
            lines.append(line | {"words": len(message.split()), "segment_day": ended.date()})
    names = {name for row in counted for name in row}
    schema = pa.schema([field for field in tables.SEGMENTS.schema if field.name in names])
    lake.commit(
        [
            Upsert(tables.SEGMENTS, pa.Table.from_pylist(counted, schema)),
            Append(tables.UTTERANCES, pa.Table.from_pylist(lines, tables.UTTERANCES.schema)),
        ]
    )


@contextmanager
def told_lake(folder: Path) -> Iterator[Lake]:
    """An empty lake in `folder`, laid out as the program lays it out."""
    with lake_at(Location.parse(str(folder))) as lake:
        lake.create()
        yield lake
