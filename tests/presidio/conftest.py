"""Presidio's own pattern recognisers, which are installed in build/presidio."""

from __future__ import annotations

from pathlib import Path

import pytest

FOLDER = Path(__file__).parent

# What Presidio and what it brings along use that is deprecated is theirs.
THEIRS = ("DeprecationWarning", "FutureWarning", "UserWarning")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(FOLDER):
            item.add_marker(pytest.mark.presidio)
            for category in THEIRS:
                item.add_marker(pytest.mark.filterwarnings(f"ignore::{category}"))
