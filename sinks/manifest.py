"""What an export of Parquet files says of itself, in `manifest.json`."""

from datetime import date, datetime

import msgspec

from sinks.errors import ExportError
from sinks.storage import Storage

NAME, KIND = "manifest.json", "ducklake-export-1"


class File(msgspec.Struct, frozen=True):
    """What a file holds."""

    rows: int
    bytes: int


class Entry(msgspec.Struct, frozen=True):
    """One table: its columns with their SQL types, and its files by their path from the top."""

    columns: list[tuple[str, str]]
    files: dict[str, File]


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What an export holds. `since`: the first day of tables with partitions; `lake`: the id of the lake it is of."""

    kind: str = KIND
    lake: str
    complete: bool
    snapshot_id: int
    snapshot_at: datetime
    since: date | None
    tables: dict[str, Entry]


def read(storage: Storage, target: str) -> Manifest | None:
    """What is there; None for a place with nothing in it. ExportError for one that holds something else."""
    files = storage.sizes()
    if not files:
        return None
    try:
        found = msgspec.json.decode(storage.read(NAME), type=Manifest) if NAME in files else None
    except msgspec.MsgspecError:
        found = None
    if found is None or found.kind != KIND:
        raise ExportError(f"{target} holds something else than an export: choose another place, or clear it")
    return found


def write(storage: Storage, manifest: Manifest) -> None:
    """In place of the one before."""
    text = msgspec.json.format(msgspec.json.encode(manifest))
    storage.write(NAME, lambda sink: sink.write(text))
