"""From the characters of a view back to those of the text that it was made from."""

from __future__ import annotations

from bisect import bisect_right

_KEPT = 64


class OffsetMap:
    """Grows with a view: characters that are themselves, and others that came of more or fewer."""

    def __init__(self) -> None:
        self.length = 0
        self.source_length = 0
        # From `_at[i]` to `_at[i + 1]` each character is itself; or, where `_width[i]` is not 0, all of
        # them came of that many.
        self._at = [0]
        self._source = [0]
        self._width = [0]

    def copied(self, count: int) -> None:
        """That many characters are themselves."""
        self.length += count
        self.source_length += count

    def replaced(self, source: int, view: int) -> None:
        """`source` characters became `view` others; none, when they were left out."""
        if view:
            self._add(source)
        self.length += view
        self.source_length += source
        self._add(0)

    def start(self, at: int) -> int:
        """Where in the source the character at `at` begins; for the view's length, the source's."""
        index = bisect_right(self._at, at) - 1
        return self._source[index] + (0 if self._width[index] else at - self._at[index])

    def end(self, at: int) -> int:
        """Where in the source the character before `at` ends; for 0, its beginning."""
        if not at:
            return 0
        index = bisect_right(self._at, at - 1) - 1
        return self._source[index] + (self._width[index] or at - self._at[index])

    def forget(self, at: int) -> None:
        """Neither the start of a character before `at` will be asked for, nor the end of one before that."""
        if len(self._at) > _KEPT:
            index = max(bisect_right(self._at, at - 1) - 1, 0)
            del self._at[:index], self._source[:index], self._width[:index]

    def _add(self, width: int) -> None:
        if self._at[-1] == self.length:
            self._source[-1], self._width[-1] = self.source_length, width
        else:
            self._at.append(self.length)
            self._source.append(self.source_length)
            self._width.append(width)
