"""A run in `runs`, from its beginning to its end; and those that were killed, put on record as such by the next one."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from importlib.metadata import version

import pyarrow as pa

from flows import tables
from flows.claims import given_back
from flows.runtime import Runtime
from sinks.changes import Upsert

DONE, FAILED, RUNNING, KILLED = "done", "failed", "running", "killed"


@contextmanager
def on_record(runtime: Runtime, run_id: str, kind: str, started_at: datetime) -> Iterator[None]:
    """Alive and in `runs`, after killed runs have been put on record as such, and what they held is due again."""
    runtime.lake.create()
    with runtime.live_runs.living(run_id):
        with runtime.live_runs.dead() as dead:
            _bury(runtime, dead)
        record(runtime, run_id, kind, RUNNING, started_at)
        yield


def record(
    runtime: Runtime,
    run_id: str,
    kind: str,
    state: str,
    started_at: datetime,
    columns: Mapping[str, object] | None = None,
) -> None:
    """The run's row: as it begins; and as it ends, with the `columns` that say what it did."""
    row: dict[str, object] = {"run_id": run_id, "kind": kind, "state": state, "started_at": started_at}
    row["version"] = version("ringcx-etl")
    if columns is not None:
        row |= {"finished_at": runtime.now(), **columns}
    rows = pa.Table.from_pylist([row], tables.RUNS.schema)
    runtime.lake.commit([Upsert(tables.RUNS, rows)], f"{kind} {run_id}: {state}")


def _bury(runtime: Runtime, dead: Sequence[str]) -> None:
    """One commit: what killed runs held is due again, and `runs` no longer says that they are running."""
    if not dead:
        return
    rows = [{"run_id": one, "kind": "", "state": KILLED} for one in dead]
    killed = pa.Table.from_pylist(rows, tables.RUNS.schema)
    mark = Upsert(tables.RUNS, killed, update={"state": "s.state"}, insert=False, keep=f"t.state <> '{RUNNING}'")
    runtime.lake.commit([mark, *given_back(runtime.lake, dead)], f"after killed runs: {', '.join(dead)}")
