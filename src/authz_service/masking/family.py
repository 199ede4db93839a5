"""Detectors that are searched for in one pass: which of them a text may have, and what may go on."""

from __future__ import annotations

from collections.abc import Callable, Sequence, Set
from functools import partial

from authz_service.masking.engine import Gate, Prefixes, compile_prefixes
from authz_service.masking.entity_type import EMAIL
from authz_service.masking.steps import Detector

Live = Callable[[bytes, int], int]
"""Where the first value could begin in a window, at or after a place, that the next text completes."""


class Family:
    """Some detectors of a set, with the indexes that they have in it.

    RE2's automaton for several patterns has up to as many states as theirs multiplied; when they find no
    room it is many times slower. So a set is searched in several passes, each for patterns that go well
    together.
    """

    def __init__(self, members: Sequence[tuple[int, Detector]]) -> None:
        """Raises `re2.error` when the patterns are too large together."""
        self._members = tuple(members)
        self._indexes = frozenset(index for index, _ in members)
        self.alone = members[0][1] if len(members) == 1 else None
        self.gate = Gate([detector.sign for _, detector in members])
        self.prefixes = compile_prefixes("|".join(f"(?:{detector.prefixes})" for _, detector in members))
        self._prefixes = Prefixes([self.prefixes])

    def named(self, found: list[int]) -> Sequence[int]:
        """The indexes of the detectors whose pattern occurs, by what its gate has answered."""
        return [self._members[place][0] for place in self.gate.said(found)]

    def without(self, apart: Set[int]) -> Live:
        """The least `live` of its detectors but those of `apart`; less, where some are loose."""
        if not apart.isdisjoint(self._indexes):
            return partial(_least, [detector for index, detector in self._members if index not in apart])
        return self._prefixes.first if self.alone is None else self.alone.live


def _least(detectors: Sequence[Detector], window: bytes, at: int) -> int:
    return min([detector.live(window, at) for detector in detectors], default=len(window))


def families_of(detectors: Sequence[Detector]) -> tuple[Family, ...]:
    """The detectors by their families; raises `re2.error` when one is too large."""
    members: dict[str, list[tuple[int, Detector]]] = {}
    for index, detector in enumerate(detectors):
        members.setdefault(detector.family, []).append((index, detector))
    # A word is most often alive as the beginning of an address, and then nothing else need be asked.
    in_order = sorted(members, key=lambda family: family != EMAIL)
    return tuple(Family(members[family]) for family in in_order)
