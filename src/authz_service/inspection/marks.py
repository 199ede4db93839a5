"""Where in a request's bytes something was found, for whoever decides about these bytes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

from authz_service.errors import Unreadable
from authz_service.inspection.found import Search, found_in
from authz_service.masking.finding import Finding, join_pieces
from authz_service.masking.seams import Progress, Scanner
from authz_service.view.request import Path, RequestView

MOST_MARKS: Final = 10_000
"""Of one body: a reviewer reads no more, and each takes time."""
_PIECE: Final = 64 * 1024
"""Characters that are searched before it is asked whether to go on."""


class Mark(NamedTuple):
    """The characters [start, end) of the text at `path` are an `entity`.

    In the name of a field, when `is_key`: the last of `path` is that name.
    """

    path: Path
    start: int
    end: int
    entity: str
    is_key: bool = False


class Metered:
    """A scanner that tells no more than `MOST_MARKS` of one text, and ends with five times as many (texts are
    searched by themselves and joined) or when `has_time` says no. `is_cut` says that it has not told all."""

    def __init__(self, scanner: Scanner, has_time: Callable[[], bool]) -> None:
        self.is_cut = False
        self._has_ended = False
        self._scanner = scanner
        self._has_time = has_time
        self._left = 5 * MOST_MARKS

    def scan(self, text: str, *, embedded_json: bool = False) -> tuple[Finding, ...]:
        """See `Scanner.scan`; the first findings where there are more, nothing once it has ended."""
        if not self._goes_on():
            return ()
        if len(text) <= _PIECE:
            found = self._scanner.scan(text, embedded_json=embedded_json)
        else:
            found = self._in_pieces(text, embedded_json=embedded_json)
        self.is_cut = self.is_cut or len(found) > MOST_MARKS
        self._left -= len(found)
        return found[:MOST_MARKS]

    def _goes_on(self) -> bool:
        self._has_ended = self._has_ended or self._left <= 0 or not self._has_time()
        self.is_cut = self.is_cut or self._has_ended
        return not self._has_ended

    def _in_pieces(self, text: str, *, embedded_json: bool) -> tuple[Finding, ...]:
        stream = self._scanner.incremental(embedded_json=embedded_json)
        steps: list[Progress] = []
        found = 0
        try:
            for begin in range(0, len(text), _PIECE):
                if found > MOST_MARKS or not self._goes_on():
                    self.is_cut = True
                    break
                steps.append(stream.feed(text[begin : begin + _PIECE]))
                found += len(steps[-1].findings)
            else:
                steps.append(stream.finish())
        except Unreadable:  # more would be held back than a stream may
            self.is_cut = True
        return join_pieces((step.findings, step.more) for step in steps)


def marks_in(view: RequestView, scanner: Search) -> tuple[Mark, ...]:
    """What `scanner` finds in a request, in the order of the texts."""
    return tuple(
        Mark(found.field.path, finding.start, finding.end, finding.entity, found.field.is_key)
        for found in found_in(view, scanner)
        for finding in sorted(found.findings, key=lambda finding: (finding.start, finding.end))
    )
