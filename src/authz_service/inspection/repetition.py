"""Recognises an event that is the one before it with another text, and need not be read for that.

A model server streams thousands of events that differ in one string, and perhaps in a number or two. Let one
be head + token + tail, where the token is that string's, and another be head + any other JSON string + tail:
then both are framed the same, and are the same document but for that string. So it is with several gaps,
where what stands in each is one value of the same type. `AnswerFrame.repeats` promises the rest.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Sequence
from itertools import islice

from authz_service.inspection.likeness import Likeness, likeness_of
from authz_service.view.answer import AnswerField, Varying

_CHANCES = 4
"""How often a likeness is looked for without success; then the events of this answer have none."""

MOST_TOGETHER = 64
"""Events: what parts them looks at all of those that came together."""

_SURROGATE_ESCAPE = re.compile(r"\\u[dD][89a-fA-F]")
_SURROGATE_ESCAPED = re.compile(_SURROGATE_ESCAPE.pattern.encode())
_decode = json.JSONDecoder().decode


class Repetition:
    """Knows the events that are like the one that was read last."""

    def __init__(self, is_harmless: Callable[[str], bool]) -> None:
        """`is_harmless`: whether a text beside the text has no finding. One that has must be read."""
        self.likeness: Likeness | None = None
        self._is_harmless = is_harmless
        self._chances = _CHANCES

    def learn(
        self,
        event: bytes,
        document: bytes,
        wrap: Callable[[bytes], bytes],
        field: AnswerField,
        varies: Sequence[Varying] = (),
    ) -> None:
        """Remember an event, the document in it, its only field that is not whole, and what else may vary."""
        self.forget()
        if self._chances:
            self.likeness = likeness_of(event, document, wrap, field, varies)
            self._chances -= self.likeness is not None

    def forget(self) -> None:
        """What comes next must be read."""
        self.likeness = None

    def texts(self, events: Sequence[bytes], first: int) -> list[str]:
        """The texts in the gaps of some events from `first` on, up to the first that must be read."""
        known = self.likeness
        if known is None:
            return []
        together = islice(events, first, first + MOST_TOGETHER)
        found = _texts(self._in_several(known, together) if known.gaps else _in_one(known, together))
        if found:
            self._chances = _CHANCES
        return found

    def _in_several(self, known: Likeness, events: Iterable[bytes]) -> list[bytes]:
        gaps: list[bytes] = []
        for event in events:
            spans = known.spans(event)
            if spans is None:
                break
            gap = event[slice(*spans[known.said])]
            if not gap or (b"\\u" in gap and _SURROGATE_ESCAPED.search(gap)):
                break  # it has to be read: nothing that comes after it is looked at in vain
            beside = (event[slice(*spans[at])].decode() for at in known.asides)
            if not all(map(self._is_harmless, beside)):
                break
            gaps.append(gap)
        return gaps


def _in_one(known: Likeness, events: Iterable[bytes]) -> list[bytes]:
    head, tail, begin, end = known.head, known.tail, len(known.head), -len(known.tail)
    gaps: list[bytes] = []
    for event in events:
        if not event.startswith(head) or not event.endswith(tail):
            break
        gaps.append(event[begin:end])
    return gaps


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
