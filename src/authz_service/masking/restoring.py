"""Gives the values of a request back where an answer says their placeholders.

Only what is a placeholder of this very request, letter by letter, is replaced. What the model made up, or
wrote otherwise, stays as it is.
"""

from __future__ import annotations

import json
from bisect import bisect_left

from authz_service.errors import Unreadable
from authz_service.masking.marked import Mark, MarkedScanner
from authz_service.masking.operators import Masks
from authz_service.masking.placeholders import Place, Placeholders


class KnownPlaceholders:
    """Implements `Marks`: the placeholders that are restored at `place`, each with its value."""

    def __init__(self, placeholders: Placeholders, place: Place) -> None:
        self._known = {
            name: Mark(restorable.entity, restorable.value)
            for name, restorable in placeholders.by_name.items()
            if place in restorable.places
        }
        self._names = sorted(self._known)
        self.entities = frozenset(mark.entity for mark in self._known.values())
        self.longest = max(map(len, self._names), default=1)

    def recognise(self, text: str, *, in_json: bool) -> Mark | None:
        """See `Marks.recognise`. Within JSON the value is written with its escapes."""
        mark = self._known.get(text)
        return Mark(mark.entity, _escaped(mark.value)) if mark is not None and in_json else mark

    def may_become(self, text: str) -> bool:
        """See `Marks.may_become`: it is the beginning of a name, and not all of one."""
        at = bisect_left(self._names, text)
        return at < len(self._names) and self._names[at].startswith(text) and self._names[at] != text


def _escaped(value: str) -> str:
    return json.dumps(value, ensure_ascii=False)[1:-1]


def restoring_scanner(placeholders: Placeholders, place: Place) -> MarkedScanner:
    """Finds the placeholders that are restored at `place`; the finding's value is what they stand for."""
    return MarkedScanner(KnownPlaceholders(placeholders, place))


def restoring_masks(placeholders: Placeholders, *, most: int) -> Masks:
    """What puts values in the place of placeholders: at most `most` characters in one answer.

    Without a limit, a model that says the placeholder of a long value again and again would fill the memory.
    """
    left = most

    def restore(_entity: str, value: str) -> str:
        nonlocal left
        left -= len(value)
        if left < 0:
            raise Unreadable(
                f"the values to be restored in the answer have more than {most} characters",
                code="answer_too_large",
                status=502,
            )
        return value

    return Masks({restorable.entity: restore for restorable in placeholders.by_name.values()})
