"""What a run needs from outside, stated by the side that needs it. `connectors.ringcx` and `sinks.lake` just fit."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol

import pyarrow as pa

from connectors.ringcx.records import Listing, Page, Transcript
from connectors.speech import Track, Transcription
from sinks.changes import Change, Written


class Source(Protocol):
    """Where conversations come from. Raises the errors of `connectors.errors`."""

    async def metadata(self, rc_account_id: str, sub_account_id: str, start: datetime, end: datetime) -> Page[Listing]:
        """The segments that ended in `[start, end)`."""

    async def transcript(self, rc_account_id: str, sub_account_id: str, dialog_id: str, segment_id: str) -> Transcript:
        """What was said in one segment."""


class Transcriber(Protocol):
    """An engine of speech to text. Raises the errors of `connectors.errors`: Rejected where it never will."""

    @property
    def source(self) -> str:
        """What its utterances carry."""

    async def transcribe(self, tracks: Sequence[Track], language: str) -> Transcription:
        """What is said in these tracks of one conversation; `language` as en-US."""


class Store(Protocol):
    """Where they are kept. Raises the errors of `sinks.errors`."""

    def commit(self, changes: Sequence[Change], message: str = "") -> Mapping[str, Written]:
        """All changes or none."""

    def query(self, sql: str, parameters: Sequence[object] | None = None) -> pa.Table:
        """The rows of a SELECT."""
