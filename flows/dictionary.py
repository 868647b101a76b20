"""The data dictionary: every table, view and column, what it holds, in which unit, and where it comes from.

Made of the declarations in `flows.tables` and the header of each view's and macro's SQL file, so it cannot fall behind.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from graphlib import TopologicalSorter
from pathlib import Path

from flows.tables import TABLES

VIEWS = Path(__file__).parent / "views"
MACROS = Path(__file__).parent / "macros"


@dataclass(frozen=True, slots=True)
class Column:
    """One column, as people read it."""

    name: str
    description: str
    unit: str
    source: str


@dataclass(frozen=True, slots=True)
class Relation:
    """One table or view: what it is, one row per what, and its columns in order."""

    name: str
    purpose: str
    columns: tuple[Column, ...]


def view_bodies() -> dict[str, str]:
    """Every view's SQL by name, each after those that it reads."""
    return _bodies(VIEWS, r"\b(?:FROM|JOIN) (\w+)")


def macro_bodies() -> dict[str, str]:
    """Every macro's SQL by name, from its parameters on, each after those that it calls."""
    return _bodies(MACROS, r"(?<!FROM )\b(\w+)\(")


def _bodies(folder: Path, uses: str) -> dict[str, str]:
    """The SQL files of a folder, each after those whose names the pattern finds in it."""
    bodies = {file.stem: file.read_text() for file in sorted(folder.glob("*.sql"))}
    used = {name: set(re.findall(uses, body)) & bodies.keys() - {name} for name, body in bodies.items()}
    return {name: bodies[name] for name in TopologicalSorter(used).static_order()}


def macro_relation(name: str, body: str) -> Relation:
    """What a macro's header says, as `view_relation`; its name with its parameters: `search(words)`."""
    header, _, code = body.partition("\n(")
    purpose, _, listed = header.partition("-- Parameters:\n")
    found = re.findall(r"--   (\w+|\*) +(.*?)(?: \[(.+)\])?\n", listed + "\n")
    columns = tuple(Column(column, description, unit, "") for column, description, unit in found)
    return Relation(f"{name}({code.partition(')')[0]})", " ".join(re.findall(r"(?m)^-- (.*)", purpose)), columns)


def view_relation(name: str, body: str) -> Relation:
    """What a view's header says: purpose and grain, then `--   column   description [unit]` under `-- Columns:`."""
    header = re.match(r"(?:--.*\n)+", body)
    purpose, _, listed = (header[0] if header else "").partition("-- Columns:\n")
    found = re.findall(r"--   (\w+) +(.*?)(?: \[(.+)\])?\n", listed)
    columns = tuple(Column(column, description, unit, "") for column, description, unit in found)
    return Relation(name, " ".join(line.lstrip("- ") for line in purpose.splitlines()), columns)


def relations() -> Iterator[Relation]:
    """All tables as declared, then all views by name."""
    for table in TABLES:
        columns = []
        for field in table.schema:
            about = {key.decode(): value.decode() for key, value in (field.metadata or {}).items()}
            columns.append(Column(field.name, about["description"], about["unit"], about["source"]))
        key = f"Key: {', '.join(table.key)}." if table.key else "Rows are only ever added."
        yield Relation(table.name, key, tuple(columns))
    for name, body in sorted(view_bodies().items()):
        yield view_relation(name, body)


def markdown() -> str:
    """The whole dictionary as one page: tables, views, and the macros with their parameters, then their columns."""
    lines = ["# Data dictionary", "", "Written by `ringcx-etl dictionary`. Times are UTC.", ""]
    macros = [macro_relation(name, body) for name, body in macro_bodies().items()]
    for relation in [*relations(), *macros]:
        lines += [f"## {relation.name}", "", relation.purpose, ""]
        has_source = any(column.source for column in relation.columns)
        lines += ["| column | what | unit | source |", "|---|---|---|---|"] if has_source else []
        lines += [] if has_source else ["| column | what | unit |", "|---|---|---|"]
        for column in relation.columns:
            cells = [f"`{column.name}`", column.description, column.unit, *([column.source] if has_source else [])]
            lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
        lines.append("")
    return "\n".join(lines)
