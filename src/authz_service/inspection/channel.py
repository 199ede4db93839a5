"""One text channel of an answer: its pieces are scanned as they come, and settled in order.

A model that has turned away from a channel (its reasoning, when it begins to answer) may have left it on
what could still become a finding. The frames that wait for that may be overtaken by those of other
channels, and come out when they are settled: each channel still says what the masking of its whole says.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import deque
from collections.abc import Sequence
from operator import itemgetter

from authz_service.inspection.across import Across, Share
from authz_service.inspection.pieces import HeldFrame, Piece, Run
from authz_service.inspection.spans import Cut, Span, SpanMerger
from authz_service.inspection.tally import Tally
from authz_service.masking.parted import PartedStream
from authz_service.masking.seams import Progress, Scanner
from authz_service.view.answer import Echo
from authz_service.view.request import Path, TextKind


class Channel:
    """Counts what it finds in `found` and what it replaces in `masked`, which channels share, by its name.

    What it finds across its parts it adds to `across`.
    """

    def __init__(
        self,
        scanner: Scanner,
        kind: TextKind,
        entities: frozenset[str],
        *,
        found: Tally,
        masked: Tally,
        across: Across,
        name: str = "",
    ) -> None:
        self._scanners = scanner
        self._scanner = scanner.incremental(embedded_json=kind is TextKind.JSON)
        self._part: str | None = None
        self._parts: list[tuple[int, str]] = []
        """Where each part begins, and its name."""
        self._across = across
        self._begun = 0
        self._entities = entities
        self._merger = SpanMerger(entities)
        self._found = found
        self._masked = masked
        self._name = name
        self._length = 0
        self._settled = 0
        self._pieces: deque[Piece] = deque()
        self._unread: list[str] = []
        self._runs = False
        """Whether there may be some among the pieces."""

    def feed(self, text: str, path: Path, frame: HeldFrame, echoes: tuple[Echo, ...] = ()) -> None:
        """Take the next piece, the string at `path` of `frame`, which waits until it is settled."""
        start = self._length
        self._length = end = start + len(text)
        self._unread.append(text)
        self._pieces.append(Piece(frame, path, text, start, end, echoes))
        frame.open += 1

    def feed_run(self, run: Run, path: Path, frame: HeldFrame) -> None:
        """Take the strings at `path` of the frames of a run, which is `frame` until it is parted."""
        text = "".join(run.texts)
        self.feed(text, path, frame)
        self._pieces[-1].run = run
        self._runs = True

    def begin(self, part: str) -> None:
        """What is fed from now on belongs to this part; a known one goes on."""
        if self._part is not None and part != self._part:
            self.read()
            stream = self._scanner
            if not isinstance(stream, PartedStream):
                stream = PartedStream(self._scanners, stream, length=self._length, settled=self._settled)
                self._scanner = stream
            self._settle(stream.next_part())
        if part != self._part:
            self._parts.append((self._length, part))
        self._part = part

    def read(self) -> None:
        """Scan what was fed since the last time, in one go: a piece each would take several times as long."""
        if self._unread:
            self._settle(self._scanner.feed(self._rest()))

    def holds(self, pieces: int, characters: int) -> bool:
        """Whether that many pieces wait, or more characters than that, after all of them were looked at."""
        if not self._exceeds(pieces, characters):
            return False
        self.read()
        return self._exceeds(pieces, characters)

    def _exceeds(self, pieces: int, characters: int) -> bool:
        return len(self._pieces) >= pieces or self._length - self._settled > characters

    def pause(self) -> None:
        """The model turned to another text: what this one holds back need not keep that waiting."""
        self.read()
        self._divide(0, self._length)  # each frame by itself is overtaken
        for piece in self._pieces:
            piece.frame.may_be_overtaken = True

    def finish(self) -> None:
        """The channel is complete: whatever was held back is settled."""
        self._settle(self._scanner.finish(self._rest()))
        if self._pieces:
            raise RuntimeError("the scanner finished a channel without settling it")

    def _rest(self) -> str:
        text = self._unread[0] if len(self._unread) == 1 else "".join(self._unread)
        self._unread.clear()
        return text

    def _settle(self, progress: Progress) -> None:
        for i, finding in enumerate(progress.findings):
            if i in progress.more:
                continue
            if finding.start < self._settled:
                raise RuntimeError("the scanner found something in text that it had settled")
            self._found.add(finding.entity, self._name)
        self._settled = progress.settled
        self._release(self._merger.take(progress))

    def _release(self, spans: Sequence[Span]) -> None:
        pieces = self._pieces
        for span in spans:
            if span.is_new:
                self._masked.add(span.entity, self._name)
            if self._runs:
                self._divide(span.start, span.end)
            while pieces and pieces[0].end <= span.start:
                pieces.popleft().settle()
            for piece in pieces:
                if piece.start >= span.end:
                    break
                piece.take(span)
            if len(self._parts) > 1:
                self._share(span)
        decided = self._merger.decided
        if self._runs:
            self._divide(decided, decided)
        while pieces and pieces[0].end <= decided:
            pieces.popleft().settle()
        if not pieces:
            self._runs = False

    def _divide(self, start: int, end: int) -> None:
        """Part the runs that begin before `end`, so that no piece but a single one goes over either place."""
        pieces, parted = self._pieces, list[Piece]()
        while pieces and pieces[0].start < end:
            piece = pieces.popleft()
            parted += [piece] if piece.run is None or piece.end <= start else piece.parted(start, end)
        pieces.extendleft(reversed(parted))

    def _share(self, span: Span) -> None:
        """Tell of a span that goes over the end of a part what it has of each part."""
        self._begun = begun = span.start if span.is_new else self._begun
        parts, by_start = self._parts, itemgetter(0)
        after = bisect_left(parts, span.end, key=by_start)
        if bisect_right(parts, begun, key=by_start) >= after:
            return
        for at in range(bisect_right(parts, span.start, key=by_start) - 1, after):
            first, part = parts[at]
            end = parts[at + 1][0] if at + 1 < len(parts) else self._length
            start, stop = max(span.start, first), min(span.end, end)
            if start < stop:
                placed = span.placeholder if span.start >= first else ""
                share = Share(Cut(start - first, stop - first, placed), self._written(start, stop))
                self._across.add(part, share)

    def _written(self, start: int, end: int) -> str:
        """What stands there, in pieces that are not settled yet."""
        shares = (p.text[max(start - p.start, 0) : max(end - p.start, 0)] for p in self._pieces)
        return "".join(shares)
