"""The documents tell the truth: every setting, command and view is in them, as it is in the code."""

import re
from pathlib import Path

import pytest

from connectors.limits import Limit
from flows.cli import app
from flows.dictionary import view_relation
from flows.settings import Settings
from flows.tables import TABLES
from tests.processes import ROOT

README = (ROOT / "README.md").read_text()
EXAMPLE = (ROOT / ".env.example").read_text()
VIEWS = sorted((ROOT / "flows" / "views").glob("*.sql"))
COMMANDS = [name for name in app if not name.startswith("-")]
FIELDS = Settings.model_fields
FIRST = [name for name in FIELDS if name.endswith(("client_id", "client_secret", "jwt"))]


def shown_default(name: str) -> str:
    """A setting's default as the documents write it."""
    default = FIELDS[name].default
    if isinstance(default, tuple):
        return ",".join(f"{v.requests}/{v.seconds:g}" for v in default if isinstance(v, Limit))
    return "" if FIELDS[name].default_factory or default is None else str(default)


def readme_row(name: str) -> str:
    """A setting's line in the README's table."""
    default = shown_default(name)
    return f"| `{name.upper()}` | {f'`{default}`' if default else ''} | {FIELDS[name].description} |"


def example_lines(name: str) -> str:
    """A setting's lines in .env.example: those that one has to fill in are not commented out."""
    mark = "" if name in FIRST else "# "
    return f"# {FIELDS[name].description}\n{mark}{name.upper()}={shown_default(name)}"


@pytest.mark.parametrize("name", FIELDS)
def test_every_setting_is_documented_where_people_look(name: str) -> None:
    """In the README's table and in .env.example, with the default and the words of the code."""
    assert readme_row(name) in README
    assert example_lines(name) in EXAMPLE


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_is_in_the_readme_and_has_help(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A command that nobody can find does not exist."""
    assert f"`ringcx-etl {name}" in README
    app([name, "--help"], result_action="return_value")
    assert len(capsys.readouterr().out.split()) > 10


@pytest.mark.parametrize("name", [table.name for table in TABLES] + [view.stem for view in VIEWS])
def test_every_table_and_view_is_in_the_readme(name: str) -> None:
    """Analysts read no code."""
    assert re.search(rf"^\| `{name}`", README, re.MULTILINE)


@pytest.mark.parametrize("view", VIEWS, ids=lambda path: path.stem)
def test_every_view_states_its_purpose_grain_and_columns(view: Path) -> None:
    """The header is all that a reader of the catalog gets."""
    relation = view_relation(view.stem, view.read_text())
    assert "Grain: one row per" in relation.purpose
    assert relation.columns


@pytest.mark.parametrize(
    "column", [field for table in TABLES for field in table.schema], ids=lambda field: str(field.name)
)
def test_every_column_says_what_it_holds_and_where_it_comes_from(column: object) -> None:
    """The data dictionary is made of this."""
    metadata = getattr(column, "metadata", {})
    assert metadata[b"description"]
    assert metadata[b"source"]
