"""How columns are declared: what each holds, its unit, and where it comes from. Tables are made of these."""

from typing import TypeAlias

import pyarrow as pa

from connectors.ringcx.records import wire_name
from sinks.schema import field

Field: TypeAlias = "pa.Field[pa.DataType]"
INSTANT = pa.timestamp("us", tz="UTC")
SEGMENT_KEY = ("sub_account_id", "dialog_id", "segment_id")

METADATA = "RingCX interaction-metadata"
TRANSCRIPT = "RingCX transcripts"
OURS = "ringcx-etl"


def from_metadata(name: str, kind: pa.DataType, description: str, unit: str = "", *, nullable: bool = True) -> Field:
    """A field of interaction-metadata, named as RingCX names it, in snake case."""
    return field(name, kind, description, unit=unit, source=f"{METADATA}: {wire_name(name)}", nullable=nullable)


def from_transcript(name: str, kind: pa.DataType, description: str, wire: str = "", unit: str = "") -> Field:
    """A field of a transcript's line."""
    return field(name, kind, description, unit=unit, source=f"{TRANSCRIPT}: {wire or wire_name(name)}")


def ours(name: str, kind: pa.DataType, description: str, unit: str = "", *, nullable: bool = True) -> Field:
    """A field that this project fills in."""
    return field(name, kind, description, unit=unit, source=OURS, nullable=nullable)


KEY_FIELDS = [
    from_metadata("sub_account_id", pa.string(), "RingCX sub-account that the segment belongs to", nullable=False),
    from_metadata("dialog_id", pa.string(), "Whole interaction: one call or chat", nullable=False),
    from_metadata("segment_id", pa.string(), "One participant's leg; repeats under other dialogs", nullable=False),
]
