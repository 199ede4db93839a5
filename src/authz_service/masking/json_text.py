"""The inside of a JSON string: decodes its escapes, and remembers where each character stood."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass

from authz_service.errors import Unreadable

_SIMPLE = {'"': '"', "\\": "\\", "/": "/", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
_HEX = frozenset("0123456789abcdefABCDEF")
_KEPT = 64


@dataclass(frozen=True, slots=True)
class Escape:
    """One escape, or a pair of them for a character beyond U+FFFF."""

    character: str
    length: int


class Incomplete(Exception):
    """The text ends within an escape."""


class NoEscape(Exception):
    """A backslash that begins no escape of JSON's (RFC 8259 7)."""


def read_escape(text: str, at: int) -> Escape:
    """Read the escape at a backslash; raises `Incomplete`, `NoEscape`, or `Unreadable` for half a pair."""
    if at + 1 >= len(text):
        raise Incomplete
    simple = _SIMPLE.get(text[at + 1])
    if simple is not None:
        return Escape(simple, 2)
    unit = _unit(text, at)
    if not 0xD800 <= unit < 0xE000:
        return Escape(chr(unit), 6)
    if unit < 0xDC00 and "\\u".startswith(text[at + 6 : at + 8]):
        second = _unit(text, at + 6)
        if 0xDC00 <= second < 0xE000:
            return Escape(chr(0x10000 + (((unit - 0xD800) << 10) | (second - 0xDC00))), 12)
    message = "A JSON string has half of a surrogate pair, which is no character."
    raise Unreadable(message, code="lone_surrogate")


def _unit(text: str, at: int) -> int:
    digits = text[at + 2 : at + 6]
    if text[at + 1 : at + 2] not in ("u", "") or not _HEX.issuperset(digits):
        raise NoEscape
    if len(digits) < 4:
        raise Incomplete
    return int(digits, 16)


@dataclass(frozen=True, slots=True)
class Share:
    """What a piece of source says: its decoded text, and where in the piece reading stopped.

    That is at the closing quote, at a backslash that is no escape (`is_broken`), at the beginning of
    an escape that the piece cuts, or at the end of the piece.
    """

    text: str
    end: int
    is_closed: bool = False
    is_broken: bool = False


class DecodedString:
    """One JSON string, decoded piece by piece, with the way back from its characters to the source."""

    def __init__(self, source: int) -> None:
        """`source` is where its first character stands, after the opening quote."""
        self._length = 0
        # From `_decoded[i]` to `_decoded[i + 1]` each character is itself, but the last, an escape.
        self._decoded = [0]
        self._source = [source]

    def decode(self, piece: str, at: int, *, origin: int) -> Share:
        """Go on from `at` in a piece that begins at `origin` of the source."""
        parts: list[str] = []
        quote = -1
        while True:
            if quote < at:
                quote = _find(piece, '"', at, len(piece))
            # No further than the quote: over a document of many strings that would be quadratic.
            stop = _find(piece, "\\", at, quote)
            parts.append(piece[at:stop])
            self._length += stop - at
            at = stop
            if at == quote:
                return Share("".join(parts), at, is_closed=at < len(piece))
            try:
                escape = read_escape(piece, at)
            except Incomplete:
                return Share("".join(parts), at)
            except NoEscape:
                return Share("".join(parts), at, is_broken=True)
            parts.append(escape.character)
            at += escape.length
            self._length += 1
            self._decoded.append(self._length)
            self._source.append(origin + at)

    def source(self, decoded: int) -> int:
        """Where a decoded character begins; for the end of a span, where the next one does."""
        index = bisect_right(self._decoded, decoded) - 1
        return self._source[index] + decoded - self._decoded[index]

    def forget(self, decoded: int) -> None:
        """Nothing before `decoded` will be asked for."""
        index = bisect_right(self._decoded, decoded) - 1
        if index > _KEPT:
            del self._decoded[:index]
            del self._source[:index]


def _find(text: str, char: str, at: int, end: int) -> int:
    place = text.find(char, at, end)
    return end if place < 0 else place
