"""Two small tables and their rows, as the tests of `sinks` use them."""

import datetime as dt
from collections.abc import Mapping, Sequence

import pyarrow as pa

from sinks import Table, field

JAN = dt.datetime(2026, 1, 15, 12, tzinfo=dt.UTC)
MAY = dt.datetime(2026, 5, 15, 12, tzinfo=dt.UTC)

SEGMENTS = Table(
    "segments",
    pa.schema(
        [
            field("id", pa.string(), "which segment", nullable=False),
            field("ended_at", pa.timestamp("ms", tz="UTC"), "when it ended"),
            field("state", pa.string(), "where its transcript is"),
            field("attempts", pa.int32(), "how often it was asked for", unit="1"),
            field("metadata", pa.json_(), "as last seen"),
        ]
    ),
    key=("id",),
    partition_by=("year(ended_at)", "month(ended_at)"),
)
UTTERANCES = Table(
    "utterances",
    pa.schema(
        [
            field("id", pa.string(), "the segment it belongs to", nullable=False),
            field("seq", pa.int32(), "its place there"),
            field("text", pa.string(), "what was said"),
            field("day", pa.date32(), "when its segment ended"),
        ]
    ),
    partition_by=("day",),
    sort_by=("id", "seq"),
)

ODD = [
    "",
    "\0",
    "a\0b",
    "\U0001f600 \u0627\u0644",
    'it\'s "so"; --',
    "\\x00\\",
    "line\r\nline",
    "\ufeff\u202e",
    "x" * 300_000,
]


def segments(*ids: str, at: dt.datetime | None = JAN, state: str = "pending", attempts: int = 0) -> pa.Table:
    """Segments that differ in nothing but their id."""
    rows = [{"id": i, "ended_at": at, "state": state, "attempts": attempts, "metadata": '{"a":  1}'} for i in ids]
    return pa.Table.from_pylist(rows, SEGMENTS.schema)


def utterances(*ids: str, text: str = "hello", count: int = 2) -> pa.Table:
    """`count` utterances for each segment."""
    rows = [{"id": i, "seq": n, "text": text, "day": JAN.date()} for i in ids for n in range(count)]
    return pa.Table.from_pylist(rows, UTTERANCES.schema)


def some(rows: Sequence[Mapping[str, object]], columns: Sequence[str]) -> pa.Table:
    """Segments of which only some columns are known."""
    return pa.Table.from_pylist(list(rows), pa.schema([SEGMENTS.schema.field(name) for name in columns]))
