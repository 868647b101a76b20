"""A real lake in a temporary folder."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from sinks import Lake, Location
from tests.sinks.tables import SEGMENTS, UTTERANCES


@pytest.fixture
def location(tmp_path: Path) -> Location:
    """Where nothing is yet."""
    return Location.parse(str(tmp_path / "lake"))


@pytest.fixture
def lake(location: Location) -> Iterator[Lake]:
    """An empty lake with segments and utterances."""
    with Lake(location, [SEGMENTS, UTTERANCES]) as lake:
        lake.create()
        yield lake
