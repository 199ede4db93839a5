"""An event with gaps: what it has in common with others that differ in their text, and in what may vary."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import NamedTuple

from authz_service.framing.json_edit import find_value
from authz_service.view.answer import AnswerField, Echo, Form, Varying
from authz_service.view.request import Path

_COUNT = rb"(?:0|[1-9][0-9]{0,5})"
_FORMS = {
    Form.COUNT: re.compile(_COUNT),
    Form.COUNTS: re.compile(rb"\[%b(?:, ?%b){0,63}\]" % (_COUNT, _COUNT)),
    Form.SMALL: re.compile(rb"-?%b(?:\.[0-9]{1,30})?(?:[eE]-[0-9]{1,3})?" % _COUNT),
    Form.TEXT: re.compile(rb"[0-9A-Za-z:.+_=-]{0,256}"),
}
"""How each is written: as JSON has it, so that what has this form would be read."""

_SAID = re.compile(rb'[^"\\]*+(?:\\.[^"\\]*+)*+', re.DOTALL)
_PADDING = re.compile(rb" {0,256}")
"""Blanks before the brace that ends a document: Anthropic's servers pad their events with some."""


class Gap(NamedTuple):
    """Something of this form, and the bytes that come after it."""

    form: re.Pattern[bytes]
    after: bytes


@dataclass(frozen=True, slots=True)
class Likeness:
    """An event with a gap where its text was, without the quotes, and further ones where values may vary.

    `head` is what comes before the first gap, `tail` what comes after the last. Where the text has the only
    gap there are no `gaps`; else these are all of them, the text's is that at `said`, and those of strings
    which have to be looked at are `asides`. `shadows` become null with any of the text.
    """

    field: AnswerField
    wrap: Callable[[bytes], bytes]
    head: bytes
    tail: bytes
    begin: int
    end: int | None
    gaps: Sequence[Gap] = ()
    said: int = 0
    asides: Sequence[int] = ()
    shadows: tuple[Path, ...] = ()

    def document(self, event: bytes) -> bytes:
        """The document in an event that is like this one."""
        return event[self.begin : self.end]

    def gap(self, event: bytes) -> slice:
        """Where the string with the text stands in that document."""
        spans = self.spans(event)
        if spans is None:
            raise RuntimeError("this event is not like the other")
        start, end = spans[self.said]
        return slice(start - 1 - self.begin, end + 1 - self.begin)

    def spans(self, event: bytes) -> Sequence[tuple[int, int]] | None:
        """Where the gaps stand in an event; None where it is not like this one."""
        if not event.startswith(self.head) or not event.endswith(self.tail):
            return None
        at = len(self.head)
        if not self.gaps:
            return ((at, len(event) - len(self.tail)),)
        found: list[tuple[int, int]] = []
        for form, after in self.gaps:
            match = form.match(event, at)
            if match is None or not event.startswith(after, match.end()):
                return None
            found.append(match.span())
            at = match.end() + len(after)
        return found if at == len(event) else None


def likeness_of(
    event: bytes,
    document: bytes,
    wrap: Callable[[bytes], bytes],
    field: AnswerField,
    varies: Sequence[Varying] = (),
) -> Likeness | None:
    """What others may be like; None where that cannot be told from the bytes of `event`."""
    begin = event.find(document)
    shadows = _shadows(field)
    # A document over several lines does not stand in the event as it is. The first event of a
    # stream may have a byte order mark, which means something else in any other.
    if begin < 0 or shadows is None or event.startswith(b"\xef\xbb\xbf"):
        return None
    end = begin + len(document) - len(event) or None
    start, stop = find_value(document, field.path)
    said = (start + 1, stop - 1, _SAID, False)
    gaps = sorted((said, *_varying(document, varies), *_padding(document)), key=itemgetter(0))
    edges = [(begin + start, begin + stop) for start, stop, *_ in gaps]
    after = [event[a:b] for (_, a), (b, _) in zip(edges, [*edges[1:], (len(event), 0)], strict=True)]
    return Likeness(
        field,
        wrap,
        event[: edges[0][0]],
        after[-1],
        begin,
        end,
        gaps=[Gap(form, rest) for (_, _, form, _), rest in zip(gaps, after, strict=True)] if gaps[1:] else (),
        said=gaps.index(said),
        asides=[i for i, (*_, is_text) in enumerate(gaps) if is_text],
        shadows=shadows,
    )


_Place = tuple[int, int, re.Pattern[bytes], bool]
"""Where a gap begins and ends in a document, its form, and whether it is a text beside the text."""


def _varying(document: bytes, varies: Sequence[Varying]) -> list[_Place]:
    """Those that have the form that they should have; any other stays as it is."""
    found: list[_Place] = []
    for path, kind in varies:
        start, end = find_value(document, path)
        is_text = kind is Form.TEXT
        start, end = (start + 1, end - 1) if is_text else (start, end)
        if _FORMS[kind].fullmatch(document, start, end):
            found.append((start, end, _FORMS[kind], is_text))
    return found


def _padding(document: bytes) -> list[_Place]:
    if not document.endswith(b" }"):
        return []
    end = len(document) - 1
    return [(len(document[:end].rstrip(b" ")), end, _PADDING, False)]


def _shadows(field: AnswerField) -> tuple[Path, ...] | None:
    """What becomes null with any of the text; None where anything says a part of it once more."""
    if not field.echoes:
        return ()
    echo, *others = field.echoes
    return None if others or echo != Echo(0, len(field.text), None, echo.shadows) else echo.shadows
