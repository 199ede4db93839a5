"""One channel of plain text, looked at as it is and through its views.

A view that shows what the text itself shows costs nothing: its stream begins, as a copy, where it first
differs, and ends where both have come to the same again.
"""

from __future__ import annotations

from collections.abc import Sequence

from authz_service.masking.finding import Finding, in_order
from authz_service.masking.seams import Progress
from authz_service.masking.stream import Detectors, PlainStream, check_held
from authz_service.masking.union import Union
from authz_service.masking.views import moved, shows_itself, views

_CLOSED: list[None] = [None for _ in views()]


class ViewedStream:
    """Implements `IncrementalScanner`: the findings of the text and of its views, on the text."""

    def __init__(self, detectors: Detectors) -> None:
        self._text = PlainStream(detectors)
        self._views = views()
        self._streams: list[PlainStream | None] = [None for _ in self._views]
        self._length = 0
        self._pending: list[tuple[Finding, bool]] = []
        self._union = Union()

    def feed(self, text: str) -> Progress:
        """See `IncrementalScanner.feed`."""
        self._length += len(text)
        if self._streams == _CLOSED and shows_itself(text):
            for view in self._views:
                view.pass_over(text)
            return self._progress(self._text.feed(text), _CLOSED)
        shown = self._show(text)
        seen = [s.feed(view) if s else None for s, view in zip(self._streams, shown, strict=True)]
        return self._progress(self._text.feed(text), seen)

    def finish(self, text: str = "") -> Progress:
        """See `IncrementalScanner.finish`."""
        self._length += len(text)
        shown = self._show(text, is_last=True)
        seen = [s.finish(view) if s else None for s, view in zip(self._streams, shown, strict=True)]
        return self._progress(self._text.finish(text), seen, is_last=True)

    def _show(self, text: str, *, is_last: bool = False) -> list[str]:
        """What each view shows of the piece; its stream is opened with the first that differs."""
        shown: list[str] = []
        below = self._text
        for index, view in enumerate(self._views):
            length = view.offsets.length
            seen = view.feed(text) + view.finish() if is_last else view.feed(text)
            stream = self._streams[index]
            if stream is None and (view.pending or seen != text):
                stream = self._streams[index] = below.fork(length - below.length)
            below = stream or below
            shown.append(seen)
            text = seen
        return shown

    def _progress(
        self, text: Progress, seen: Sequence[Progress | None], *, is_last: bool = False
    ) -> Progress:
        if not self._pending and not text.findings and not any(seen):
            return text
        self._pending += [(finding, i in text.more) for i, finding in enumerate(text.findings)]
        for index, progress in enumerate(seen):
            if progress is not None:
                self._take(index, progress)
        settled = self._length if is_last else min(text.settled, self._settled(seen))
        check_held(self._length - settled)
        self._close()
        self._pending.sort(key=lambda pending: in_order(pending[0]))
        ready = [pending for pending in self._pending if pending[0].start < settled]
        self._pending = self._pending[len(ready) :]
        findings, more = self._union.take(ready)
        return Progress(findings, settled, more)

    def _take(self, index: int, progress: Progress) -> None:
        for i, finding in enumerate(progress.findings):
            self._pending.append((moved(finding, *self._views[index::-1]), i in progress.more))

    def _settled(self, seen: Sequence[Progress | None]) -> int:
        """The least that the views have settled, in characters of the text.

        What is not seen waits for what follows it: within a private key, it is part of that.
        """
        least = -1
        for view, progress in zip(reversed(self._views), reversed(seen), strict=True):
            if progress is not None:
                least = progress.settled if least < 0 else min(least, progress.settled)
            if least >= 0:
                view.offsets.forget(least)
                least = min(view.offsets.start(least), view.offsets.end(least))
        return self._length if least < 0 else least

    def _close(self) -> None:
        """End the views that have come to show what the one below them shows."""
        below = self._text
        for index, stream in enumerate(self._streams):
            if stream is None:
                continue
            view = self._views[index]
            if view.pending == "" and stream.is_like(below):
                self._streams[index] = None
            else:
                below = stream
