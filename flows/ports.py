"""What a run needs from outside, stated by the side that needs it. `connectors.ringcx` and `sinks.lake` just fit."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol

import pyarrow as pa

from connectors.ringcx.records import Listing, Page, Transcript
from sinks.changes import Change, Written


class Source(Protocol):
    """Where conversations come from. Raises the errors of `connectors.errors`."""

    async def metadata(self, rc_account_id: str, sub_account_id: str, start: datetime, end: datetime) -> Page[Listing]:
        """The segments that ended in `[start, end)`."""

    async def transcript(self, rc_account_id: str, sub_account_id: str, dialog_id: str, segment_id: str) -> Transcript:
        """What was said in one segment."""


class Store(Protocol):
    """Where they are kept. Raises the errors of `sinks.errors`."""

    def commit(self, changes: Sequence[Change], message: str = "") -> Mapping[str, Written]:
        """All changes or none."""

    def query(self, sql: str, parameters: Sequence[object] | None = None) -> pa.Table:
        """The rows of a SELECT."""
