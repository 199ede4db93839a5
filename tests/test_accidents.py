"""The tests that the page on testing names for each accident are there."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parent.parent


def test_each_accident_has_the_tests_that_the_page_names() -> None:
    page = (ROOT / "docs" / "testing.md").read_text()
    section = page.partition("## Accidents")[2].partition("\n## ")[0]
    rows = [line for line in section.splitlines() if line.startswith("| ")][1:]
    named = [re.findall(r"`(test_\w+)`", row) for row in rows]
    assert len(rows) > 9
    assert all(named)
    sources = "".join(path.read_text() for path in (ROOT / "tests").rglob("test_*.py"))
    there = set(re.findall(r"^def (test_\w+)\(", sources, re.MULTILINE))
    assert {name for names in named for name in names} <= there
