"""Changed bytes of an export's files, many of each: see tests/store/test_export_any_byte.py."""

from __future__ import annotations

import os
from pathlib import Path
from random import Random, SystemRandom

import pytest
from tests.store.conftest import sqlite_template  # noqa: F401 - a fixture
from tests.store.test_export_any_byte import changes_are_named, export  # noqa: F401 - a fixture

BYTES = int(os.environ.get("SOAK_BYTES", "500"))


@pytest.mark.soak
def test_many_changed_bytes_of_every_file_of_an_export_are_named(export: Path) -> None:  # noqa: F811 - the fixture
    seed = SystemRandom().randrange(1 << 32)
    print(f"seed {seed}")
    print(f"{changes_are_named(export, Random(seed), BYTES)} bytes were changed")
