"""The page that says which fields of which model API were tried, written from what the tests found."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from pathlib import Path

from tests.coverage.cells import Cell

PAGE = Path(__file__).parents[2] / "docs" / "coverage.md"
HEAD = """\
# What is masked where

Each number in these tables is a test that ran: a value of every entity type below was put into the field,
within a sentence, and had to be gone on the other side, with the rest of the sentence as it was. Requests
were tried as a model server reads them, answers as a client does: in one body, and in a stream that says
three characters at a time. All went through the adapters, the detectors and the masker, in one process.

`pytest tests/coverage --coverage-page` writes this page anew from what it found; another test fails while
the page says anything else than the tests that there are.
"""

Outcomes = Mapping[str, Collection[str]]
"""For a cell, by its name, the entity types that did not cross."""


def page(cells: Iterable[Cell], entities: Collection[str], outcomes: Outcomes) -> str:
    """The whole page."""
    by_path: dict[str, dict[str, dict[str, str]]] = {}
    for cell in cells:
        passed = len(set(outcomes.get(repr(cell), ())) & set(entities))
        fields = by_path.setdefault(cell.path, {})
        direction = "request" if cell.mode == "request" else "answer"
        fields.setdefault(f"{direction}: {cell.field}", {})[cell.mode] = f"{passed} of {len(entities)}"
    tables = "\n".join(_table(path, fields) for path, fields in by_path.items())
    return f"{HEAD}\n{tables}\n{_listed(entities)}"


def _table(path: str, fields: Mapping[str, Mapping[str, str]]) -> str:
    lines = [f"## {path}", "", "| field | whole | streamed |", "|---|---|---|"]
    for field, modes in fields.items():
        whole = modes.get("request", modes.get("whole", ""))
        lines.append(f"| {field} | {whole} | {modes.get('streamed', '')} |")
    return "\n".join(lines) + "\n"


def _listed(entities: Collection[str]) -> str:
    lines = [f"## The {len(entities)} entity types", ""]
    row = ""
    for name in entities:
        if len(row) + len(name) > 100:
            lines.append(row.rstrip())
            row = ""
        row += f"`{name}` "
    return "\n".join([*lines, row.rstrip()]) + "\n"
