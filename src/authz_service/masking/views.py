"""Views of a text in which hidden values show: escapes undone, what looks alike folded, what is wrapped
unwrapped."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Final, NamedTuple

from authz_service.masking import alike
from authz_service.masking.finding import Finding
from authz_service.masking.offsets import OffsetMap


def _by_number(match: re.Match[str]) -> str:
    return chr(int(match[1], 16))


def _by_number_or_letter(match: re.Match[str]) -> str:
    return _by_number(match) if match[1] else _BREAKS.get(match[2], match[2])


class Escapes(NamedTuple):
    """A way to write characters as others.

    `sign` begins each escape, `whole` matches one and `stands_for` says what it is; `begun` matches, at the
    end of a text, what more text could complete, with `longest` characters at most.
    """

    sign: str
    whole: re.Pattern[str]
    stands_for: Callable[[re.Match[str]], str]
    begun: re.Pattern[str]
    longest: int


PERCENT: Final = Escapes(
    "%", re.compile("%([2-6][0-9A-Fa-f]|7[0-9A-Ea-e])"), _by_number, re.compile(r"%[2-7]?\Z"), 2
)
"""`%40` is `@`, for all printable ASCII (RFC 3986 2.1)."""

_BACKSLASHES = r"\\\\{0,7}+"
"""A JSON string within another one has one of them, three, or seven more."""
_DIGIT = "[0-9A-Fa-f]"
_BREAKS = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}

BACKSLASH: Final = Escapes(
    "\\",
    re.compile(rf"{_BACKSLASHES}(?:u((?![Dd][89A-Fa-f]){_DIGIT}{{4}})|([bfnrt!-/:-@\[\]^_`{{|}}~]))"),
    _by_number_or_letter,
    re.compile(rf"{_BACKSLASHES}(?:u{_DIGIT}{{0,3}})?\Z"),
    12,
)
"""JSON's escapes (RFC 8259 7), and Markdown's of any punctuation (CommonMark 2.4)."""

_SLICE = 256
LINE = 60
"""Characters of base64 in a line from which on it is taken for a wrapped one: 64 in PEM, 76 in MIME."""

_LINE = rf"[A-Za-z0-9+/_-]{{{LINE}}}"
_BREAK = re.compile(rf"\n(?:(?<={_LINE}\n)|(?<={_LINE}\r\n))[ \t]{{0,32}}(?=[A-Za-z0-9+/_-])")
_BREAK_BEGUN = re.compile(r"\n[ \t]{0,32}\Z|\r\Z")
_FULL_LINE = re.compile(_LINE)
_RULERS = frozenset(4 * sign for sign in "+/_-")
"""How lines end that are drawn, not said."""


class Folded:
    """What looks like ASCII is ASCII, and what is not seen is not there."""

    def __init__(self) -> None:
        self.offsets = OffsetMap()
        self.pending = ""

    def feed(self, text: str) -> str:
        """The view of the next piece."""
        if not alike.may_differ(text):
            self.offsets.copied(len(text))
            return text
        parts: list[str] = []
        at = 0
        for match in alike.ODD.finditer(text):
            form = alike.OTHER_LENGTH.get(match[0])
            if form is None:
                continue
            parts += (text[at : match.start()], form)
            self.offsets.copied(match.start() - at)
            self.offsets.replaced(1, len(form))
            at = match.end()
        parts.append(text[at:])
        self.offsets.copied(len(text) - at)
        return _folded("".join(parts))

    def pass_over(self, text: str) -> None:
        """Take a piece that shows itself."""
        self.offsets.copied(len(text))

    def finish(self) -> str:
        """The text is over; nothing is pending."""
        return ""


def _folded(text: str) -> str:
    """Single characters folded, in slices: to translate a slice of ASCII would take longer than to see it."""
    slices = (text[at : at + _SLICE] for at in range(0, len(text), _SLICE))
    return "".join(part if part.isascii() else part.translate(alike.SAME_LENGTH) for part in slices)


class Unescaped:
    """Escapes of one kind undone, once."""

    def __init__(self, escapes: Escapes) -> None:
        self.offsets = OffsetMap()
        self.pending = ""
        self._escapes = escapes

    def feed(self, text: str) -> str:
        """The view of the next piece, but for the beginning of an escape at its end."""
        if not self.pending and self._escapes.sign not in text:
            self.offsets.copied(len(text))
            return text
        text = self.pending + text
        begun = self._escapes.begun.search(text, max(0, len(text) - self._escapes.longest))
        self.pending = "" if begun is None else begun[0]
        return self._undone(text[: len(text) - len(self.pending)])

    def pass_over(self, text: str) -> None:
        """Take a piece that shows itself, where nothing is pending."""
        self.offsets.copied(len(text))

    def finish(self) -> str:
        """The text is over: an escape that has begun is none."""
        rest, self.pending = self.pending, ""
        self.offsets.copied(len(rest))
        return rest

    def _undone(self, text: str) -> str:
        parts: list[str] = []
        at = 0
        for match in self._escapes.whole.finditer(text):
            parts += (text[at : match.start()], self._escapes.stands_for(match))
            self.offsets.copied(match.start() - at)
            self.offsets.replaced(match.end() - match.start(), 1)
            at = match.end()
        if not at:
            self.offsets.copied(len(text))
            return text
        parts.append(text[at:])
        self.offsets.copied(len(text) - at)
        return "".join(parts)


class Unwrapped:
    """A run of base64, or of any token, that is wrapped into lines is one (RFC 2045 6.8)."""

    def __init__(self) -> None:
        self.offsets = OffsetMap()
        self.pending = ""
        self._line = ""

    def feed(self, text: str) -> str:
        """The view of the next piece, but for the beginning of a line break at its end."""
        if not self.pending and "\n" not in text and "\r" not in text:
            self.pass_over(text)
            return text
        text = self._line + self.pending + text
        begun = _BREAK_BEGUN.search(text, max(len(self._line), len(text) - 34))
        end = len(text) if begun is None else self._line_end(text, begun.start())
        if begun is not None and not self._is_full(text, end):
            end = len(text)
        shown = self._joined(text, len(self._line), end)
        self.pending, self._line = text[end:], text[max(0, end - LINE) : end]
        return shown

    def pass_over(self, text: str) -> None:
        """Take a piece that shows itself, where nothing is pending."""
        self._line = (self._line + text)[-LINE:]
        self.offsets.copied(len(text))

    def finish(self) -> str:
        """The text is over, and with it the line."""
        rest, self.pending = self.pending, ""
        self.offsets.copied(len(rest))
        return rest

    def _joined(self, text: str, at: int, end: int) -> str:
        parts: list[str] = []
        for match in _BREAK.finditer(text, at, end):
            start = self._line_end(text, match.start())
            if start >= at and text[start - 4 : start] not in _RULERS:
                parts.append(text[at:start])
                self.offsets.copied(start - at)
                self.offsets.replaced(match.end() - start, 0)
                at = match.end()
        parts.append(text[at:end])
        self.offsets.copied(end - at)
        return "".join(parts)

    def _line_end(self, text: str, feed: int) -> int:
        """Where the line ends, whose line feed this is."""
        return feed - 1 if feed and text[feed - 1] == "\r" else feed

    def _is_full(self, text: str, end: int) -> bool:
        if end < LINE or text[end - 4 : end] in _RULERS:
            return False
        return _FULL_LINE.match(text, end - LINE, end) is not None


def shows_itself(text: str) -> bool:
    """Whether every view shows a piece as it is, if nothing is pending in it."""
    return text.isascii() and text.isprintable() and "%" not in text and "\\" not in text


View = Unescaped | Folded | Unwrapped


def views() -> tuple[View, ...]:
    """Each is a view of what the one before it shows."""
    return Unescaped(BACKSLASH), Folded(), Unescaped(PERCENT), Unwrapped()


def moved(finding: Finding, *views: View) -> Finding:
    """A finding of the first view as one of the text from which the last was made."""
    start, end = finding.start, finding.end
    for view in views:
        start, end = view.offsets.start(start), view.offsets.end(end)
    return replace(finding, start=start, end=end)
