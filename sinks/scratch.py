"""The temporary tables of one transaction, and the small questions asked of them."""
# ruff: noqa: S608 - the names are our own or quoted; values travel as Arrow, but for bounds, which must be constants

from collections.abc import Iterable

import duckdb
import pyarrow as pa

from sinks.errors import ChangeError
from sinks.schema import Table, listed, literal, quoted, sql_type


class Scratch:
    """Makes temporary tables. A ROLLBACK takes them away; before a COMMIT, `drop` must."""

    def __init__(self, con: duckdb.DuckDBPyConnection) -> None:
        self._con = con
        self._made: list[str] = []

    def make(self, role: str, query: str) -> str:
        """A new temporary table of a query's rows: its name."""
        name = f"temp.{role}_{len(self._made)}"
        self._con.execute(f"CREATE TEMP TABLE {name} AS {query}")
        self._made.append(name)
        return name

    def drop(self) -> None:
        """Take all of them away."""
        for name in self._made:
            self._con.execute(f"DROP TABLE {name}")
        self._made.clear()

    def incoming(self, table: Table, rows: pa.Table) -> str:
        """A temporary table of rows from outside, of exactly the declared types; ChangeError if they do not fit."""
        names = rows.schema.names
        unknown = set(names) - set(table.schema.names)
        if unknown or len(set(names)) != len(names):
            raise ChangeError(f"rows of {table.name} have undeclared or doubled columns: {sorted(unknown) or names}")
        try:
            typed = rows.cast(pa.schema([table.schema.field(name) for name in names]))
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError, ValueError) as error:
            raise ChangeError(f"rows of {table.name} do not fit its declaration: {error}") from error
        # JSON as plain text, so that DuckDB's cast refuses what is not JSON; it would trust an Arrow JSON column.
        for number, column in enumerate(typed.schema):
            if isinstance(column.type, pa.JsonType):
                typed = typed.set_column(number, column.name, typed.column(number).cast(pa.string()))
        casts = ", ".join(f"CAST({quoted(n)} AS {sql_type(table.schema.field(n).type)}) AS {quoted(n)}" for n in names)
        self._con.register("arrow_rows", typed)
        try:
            return self.make("incoming", f"SELECT {casts} FROM arrow_rows")
        finally:
            self._con.unregister("arrow_rows")

    def count(self, table: str, where: str = "true") -> int:
        """How many rows of a temporary table satisfy a condition."""
        row = self._con.execute(f"SELECT count(*) FROM {table} WHERE {where}").fetchone()
        return int(row[0]) if row else 0

    def twice(self, table: str, key: Iterable[str]) -> tuple[object, ...] | None:
        """A key that a temporary table holds more than once, if any."""
        names = listed(key)
        return self._con.execute(f"SELECT {names} FROM {table} GROUP BY {names} HAVING count(*) > 1 LIMIT 1").fetchone()

    def bounds(self, columns: Iterable[str], table: str) -> str:
        """SQL that holds for every row t whose values in these columns also occur in a temporary table.

        The limits are constants, so that DuckLake skips the files outside of them.
        """
        parts = ["true"]
        for column in columns:
            name = quoted(column)
            low, high, kind, is_complete = self._con.execute(
                f"SELECT min({name})::VARCHAR, max({name})::VARCHAR, any_value(typeof({name})), "
                f"count(*) = count({name}) FROM {table}"
            ).fetchall()[0]
            if low is None or kind == "VARCHAR":  # a text may hold what a constant cannot
                continue
            part = f"t.{name} BETWEEN {literal(low)}::{kind} AND {literal(high)}::{kind}"
            parts.append(part if is_complete else f"({part} OR t.{name} IS NULL)")
        return " AND ".join(parts)
