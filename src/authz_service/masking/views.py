"""Views of a text in which hidden values show: what looks alike folded, what is percent-encoded decoded."""

from __future__ import annotations

import re
from dataclasses import replace

from authz_service.masking import alike
from authz_service.masking.finding import Finding
from authz_service.masking.offsets import OffsetMap

_ENCODED = re.compile("%([2-6][0-9A-Fa-f]|7[0-9A-Ea-e])")
_SLICE = 256
_BEGUN = re.compile(r"%[2-7]?\Z")


class Folded:
    """What looks like ASCII is ASCII, and what is not seen is not there."""

    def __init__(self) -> None:
        self.offsets = OffsetMap()
        self.pending = ""

    def feed(self, text: str) -> str:
        """The view of the next piece."""
        if text.isascii() or alike.ANY.search(text) is None:
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

    def finish(self) -> str:
        """The text is over; nothing is pending."""
        return ""


def _folded(text: str) -> str:
    """Single characters folded, in slices: to translate a slice of ASCII would take longer than to see it."""
    slices = (text[at : at + _SLICE] for at in range(0, len(text), _SLICE))
    return "".join(part if part.isascii() else part.translate(alike.SAME_LENGTH) for part in slices)


class PercentDecoded:
    """`%40` is `@`, for all printable ASCII (RFC 3986 2.1); once, and nothing else is decoded."""

    def __init__(self) -> None:
        self.offsets = OffsetMap()
        self.pending = ""

    def feed(self, text: str) -> str:
        """The view of the next piece, but for the beginning of an escape at its end."""
        if not self.pending and "%" not in text:
            self.offsets.copied(len(text))
            return text
        text = self.pending + text
        begun = _BEGUN.search(text, max(0, len(text) - 2))
        self.pending = "" if begun is None else begun[0]
        return self._decoded(text[: len(text) - len(self.pending)])

    def finish(self) -> str:
        """The text is over: an escape that has begun is none."""
        rest, self.pending = self.pending, ""
        self.offsets.copied(len(rest))
        return rest

    def _decoded(self, text: str) -> str:
        parts: list[str] = []
        at = 0
        for match in _ENCODED.finditer(text):
            parts += (text[at : match.start()], chr(int(match[1], 16)))
            self.offsets.copied(match.start() - at)
            self.offsets.replaced(3, 1)
            at = match.end()
        if not at:
            self.offsets.copied(len(text))
            return text
        parts.append(text[at:])
        self.offsets.copied(len(text) - at)
        return "".join(parts)


def moved(finding: Finding, *views: Folded | PercentDecoded) -> Finding:
    """A finding of the first view as one of the text from which the last was made."""
    start, end = finding.start, finding.end
    for view in views:
        start, end = view.offsets.start(start), view.offsets.end(end)
    return replace(finding, start=start, end=end)
