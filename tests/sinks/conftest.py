"""A real lake in a temporary folder."""

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from sinks import Lake, Location
from tests.sinks.tables import SEGMENTS, UTTERANCES


@pytest.fixture
def location(tmp_path: Path) -> Location:
    """Where nothing is yet."""
    return Location.parse(str(tmp_path / "lake"))


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty lake with segments and utterances, made once: a lake may be copied while nobody writes."""
    folder = tmp_path_factory.mktemp("template")
    with Lake(Location.parse(str(folder)), [SEGMENTS, UTTERANCES]) as lake:
        lake.create()
    return folder


@pytest.fixture
def lake(template: Path, location: Location) -> Iterator[Lake]:
    """A copy of the template, of this test alone, that knows its own place."""
    shutil.copytree(template, Path(location.catalog).parent)
    with closing(sqlite3.connect(location.catalog)) as catalog, catalog:
        catalog.execute("UPDATE ducklake_metadata SET value = ? WHERE key = 'data_path'", [location.data_path + "/"])
    with Lake(location, [SEGMENTS, UTTERANCES]) as lake:
        yield lake
