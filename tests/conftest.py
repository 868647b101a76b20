"""What holds for every test: the quick ones run first, so that a mistake shows in seconds."""

import os

import pytest

os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # gRPC's core prints a line for each receiver that ends under a call


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Slow tests last, otherwise in the order of their files."""
    items.sort(key=lambda item: item.get_closest_marker("slow") is not None)
