"""What an edit of a text does to those places of the same frame that say it once more."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping, Sequence

from authz_service.inspection.spans import Cut, cut
from authz_service.view.answer import Echo
from authz_service.view.request import Path


def echoed(text: str, cuts: Sequence[Cut], echoes: Iterable[Echo]) -> dict[Path, str | None]:
    """The edits of `echoes` of a text that is cut. The placeholder stands where a cut begins."""
    edits: dict[Path, str | None] = {}
    starts, ends = [c.start for c in cuts], [c.end for c in cuts]
    for echo in echoes:
        first = bisect_right(ends, echo.start)  # a text may have as many echoes as it has cuts
        mine = [
            Cut(
                max(c.start - echo.start, 0),
                min(c.end, echo.end) - echo.start,
                c.placeholder if c.start >= echo.start else "",
            )
            for c in cuts[first : bisect_left(starts, echo.end)]
        ]
        if mine and echo.path is not None:
            edits[echo.path] = cut(text[echo.start : echo.end], mine)
        if mine:
            edits |= dict.fromkeys(echo.shadows)
    return edits


def outermost(edits: Mapping[Path, str | None]) -> Mapping[Path, str | None]:
    """The edits without those that stand below a value which becomes null."""
    gone = {path for path, text in edits.items() if text is None}
    if not gone:
        return edits
    return {
        path: text
        for path, text in edits.items()
        if not any(path[:length] in gone for length in range(len(path)))
    }
