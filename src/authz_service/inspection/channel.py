"""One text channel of an answer: its pieces are scanned as they come, and settled in order.

A model that has turned away from a channel (its reasoning, when it begins to answer) may have left it on
what could still become a finding, and the whole answer would wait behind that to the end. So a channel
that pauses is released as if it ended there, once. If it goes on after all, and something is found that
reaches back over that point, the answer stops; what only looked like a finding stays masked.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from authz_service.errors import Unreadable
from authz_service.inspection.spans import Cut, Span, SpanMerger, cut
from authz_service.masking.finding import Finding
from authz_service.masking.seams import Progress, Scanner
from authz_service.view.request import Path, TextKind

_CONTEXT = 2
"""Characters before a text that decide, by word boundaries, what begins in it."""


@dataclass(slots=True)
class HeldFrame:
    """A frame that waits for `open` pieces to be settled, and what is to be edited in it until then.

    `raw` are its exact bytes, `json` the document in it; `wrap` makes a frame of the edited document.
    """

    raw: bytes
    json: bytes
    wrap: Callable[[bytes], bytes]
    open: int = 0
    edits: dict[Path, str | None] = field(default_factory=dict)


@dataclass(slots=True)
class Piece:
    """A string of a frame that is characters [start, end) of its channel."""

    frame: HeldFrame
    path: Path
    text: str
    start: int
    end: int
    cuts: list[Cut] = field(default_factory=list)

    def take(self, span: Span) -> None:
        """Cut what the span has of this piece; its placeholder stands where the span begins."""
        start = max(span.start - self.start, 0)
        end = min(span.end - self.start, len(self.text))
        self.cuts.append(Cut(start, end, span.placeholder if span.start >= self.start else ""))

    def settle(self) -> None:
        """Nothing more will be cut: the frame waits no longer for this piece."""
        self.frame.open -= 1
        if self.cuts:
            self.frame.edits[self.path] = cut(self.text, self.cuts)


class Channel:
    """Counts what it finds in `found` and what it replaces in `masked`, which channels share."""

    def __init__(
        self,
        scanner: Scanner,
        kind: TextKind,
        entities: frozenset[str],
        *,
        found: Counter[str],
        masked: Counter[str],
    ) -> None:
        self._detectors = scanner
        self._kind = kind
        self._scanner = scanner.incremental(embedded_json=kind is TextKind.JSON)
        self._entities = entities
        self._merger = SpanMerger(entities)
        self._found = found
        self._masked = masked
        self._length = 0
        self._settled = 0
        self._before = ""
        self._pieces: deque[Piece] = deque()
        self._paused_at = 0
        self._ahead: frozenset[Finding] = frozenset()

    def feed(self, text: str, path: Path, frame: HeldFrame) -> None:
        """Take the next piece, the string at `path` of `frame`, which waits until it is settled."""
        start = self._length
        self._length = end = start + len(text)
        progress = self._scanner.feed(text)
        if progress.settled >= end and not (progress.findings or self._pieces):
            self._settled = end
            self._before = text[-_CONTEXT:]
            return
        self._pieces.append(Piece(frame, path, text, start, end))
        frame.open += 1
        self._settle(progress)

    def pause(self) -> None:
        """Release what is held back as if the text ended here; a second time, only what is settled.

        Else a value could be told in pieces of one character, each before a pause.
        """
        # A span up to where the scanner is may be a region that goes on, which looking ahead cannot see.
        is_inside = self._merger.covered >= self._settled
        if not self._pieces or self._kind is TextKind.JSON or self._settled < self._paused_at or is_inside:
            return
        self._ahead = self._look_ahead()
        self._paused_at = self._length
        for finding in self._ahead:
            self._found[finding.entity] += 1
        self._release(self._merger.take(Progress(tuple(self._ahead), self._length)))

    def finish(self) -> None:
        """The channel is complete: whatever was held back is settled."""
        self._settle(self._scanner.finish())
        if self._pieces:
            raise RuntimeError("the scanner finished a channel without settling it")

    def _settle(self, progress: Progress) -> None:
        for i, finding in enumerate(progress.findings):
            if i in progress.more:
                continue
            if finding.start < self._settled:
                raise RuntimeError("the scanner found something in text that it had settled")
            if finding.start < self._paused_at:
                self._check_ahead(finding)
            else:
                self._found[finding.entity] += 1
        self._settled = progress.settled
        self._release(self._merger.take(progress))

    def _check_ahead(self, finding: Finding) -> None:
        if finding not in self._ahead:
            raise Unreadable(
                f"{finding.entity} was found across a point at which the model had turned to another text",
                code="unmaskable",
                status=502,
            )

    def _look_ahead(self) -> frozenset[Finding]:
        """The findings of what is undecided, if nothing followed it.

        What stands before decides whether a value may begin here. Cut off from the text before it, it
        may also look like the beginning of one that swallows the true one: then both are taken.
        """
        begin = self._merger.decided
        held = self._before + "".join(p.text for p in self._pieces)
        at = self._pieces[0].start - len(self._before)
        found = self._scan_from(max(begin - _CONTEXT, at), held, at)
        if any(f.start < begin < f.end for f in found):
            found += self._scan_from(begin, held, at)
        return frozenset(replace(f, start=max(f.start, begin)) for f in found if f.end > begin)

    def _scan_from(self, start: int, held: str, at: int) -> list[Finding]:
        """The findings from `start` on, in characters of the channel, of which `held` begins `at`."""
        findings = self._detectors.scan(held[start - at :])
        return [replace(f, start=f.start + start, end=f.end + start) for f in findings]

    def _release(self, spans: Sequence[Span]) -> None:
        for span in spans:
            if span.placeholder:
                self._masked[span.entity] += 1
            while self._pieces and self._pieces[0].end <= span.start:
                self._pop()
            for piece in self._pieces:
                if piece.start >= span.end:
                    break
                piece.take(span)
        decided = self._merger.decided
        while self._pieces and self._pieces[0].end <= decided:
            self._pop()

    def _pop(self) -> None:
        piece = self._pieces.popleft()
        self._before = (self._before + piece.text)[-_CONTEXT:]
        piece.settle()
