"""Recognises an event that is the one before it with another text, and need not be read for that.

A model server streams thousands of events that differ in one string. Let one be head + token + tail,
where the token is that string's, and another be head + any other JSON string + tail: then both are
framed the same, and are the same document but for that string. `AnswerFrame.repeats` promises the rest.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable

from authz_service.framing.json_edit import find_value
from authz_service.view.answer import AnswerField

_CHANCES = 4
"""How often a likeness is looked for without success; then the events of this answer have none."""

_SURROGATE_ESCAPE = re.compile(r"\\u[dD][89a-fA-F]")
_decode = json.JSONDecoder().decode

_NO_FIELD = AnswerField("", (), "")
_NOWHERE = slice(0, 0)


class Repetition:
    """The event that was read last, with a gap where its only text was."""

    def __init__(self) -> None:
        self.field = _NO_FIELD
        self.wrap: Callable[[bytes], bytes] = bytes
        self._head = self._tail = b""
        self._document = _NOWHERE
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
        self.field, self.wrap = field, wrap
        self._head, self._tail = event[: begin + start + 1], event[begin + end - 1 :]
        self._document = slice(begin, begin + len(document) - len(event) or None)

    def forget(self) -> None:
        """What comes next must be read."""
        self._head = b""

    def text(self, event: bytes) -> str | None:
        """The text in the gap, where all else is as it was; None where the event must be read."""
        if not self._head or not event.startswith(self._head) or not event.endswith(self._tail):
            return None
        try:
            text = event[len(self._head) : -len(self._tail)].decode()
        except UnicodeDecodeError:
            return None
        if '"' in text or "\\" in text or not text.isprintable():
            text = _unescaped(text)
        if text:
            self._chances = _CHANCES
        return text or None

    def document(self, event: bytes) -> bytes:
        """The document in an event for which `text` is not None."""
        return event[self._document]


def _unescaped(text: str) -> str:
    """What the inside of a JSON string says; empty where it is none, or has a surrogate."""
    if _SURROGATE_ESCAPE.search(text):
        return ""
    try:
        value = _decode(f'"{text}"')
    except ValueError:
        return ""
    return value if isinstance(value, str) else ""
