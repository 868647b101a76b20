"""What a receiver has heard, committed to the lake every couple of seconds, beside the audio and never in its way.

Whatever stops a commit (a lake that is locked, a full disk) leaves the rows waiting, here and in notes on the disk;
they are committed later, by this run or by the next.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import version
from pathlib import Path

import pyarrow as pa

from connectors.errors import StateUnavailable
from flows import tables
from flows.calls.receiving.disk import Disk
from flows.calls.receiving.intake import Intake
from flows.calls.receiving.recovery import Recovered, recover
from flows.calls.receiving.rows import OPEN, Recording, StreamEvent, event_rows, recording_rows
from flows.calls.tables import RECORDINGS, STREAM_EVENTS
from flows.on_record import DONE, RUNNING
from sinks.changes import Append, Change, Upsert
from sinks.errors import LakeError
from sinks.lake import Lake

COMMIT_EVERY_S = 2.0
KIND = "receive"


@dataclass(frozen=True, slots=True)
class RunRow:
    """The run's own row in `runs`."""

    run_id: str
    started_at: datetime
    state: str = RUNNING
    finished_at: datetime | None = None
    error: str | None = None

    def change(self) -> Change:
        """Its upsert."""
        row = {"run_id": self.run_id, "kind": KIND, "state": self.state, "started_at": self.started_at}
        row |= {"finished_at": self.finished_at, "error": self.error, "version": version("ringcx-etl")}
        return Upsert(tables.RUNS, pa.Table.from_pylist([row], tables.RUNS.schema))


class Ledger:
    """The lake's side of one run."""

    def __init__(self, lake: Lake, audio: Path, intake: Intake, disk: Disk, run: RunRow) -> None:
        self.recovered: Recovered | None = None  # None: the lake could not be reached yet
        self.trouble = ""  # the lake's, for as long as it lasts
        self._lake = lake
        self._audio = audio
        self._intake = intake
        self._disk = disk
        self._run = run
        self._events = 0  # committed

    async def commit(self) -> bool:
        """Everything that is known by now, in one commit. False, with `trouble` set, if the lake does not take it."""
        intake = self._intake
        rows, intake.rows = intake.rows, {}
        events, intake.events = intake.events, []
        try:
            await asyncio.to_thread(self._commit, list(rows.values()), events)
        except (LakeError, StateUnavailable, OSError) as error:
            intake.rows = rows | intake.rows  # newer ones win
            intake.events = events + intake.events
            self.trouble = f"the lake: {error}"
            return False
        self.trouble = ""
        finished = [name for name, row in rows.items() if row.state != OPEN]
        if finished or events:
            self._events += len(events)
            await intake.on_disk(lambda: self._disk.forget(finished, self._events))
        return True

    async def finish(self, finished_at: datetime, error: str | None = None) -> bool:
        """The last commit: the run has ended, too."""
        self._run = RunRow(self._run.run_id, self._run.started_at, DONE, finished_at, error)
        return await self.commit()

    def _commit(self, rows: list[Recording], events: list[StreamEvent]) -> None:
        changes: list[Change] = []
        if self.recovered is None:
            self._lake.create()
            self.recovered = recover(self._lake, self._audio)
            changes.append(self._run.change())
        elif self._run.state == DONE:
            changes.append(self._run.change())
        if rows:
            changes.append(Upsert(RECORDINGS, recording_rows(rows)))
        if events:
            changes.append(Append(STREAM_EVENTS, event_rows(events)))
        if changes:
            self._lake.commit(changes, f"{KIND} {self._run.run_id}: {len(rows)} recordings, {len(events)} events")


async def keep_committing(ledger: Ledger, is_over: asyncio.Event, told: Callable[[], None]) -> None:
    """Commit until it is over; `told` after each."""
    while not is_over.is_set():
        await ledger.commit()
        told()
        try:
            await asyncio.wait_for(is_over.wait(), COMMIT_EVERY_S)
        except TimeoutError:
            continue
