"""The tests that the page on testing names for each leak and each accident are there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.mark.parametrize(("heading", "least"), [("## Leaks", 25), ("## Accidents", 9)])
def test_each_case_has_the_tests_that_the_page_names(heading: str, least: int) -> None:
    page = (ROOT / "docs" / "testing.md").read_text()
    section = page.partition(heading)[2].partition("\n## ")[0]
    rows = [line for line in section.splitlines() if line.startswith("| ")][1:]
    named = [re.findall(r"`(test_\w+)`", row) for row in rows]
    assert len(rows) > least
    assert all(named)
    sources = "".join(path.read_text() for path in (ROOT / "tests").rglob("test_*.py"))
    there = set(re.findall(r"^def (test_\w+)\(", sources, re.MULTILINE))
    assert {name for names in named for name in names} - there == set()
