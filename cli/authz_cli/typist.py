"""Text that comes in pieces, as lines for a terminal: each begins with a bar, none is too long."""

from __future__ import annotations

from authz_cli.conversation import FIELD_BAR, TEXT_BAR
from authz_cli.safe_text import safe_line, wrapped

NARROWEST = 20


class Typist:
    """Makes pieces safe and breaks lines; what is under way on a line is known from piece to piece.

    `width` in cells. A line that the terminal broke itself would begin in the first column, where only
    our own words stand.
    """

    def __init__(self, width: int) -> None:
        self._room = max(width - len(TEXT_BAR) - 1, NARROWEST)
        self._line = ""
        self._place: str | None = None

    def type(self, place: str, text: str) -> str:
        """What to print for the next piece of the text at `place`."""
        shown = ""
        if place != self._place:
            shown += self.end()
            self._place = place
            shown += f"{FIELD_BAR}{safe_line(place)}:\n"
        first, *more = text.split("\n")
        shown += self._add(first)
        for line in more:
            shown += ("" if self._line else TEXT_BAR) + "\n"
            self._line = ""
            shown += self._add(line)
        return shown

    def end(self) -> str:
        """What ends the line that is under way."""
        shown = "\n" if self._line else ""
        self._line, self._place = "", None
        return shown

    def _add(self, text: str) -> str:
        if not text:
            return ""
        *whole, last = wrapped(self._line + safe_line(text), self._room)
        lines = [*whole, last]
        # The first of these lines stands there in part already.
        known = len(self._line)
        begun = lines[0][known:] if known else TEXT_BAR + lines[0]
        self._line = last
        return begun + "".join(f"\n{TEXT_BAR}{line}" for line in lines[1:])
