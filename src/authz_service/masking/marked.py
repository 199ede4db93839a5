"""Texts in angle brackets: found whole, and in streams that hold back only what could still become one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple, Protocol

from authz_service.masking.embedded import EmbeddedJsonStream
from authz_service.masking.finding import Finding, in_order, join_pieces
from authz_service.masking.seams import IncrementalScanner, Progress
from authz_service.masking.union import Union
from authz_service.masking.views import BACKSLASH, Unescaped, moved


class Mark(NamedTuple):
    """What was recognised: its entity type, and what the finding is to say."""

    entity: str
    value: str


class Marks(Protocol):
    """Which texts in angle brackets count."""

    entities: frozenset[str]
    longest: int
    """Characters of the longest one, with its brackets."""

    def recognise(self, text: str, *, in_json: bool) -> Mark | None:
        """What `text` is, from `<` to `>`; `in_json`: it was said through JSON's escapes."""
        ...

    def may_become(self, text: str) -> bool:
        """Whether `text`, which begins with `<`, could go on to be one."""
        ...


class MarkedScanner:
    """Implements `Scanner`, for texts as they are: no view is looked at.

    But where it `unescapes`, whole texts are looked at as they are once they are copied into a JSON string.
    """

    def __init__(self, marks: Marks, *, unescapes: bool = False) -> None:
        self.entities = marks.entities
        self._texts = _Texts(marks, in_json=False, unescapes=unescapes)
        self._in_json = _Texts(marks, in_json=True, unescapes=unescapes)

    def scan(self, text: str, *, embedded_json: bool = False) -> tuple[Finding, ...]:
        """See `Scanner.scan`."""
        if not embedded_json:
            return self._texts.scan(text)
        return join_pieces([self.incremental(embedded_json=True).finish(text)[::2]])

    def incremental(self, *, embedded_json: bool = False) -> IncrementalScanner:
        """See `Scanner.incremental`."""
        return EmbeddedJsonStream(self._in_json) if embedded_json else self._texts.incremental()


class _Texts:
    def __init__(self, marks: Marks, *, in_json: bool, unescapes: bool) -> None:
        self._marks = marks
        self._is_in_json = in_json
        self._unescapes = unescapes

    def scan(self, text: str) -> tuple[Finding, ...]:
        found = tuple(self.found(text)) if "<" in text else ()
        return self._unescaped(text, found) if self._unescapes and BACKSLASH.sign in text else found

    def _unescaped(self, text: str, found: tuple[Finding, ...]) -> tuple[Finding, ...]:
        view = Unescaped(BACKSLASH)
        hidden = self.found(view.feed(text) + view.finish())
        both = sorted((*found, *(moved(finding, view) for finding in hidden)), key=in_order)
        return join_pieces([Union().take((finding, False) for finding in both)])

    def found(self, text: str) -> Iterator[Finding]:
        for start, end in _bracketed(text, self._marks.longest):
            mark = self._marks.recognise(text[start:end], in_json=self._is_in_json)
            if mark is not None:
                yield Finding(mark.entity, start, end, value=mark.value)

    def open_from(self, text: str) -> int:
        """Where what could still become one begins: with the last `<`, as none has another within."""
        start = text.rfind("<", max(len(text) - self._marks.longest + 1, 0))
        return start if start >= 0 and self._marks.may_become(text[start:]) else len(text)

    def incremental(self) -> IncrementalScanner:
        return _Stream(self)


class _Stream:
    """Implements `IncrementalScanner`; `rest` is what could still become one."""

    def __init__(self, texts: _Texts) -> None:
        self._texts = texts
        self._rest = ""
        self._settled = 0

    def feed(self, text: str) -> Progress:
        text = self._rest + text
        return self._progress(text, self._texts.open_from(text))

    def finish(self, text: str = "") -> Progress:
        text = self._rest + text
        return self._progress(text, len(text))

    def _progress(self, text: str, end: int) -> Progress:
        found = tuple(
            Finding(f.entity, self._settled + f.start, self._settled + f.end, value=f.value)
            for f in self._texts.scan(text[:end])
        )
        self._rest = text[end:]
        self._settled += end
        return Progress(found, self._settled)


def _bracketed(text: str, longest: int) -> Iterator[tuple[int, int]]:
    """Where `<...>` stands, in order: with no `<` within, and at most `longest` characters."""
    start = text.find("<")
    while start >= 0:
        within = text[start + 1 : start + longest]
        end, again = within.find(">"), within.find("<")
        if end >= 0 and not 0 <= again < end:
            yield start, start + end + 2
            start = text.find("<", start + end + 2)
        else:
            start = text.find("<", start + 1)
