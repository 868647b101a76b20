"""What holds for every test: the quick ones run first, so that a mistake shows in seconds."""

import os

import pytest

os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # gRPC's core prints a line for each receiver that ends under a call

# Of the slow files, those that take longest, in this order: one of them as the last would leave a core idle.
LONGEST = ("test_corpus", "test_day", "test_prefect", "test_crash", "test_broken_world", "test_faults", "test_story")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Slow tests last, the longest files of them first, otherwise in the order of their files."""
    items.sort(key=turn)


def turn(item: pytest.Item) -> int:
    """When a test comes: a lower number earlier."""
    if not item.get_closest_marker("slow"):
        return 0
    return LONGEST.index(item.path.stem) + 1 if item.path.stem in LONGEST else len(LONGEST) + 1
