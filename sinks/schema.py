"""How a table is declared: Arrow fields that say what they hold, a key, and a layout on disk.

JSON columns are `pa.json_()`: DuckLake's JSON type, byte for byte the text that came in (it must be valid JSON), read
back as Arrow strings. Timestamps are TIMESTAMP WITH TIME ZONE, read back as microseconds in UTC.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

import pyarrow as pa


def field(
    name: str, type_: pa.DataType, description: str, *, unit: str = "", source: str = "", nullable: bool = True
) -> "pa.Field[pa.DataType]":
    """An Arrow field that carries its own documentation, as every field of a `Table` must."""
    metadata = {"description": description, "unit": unit, "source": source}
    return pa.field(name, type_, nullable=nullable, metadata=metadata)


def with_default(column: "pa.Field[pa.DataType]", text: str) -> "pa.Field[pa.DataType]":
    """The field with a value for rows that do not give it: those stored before it was declared, too."""
    metadata = dict[bytes | str, bytes | str]((column.metadata or {}).items())
    metadata[b"default"] = text.encode()
    return column.with_metadata(metadata)


def default_sql(column: "pa.Field[pa.DataType]") -> str:
    """The column's default as SQL after its type; empty where it has none."""
    default = (column.metadata or {}).get(b"default")
    return f" DEFAULT {literal(default.decode())}" if default else ""


@dataclass(frozen=True, slots=True)
class Table:
    """One table's declaration: schema, key, layout.

    `key` names the columns that identify a row; () means that rows are only ever appended.
    `partition_by` holds DuckLake expressions ("year(segment_end_time)", "segment_day"); `sort_by` column names.
    """

    name: str
    schema: pa.Schema
    key: tuple[str, ...] = ()
    partition_by: tuple[str, ...] = ()
    sort_by: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        names = self.schema.names
        if len(set(names)) != len(names):
            raise ValueError(f"table {self.name}: a column is declared twice")
        unknown = {*self.key, *self.sort_by, *self.partition_columns} - set(names)
        if unknown:
            raise ValueError(f"table {self.name}: key or layout names undeclared columns {sorted(unknown)}")
        for column in self.schema:
            sql_type(column.type)
            if not (column.metadata or {}).get(b"description"):
                raise ValueError(f"table {self.name}: column {column.name} has no description; declare it with field()")

    @property
    def partition_columns(self) -> tuple[str, ...]:
        """The columns that the partition expressions read, each once: `year(a), month(a), b` gives a, b."""
        columns = [re.sub(r"^\w+\((?:\d+\s*,\s*)?(\w+)\)$", r"\1", part.strip()) for part in self.partition_by]
        return tuple(dict.fromkeys(columns))

    @property
    def definition(self) -> str:
        """Everything declared, as text: equal texts mean that the stored table needs no upgrade."""
        columns = [(c.name, sql_type(c.type) + default_sql(c), c.nullable, comment(c)) for c in self.schema]
        return repr((self.name, columns, self.key, self.partition_by, self.sort_by))


def sql_type(type_: pa.DataType) -> str:
    """The DuckLake type that stores an Arrow type; ValueError for one that these tables do not use."""
    if isinstance(type_, pa.JsonType):
        return "JSON"
    if pa.types.is_timestamp(type_) and type_.tz == "UTC" and type_.unit != "ns":  # DuckLake keeps microseconds
        return "TIMESTAMP WITH TIME ZONE"
    plain = {
        pa.string(): "VARCHAR",
        pa.bool_(): "BOOLEAN",
        pa.int32(): "INTEGER",
        pa.int64(): "BIGINT",
        pa.float64(): "DOUBLE",
        pa.date32(): "DATE",
    }
    if type_ not in plain:
        raise ValueError(
            f"no stored type for Arrow {type_}: use string, bool, int32, int64, float64, date32, json, UTC time"
        )
    return plain[type_]


def comment(column: "pa.Field[pa.DataType]") -> str:
    """A column's description with its unit, as readers of the catalog see it."""
    metadata = {key.decode(): value.decode() for key, value in (column.metadata or {}).items()}
    unit = metadata.get("unit", "")
    return metadata.get("description", "") + (f" [{unit}]" if unit else "")


def quoted(name: str) -> str:
    """A name as an SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """A text as an SQL string."""
    return "'" + text.replace("'", "''") + "'"


def listed(names: Iterable[str], prefix: str = "") -> str:
    """Names as an SQL list: `t."a", t."b"`."""
    return ", ".join(prefix + quoted(name) for name in names)
