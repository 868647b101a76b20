"""Maintenance as a plain function: keep the lake small, and say in `runs` that it was done. Knows no Prefect."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from uuid import uuid4

import pyarrow as pa

from flows import tables
from flows.on_record import DONE, FAILED, RUNNING
from flows.runtime import live_runs_of, open_lake
from flows.settings import Settings
from sinks import maintenance
from sinks.changes import Upsert
from sinks.errors import LakeError
from sinks.lake import Lake
from sinks.maintenance import Maintained

KIND = "maintain"


@dataclass(frozen=True, slots=True)
class Upkeep:
    """One maintenance of the lake, and what it did there; a dry run is in no table."""

    run_id: str
    started_at: datetime
    finished_at: datetime
    did: Maintained

    @property
    def seconds(self) -> float:
        """How long it took."""
        return (self.finished_at - self.started_at).total_seconds()


def maintain(settings: Settings, clock: Callable[[], float] = time.time, *, dry_run: bool = False) -> Upkeep:
    """Merge small files, expire snapshots, remove what nobody needs. Raises LakeError; asks RingCX for nothing."""

    def now() -> datetime:
        return datetime.fromtimestamp(clock(), UTC)

    keep = timedelta(days=settings.ringcx_snapshot_days)
    started_at, run_id = now(), str(uuid4())
    with open_lake(settings) as lake:
        if dry_run:
            return Upkeep(run_id, started_at, now(), maintenance.maintain(lake, keep=keep, dry_run=True))
        lake.query("SELECT 1")  # where no lake is, none is made
        lake.create()
        row: dict[str, object] = {"run_id": run_id, "started_at": started_at}
        with live_runs_of(settings, lake).living(run_id):
            _record(lake, row | {"state": RUNNING})
            try:
                did = maintenance.maintain(lake, keep=keep)
            except BaseException as error:
                said = str(error) if isinstance(error, LakeError) else type(error).__name__
                _record(lake, row | {"state": FAILED, "finished_at": now(), "error": said})
                raise
            _record(lake, row | {"state": DONE, "finished_at": now()})
        return Upkeep(run_id, started_at, now(), did)


def _record(lake: Lake, row: dict[str, object]) -> None:
    row = row | {"kind": KIND, "version": version("ringcx-etl")}
    rows = pa.Table.from_pylist([row], tables.RUNS.schema)
    lake.commit([Upsert(tables.RUNS, rows)], f"{KIND} {row['run_id']}: {row['state']}")
