"""Arrow -> durable tables in a DuckLake, and reading them back. Knows no vendor, no flow and no clock.

The contract:

- Anything may be delivered twice; one row per key comes out. Committing the same thing again changes nothing.
- Rows and progress move in one transaction: all changes of a `Lake.commit` are stored, or none of them is, whenever the
  process dies. What was committed is on the disk.
- Writers take turns, under one lock over all processes. Readers are never blocked and see all tables move together.
- No error of DuckDB, SQLite, PostgreSQL or the file lock leaves this package: see `sinks.errors`.
"""

from sinks.changes import Append, Change, Upsert, Written
from sinks.errors import (
    ChangeError,
    ExportError,
    LakeBusy,
    LakeError,
    LakeTooNew,
    LakeUnavailable,
    LocationError,
    QueryError,
    SnapshotGone,
)
from sinks.lake import Lake
from sinks.location import Location
from sinks.schema import Table, field

__all__ = [
    "Append",
    "Change",
    "ChangeError",
    "ExportError",
    "Lake",
    "LakeBusy",
    "LakeError",
    "LakeTooNew",
    "LakeUnavailable",
    "Location",
    "LocationError",
    "QueryError",
    "SnapshotGone",
    "Table",
    "Upsert",
    "Written",
    "field",
]
