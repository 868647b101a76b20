"""What SQL from outside may do: read the lake, and nothing else.

Two walls, since neither is enough. `confine` shuts the file system in DuckDB itself, but must leave the data folder
open and does not bind the SQLite and PostgreSQL extensions; `check` reads the statement's syntax tree and lets through
only queries whose table functions are known to read the lake or nothing.
"""

import json
import re
from collections.abc import Iterator

import duckdb

from sinks.errors import QueryError
from sinks.location import Location
from sinks.schema import literal

_LAKE_FUNCTIONS = (
    "current_snapshot",
    "last_committed_snapshot",
    "list_files",
    "options",
    "snapshots",
    "table_changes",
    "table_deletions",
    "table_info",
    "table_insertions",
)
_TABLE_FUNCTIONS = {
    "range",
    "generate_series",
    "unnest",
    "repeat",
    "json_each",
    "json_tree",
    "histogram",
    "histogram_values",
    "summary",
    "duckdb_columns",
    "duckdb_functions",
    "duckdb_keywords",
    "duckdb_schemas",
    "duckdb_tables",
    "duckdb_types",
    "duckdb_views",
    "pragma_table_info",
    "pragma_version",
    *_LAKE_FUNCTIONS,
    *(f"ducklake_{name}" for name in _LAKE_FUNCTIONS),
}
_EXPLAIN = re.compile(r"^\s*explain\s+(analyze\b|\([^)]*\))?", re.IGNORECASE)


def confine(con: duckdb.DuckDBPyConnection, location: Location) -> None:
    """Shut the file system but for the lake's own files, for good."""
    con.execute(f"SET allowed_directories = [{literal(location.data_path + '/')}]")
    con.execute("SET enable_external_access = false")
    con.execute("SET lock_configuration = true")


def check(con: duckdb.DuckDBPyConnection, sql: str) -> None:
    """QueryError unless the text is one statement that only reads the lake."""
    statements = con.extract_statements(sql)
    if len(statements) != 1:
        raise QueryError(f"one statement at a time: this text holds {len(statements)} (write PIVOT with an IN list)")
    kind, text = statements[0].type, statements[0].query
    if kind == duckdb.StatementType.EXPLAIN and (explain := _EXPLAIN.match(text)):
        return check(con, text[explain.end() :])
    if kind != duckdb.StatementType.SELECT:
        raise QueryError(f"only reading is possible here, not {kind.name}")
    tree = con.execute("SELECT json_serialize_sql(?)", [text]).fetchone()
    parsed = json.loads(tree[0]) if tree else {"error": True}
    if parsed["error"]:
        raise QueryError(
            f"this statement cannot be checked: {parsed.get('error_message', 'write it as a plain SELECT')}"
        )
    refused = set(_called_as_tables(parsed)) - _TABLE_FUNCTIONS
    refused -= _own_macros(con) if refused else set()
    if refused:
        raise QueryError(f"these table functions are not available here: {', '.join(sorted(refused))}")
    return None


def _own_macros(con: duckdb.DuckDBPyConnection) -> set[str]:
    """The table macros that are stored in the lake, as views are, but for those that go by the name of DuckDB's own."""
    rows = con.execute(
        """SELECT function_name FROM duckdb_functions() WHERE database_name = 'lake' AND function_type = 'table_macro'
        EXCEPT SELECT function_name FROM duckdb_functions() WHERE database_name <> 'lake'"""
    ).fetchall()
    return {str(name) for (name,) in rows}


def _called_as_tables(node: object) -> Iterator[str]:
    """The names of all table functions below a node of DuckDB's serialized syntax tree."""
    if isinstance(node, dict):
        if node.get("type") == "TABLE_FUNCTION":
            yield str(node["function"]["function_name"]).lower()
        for child in node.values():
            yield from _called_as_tables(child)
    elif isinstance(node, list):
        for child in node:
            yield from _called_as_tables(child)
