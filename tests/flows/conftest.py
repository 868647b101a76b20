"""Lakes that several tests begin from."""

import shutil
from pathlib import Path

import pytest

from flows.runtime import open_lake
from flows.settings import load_settings


@pytest.fixture(scope="session")
def empty_lake(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lake with all tables and nothing in them, to be copied: laying one out takes most of a short test's time."""
    folder = tmp_path_factory.mktemp("empty") / "lake"
    with open_lake(load_settings(_env_file=None, ringcx_lake=str(folder))) as lake:
        lake.create()
    return folder


@pytest.fixture
def laid_out(empty_lake: Path, tmp_path: Path) -> Path:
    """A copy of it as `lake` in the test's folder, so that what the test starts finds nothing to lay out."""
    return shutil.copytree(empty_lake, tmp_path / "lake")
