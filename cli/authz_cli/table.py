"""Columns of text, as wide as they need to be; nothing is cut, so that scripts and people see the same."""

from __future__ import annotations

from collections.abc import Sequence

from authz_cli.safe_text import safe_line


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """One line for the heads and one for each row; cells are made safe here."""
    cells = [[safe_line(cell) or "-" for cell in row] for row in [heads, *rows]]
    widths = [max(len(row[column]) for row in cells) for column in range(len(heads))]
    return "\n".join(
        "  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip() for row in cells
    )
