"""The pieces of a text and the frames that they came in, which wait until their pieces are settled."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, pairwise

from authz_service.inspection.echoes import echoed
from authz_service.inspection.spans import Cut, Span, cut
from authz_service.view.answer import AnswerField, Echo
from authz_service.view.request import Path


@dataclass(slots=True)
class HeldFrame:
    """A frame that waits for `open` pieces to be settled, and what is to be edited in it until then.

    `raw` are its exact bytes, `json` the document in it; `wrap` makes a frame of the edited document.
    It `may_be_overtaken` where it waits for a channel that pauses, and overtakes none where it `closes`.
    `retold` are parts that it tells once more, with the cuts of what was found in each alone. `gap` is where
    in `json` the only string stands that is edited, where that is known. `rest` was parted from it.
    """

    raw: bytes
    json: bytes
    wrap: Callable[[bytes], bytes]
    closes: bool = False
    may_be_overtaken: bool = False
    open: int = 0
    edits: dict[Path, str | None] = field(default_factory=dict)
    retold: Sequence[tuple[AnswerField, Sequence[Cut]]] = ()
    gap: slice | None = None
    rest: HeldFrame | None = None


@dataclass(frozen=True, slots=True)
class Run:
    """Frames that differ in one text each, and are one frame until something parts them.

    `make` makes of the bytes of each the frame that it would be by itself. In each `shadows` become null with
    any of the text.
    """

    raws: Sequence[bytes]
    texts: Sequence[str]
    make: Callable[[bytes], HeldFrame]
    shadows: tuple[Path, ...] = ()

    def frame(self) -> HeldFrame:
        """All of them as one; a run of one is its frame."""
        return self.make(self.raws[0]) if len(self.raws) == 1 else HeldFrame(b"".join(self.raws), b"", bytes)

    def of(self, first: int, end: int) -> Run:
        """A part of it."""
        return Run(self.raws[first:end], self.texts[first:end], self.make, self.shadows)


def shadowed_by(shadows: tuple[Path, ...], text: str) -> tuple[Echo, ...]:
    """What becomes null with any of a text, as the echo that it is."""
    return (Echo(0, len(text), None, shadows),) if shadows else ()


@dataclass(slots=True)
class Piece:
    """A string of a frame that is characters [start, end) of its channel; or those of a run, joined."""

    frame: HeldFrame
    path: Path
    text: str
    start: int
    end: int
    echoes: tuple[Echo, ...] = ()
    cuts: list[Cut] | None = None
    run: Run | None = None

    def parted(self, start: int, end: int) -> list[Piece]:
        """Of a run what ends before `start`, each string by itself that [start, end) touches, and the rest.

        What settles together, uncut, stays together. Anything but a run is not parted.
        """
        run = self.run
        if run is None:
            return [self]
        edges = list(accumulate(map(len, run.texts), initial=self.start))
        first = max(0, bisect_right(edges, start) - 1)
        last = max(first, min(len(run.texts), bisect_left(edges, end)))
        bounds = [*dict.fromkeys((0, *range(first, last + 1), len(run.texts)))]
        pieces: list[Piece] = []
        frame = self.frame
        for begin, stop in pairwise(bounds):
            part = run.of(begin, stop)
            made = part.frame()
            if pieces:
                made.rest, frame.rest = frame.rest, made
                made.open, made.may_be_overtaken = 1, frame.may_be_overtaken
                frame = made
            else:
                frame.raw, frame.json, frame.wrap, frame.gap = made.raw, made.json, made.wrap, made.gap
            text = "".join(part.texts)
            piece = Piece(frame, self.path, text, edges[begin], edges[stop])
            if stop - begin > 1:
                piece.run = part
            else:
                piece.echoes = shadowed_by(run.shadows, text)
            pieces.append(piece)
        return pieces

    def take(self, span: Span) -> None:
        """Cut what the span has of this piece; its placeholder stands where the span begins."""
        start = max(span.start - self.start, 0)
        end = min(span.end - self.start, len(self.text))
        made = Cut(start, end, span.placeholder if span.start >= self.start else "")
        if self.cuts is None:
            self.cuts = [made]
        else:
            self.cuts.append(made)

    def settle(self) -> None:
        """Nothing more will be cut: the frame waits no longer for this piece."""
        self.frame.open -= 1
        if self.cuts:
            self.frame.edits[self.path] = cut(self.text, self.cuts)
            if self.echoes:
                self.frame.edits |= echoed(self.text, self.cuts, self.echoes)
