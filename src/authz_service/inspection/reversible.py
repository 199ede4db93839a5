"""Gives the values of a request that are masked reversibly their placeholders."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence

from authz_service.errors import Unreadable
from authz_service.inspection.neighbours import rows
from authz_service.inspection.spans import Span, mask
from authz_service.masking.json_numbers import readings
from authz_service.masking.operators import Masks
from authz_service.masking.placeholders import TYPED, Placeholders, WithTyped
from authz_service.masking.seams import Scanner
from authz_service.view.request import Path, RequestView, Role, TextField, TextKind

_CONVERSATION = frozenset((Role.USER, Role.ASSISTANT, Role.TOOL))


_MADE = "Without the values that are masked in it, a text would read as a placeholder."


class Reversing:
    """One request's placeholders, made as its texts are masked.

    Noise gets none: two requests that differ in nothing else have the same ones, so those of a caller's
    retry belong to the bytes that were approved.
    """

    def __init__(self, masks: Masks, scanner: Scanner, is_noise: Callable[[Path], bool]) -> None:
        self.masks = Masks({**masks.operators, TYPED: _typed}, masks.reversible)
        self.scanner = WithTyped(scanner, masks.reversible)
        self.placeholders = Placeholders(masks.reversible)
        self._entities = frozenset((*masks.reversible, TYPED))
        self._is_noise = is_noise

    def masked(self, field: TextField, spans: Sequence[Span], joined: Mapping[int, str]) -> str:
        """The text with its spans replaced. `joined` are values that go on in another text, by their start.

        Raises `Unreadable` (`unmaskable`) where what is left, without a value that was dropped, would
        read as a placeholder that stands for another value.
        """
        text, is_json = field.text, field.kind is TextKind.JSON
        if not self._is_noise(field.path):
            spans = [self._named(field, spans, at, joined) for at in range(len(spans))]
        made = mask(text, spans)
        placed = sum(span.placeholder.strip('"') in self.placeholders.by_name for span in spans)
        if len(self.scanner.typed(made, embedded_json=is_json)) != placed:
            raise Unreadable(_MADE, code="unmaskable")
        return made

    def check_joined(self, view: RequestView, masked: Mapping[Path, str | None]) -> None:
        """Look at the parts of a message as `masked` leaves them, joined. Raises what `masked` does."""
        if not masked:
            return
        texts = [masked.get(text.path) if text.path in masked else text.text for text in view.texts]
        for row in rows(view.texts, view.in_parts):
            if any(view.texts[i].path in masked for i in row):
                said = [texts[i] or "" for i in row]
                if len(self.scanner.typed("".join(said))) > sum(len(self.scanner.typed(s)) for s in said):
                    raise Unreadable(_MADE, code="unmaskable")

    def _named(self, field: TextField, spans: Sequence[Span], at: int, joined: Mapping[int, str]) -> Span:
        span = spans[at]
        if not span.is_new or span.entity not in self._entities:
            return span
        end = span.end
        following = at + 1
        while following < len(spans) and not spans[following].is_new and spans[following].start == end:
            end, following = spans[following].end, following + 1
        value = joined.get(span.start) if end == len(field.text) else None
        if value is None:
            value = _said(field.text[span.start : end], field.kind, is_bare=span.bare)
            if field.is_number:
                value = readings(value)[0]
        name = self.placeholders.name(span.entity, value)
        return span._replace(placeholder=f'"{name}"' if span.bare else name)


def _typed(_entity: str, _value: str) -> str:
    return "[PLACEHOLDER]"


def _said(source: str, kind: TextKind, *, is_bare: bool) -> str:
    """What the characters of a text say; those of a JSON string through its escapes."""
    if kind is not TextKind.JSON or is_bare:
        return source
    try:
        return str(json.loads(f'"{source}"', strict=False))
    except ValueError:  # from where on the text is no JSON, it is as it stands
        return source


def numbering_order(view: RequestView) -> Callable[[Path], bool]:
    """A sort key for texts: what surrounds the conversation comes first, wherever the body has it.

    Clients send the conversation again with each turn and add to its end, so numbers stay as they are.
    """
    roots = {text.path[:1] for text in view.texts if text.role in _CONVERSATION}
    return lambda path: path[:1] in roots
