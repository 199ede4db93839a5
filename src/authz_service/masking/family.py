"""Detectors that are searched for in one pass: which of them a text may have, and what may go on."""

from __future__ import annotations

from collections.abc import Sequence, Set

from authz_service.masking.engine import Gate, compile_prefixes
from authz_service.masking.entity_type import EMAIL
from authz_service.masking.steps import Detector


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
        self._alone = members[0][1] if len(members) == 1 else None
        self._gate = Gate([detector.sign for _, detector in members])
        self._live = compile_prefixes("|".join(f"(?:{detector.prefixes})" for _, detector in members))

    def hits(self, window: bytes) -> Sequence[int]:
        """The indexes of the detectors whose pattern occurs."""
        hits = self._gate.hits(window)
        return [self._members[place][0] for place in hits] if hits else ()

    def live(self, window: bytes, at: int, apart: Set[int]) -> int:
        """The least `live` of its detectors but those of `apart`; less, where some are loose."""
        if apart and not apart.isdisjoint(self._indexes):
            lives = [detector.live(window, at) for index, detector in self._members if index not in apart]
            return min(lives, default=len(window))
        if self._alone is not None:
            return self._alone.live(window, at)
        match = self._live.search(window, at)
        return len(window) if match is None else match[0]


def families_of(detectors: Sequence[Detector]) -> tuple[Family, ...]:
    """The detectors by their families; raises `re2.error` when one is too large."""
    members: dict[str, list[tuple[int, Detector]]] = {}
    for index, detector in enumerate(detectors):
        members.setdefault(detector.family, []).append((index, detector))
    # A word is most often alive as the beginning of an address, and then nothing else need be asked.
    in_order = sorted(members, key=lambda family: family != EMAIL)
    return tuple(Family(members[family]) for family in in_order)
