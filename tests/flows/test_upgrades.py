"""A lake of an earlier release, opened by this one: all that was told before is told still."""

from pathlib import Path

import pyarrow as pa
import pytest

from flows import tables
from flows.calls.tables import JOBS
from flows.runtime import LAYOUT_VERSION, open_lake
from flows.settings import Settings
from sinks.changes import Append, Upsert
from sinks.errors import LakeUnavailable
from sinks.lake import Lake
from sinks.location import Location
from sinks.schema import Table
from tests.told import T0, segment

DAY = T0.date()


def test_transcripts_of_layout_2_are_told_by_the_views(tmp_path: Path) -> None:
    """Layout 2 did not say where transcripts are kept, and kept a live call over midnight under two days."""
    place = str(tmp_path / "lake")
    key = {"sub_account_id": "1", "segment_id": "s"}
    lines = [
        key | {"dialog_id": dialog, "source": source, "seq": seq, "spoken_at": T0, "message": f"{seq}"}
        | {"segment_day": DAY.replace(day=DAY.day + seq * (source == "google"))}
        for dialog, source in (("told", "ringcx"), ("heard", "google"))
        for seq in (0, 1)
    ]  # fmt: skip
    stored = segment("told", "s", T0, 60, "ann", utterance_count=2)
    heard = segment("heard", "s", T0, 60, "ann", transcript_state="absent", utterance_count=0)
    done = key | {"dialog_id": "heard", "source": "google", "state": "done", "utterance_count": 2}
    segments, utterances, jobs = before(tables.SEGMENTS, "transcript_day"), before(tables.UTTERANCES), before(JOBS)
    with Lake(Location.parse(place, None), [segments, utterances, jobs], version=2) as lake:
        lake.create()
        lake.commit(
            [
                Upsert(segments, rows(segments, stored, heard)),
                Upsert(jobs, rows(jobs, done)),
                Append(utterances, pa.Table.from_pylist(lines, utterances.schema)),
            ]
        )
    with open_lake(Settings(ringcx_lake=place, _env_file=None)) as lake:  # type: ignore[call-arg]
        with pytest.raises(LakeUnavailable, match=r"has layout 2, this release reads \d+: run once what writes to it"):
            lake.query("FROM turns")
        for _ in range(2):  # and the second time there is nothing to do
            lake.create()
        told = lake.query("SELECT dialog_id, source, count(*) AS n, sum(turn) AS t FROM turns GROUP BY ALL ORDER BY 1")
        assert [tuple(row.values()) for row in told.to_pylist()] == [
            ("heard", "google", 2, 3),
            ("told", "ringcx", 2, 3),
        ]
        assert lake.query("SELECT version FROM lake_layout").to_pylist() == [{"version": LAYOUT_VERSION}]


def before(table: Table, *lacking: str) -> Table:
    """A table as it was: without these columns, in files of days or of anything."""
    schema = pa.schema([field for field in table.schema if field.name not in lacking])
    partition_by = ("segment_day",) if table.name == "utterances" else table.partition_by
    return Table(table.name, schema, key=table.key, partition_by=partition_by)


def rows(table: Table, *given: dict[str, object]) -> pa.Table:
    """These rows, with the columns that they have."""
    schema = pa.schema([field for field in table.schema if field.name in given[0]])
    return pa.Table.from_pylist(list(given), schema)
