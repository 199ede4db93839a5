"""Recognises an event that is the one before it with another text, and need not be read for that.

A model server streams thousands of events that differ in one string. Let one be head + token + tail,
where the token is that string's, and another be head + any other JSON string + tail: then both are
framed the same, and are the same document but for that string. `AnswerFrame.repeats` promises the rest.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice

from authz_service.framing.json_edit import find_value
from authz_service.view.answer import AnswerField

_CHANCES = 4
"""How often a likeness is looked for without success; then the events of this answer have none."""

MOST_TOGETHER = 64
"""Events: what parts them looks at all of those that came together."""

_SURROGATE_ESCAPE = re.compile(r"\\u[dD][89a-fA-F]")
_decode = json.JSONDecoder().decode


@dataclass(frozen=True, slots=True)
class Likeness:
    """An event with a gap where its only text was: `head` and `tail` with the quotes, `document` in it."""

    field: AnswerField
    wrap: Callable[[bytes], bytes]
    head: bytes
    tail: bytes
    begin: int
    end: int | None

    def document(self, event: bytes) -> bytes:
        """The document in an event that is like this one."""
        return event[self.begin : self.end]

    def gap(self, event: bytes) -> slice:
        """Where the string with the text stands in that document."""
        return slice(len(self.head) - 1 - self.begin, len(event) - len(self.tail) + 1 - self.begin)


class Repetition:
    """Knows the events that are like the one that was read last."""

    def __init__(self) -> None:
        self.likeness: Likeness | None = None
        self._chances = _CHANCES

    def learn(
        self, event: bytes, document: bytes, wrap: Callable[[bytes], bytes], field: AnswerField
    ) -> None:
        """Remember an event, the document in it, and its only field that is not whole."""
        self.forget()
        begin = event.find(document)
        # A document over several lines does not stand in the event as it is. The first event of a
        # stream may have a byte order mark, which means something else in any other.
        if not self._chances or begin < 0 or event.startswith(b"\xef\xbb\xbf"):
            return
        self._chances -= 1
        start, end = find_value(document, field.path)
        head, tail = event[: begin + start + 1], event[begin + end - 1 :]
        self.likeness = Likeness(field, wrap, head, tail, begin, begin + len(document) - len(event) or None)

    def forget(self) -> None:
        """What comes next must be read."""
        self.likeness = None

    def texts(self, events: Sequence[bytes], first: int) -> list[str]:
        """The texts in the gaps of some events from `first` on, up to the first that must be read."""
        known = self.likeness
        if known is None:
            return []
        head, tail, begin, end = known.head, known.tail, len(known.head), -len(known.tail)
        gaps: list[bytes] = []
        for event in islice(events, first, first + MOST_TOGETHER):
            if not event.startswith(head) or not event.endswith(tail):
                break
            gaps.append(event[begin:end])
        found = _texts(gaps)
        if found:
            self._chances = _CHANCES
        return found


def _texts(gaps: Sequence[bytes]) -> list[str]:
    """What they say, up to the first that is no JSON string with a text in it."""
    if len(gaps) > 1:
        joined = b"".join(gaps)
        if joined.isascii() and b'"' not in joined and b"\\" not in joined and joined.decode().isprintable():
            said = [gap.decode() for gap in gaps]
            return said if all(gaps) else said[: gaps.index(b"")]
    found: list[str] = []
    for gap in gaps:
        try:
            text = gap.decode()
        except UnicodeDecodeError:
            break
        if '"' in text or "\\" in text or not text.isprintable():
            text = _unescaped(text)
        if not text:
            break
        found.append(text)
    return found


def _unescaped(text: str) -> str:
    """What the inside of a JSON string says; empty where it is none, or has a surrogate."""
    if _SURROGATE_ESCAPE.search(text):
        return ""
    try:
        value = _decode(f'"{text}"')
    except ValueError:
        return ""
    return value if isinstance(value, str) else ""
