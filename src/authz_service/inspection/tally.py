"""Counts by entity type, in which a text that is told several times counts once."""

from __future__ import annotations


class Tally:
    """What was counted since the last `take`."""

    def __init__(self) -> None:
        self._new: dict[str, int] = {}
        self._told: dict[tuple[str, str], dict[int, int]] = {}
        """For a text and an entity type, how many were in each telling of it."""

    def add(self, entity: str, text: str = "", copy: int = 0) -> None:
        """One more, in telling `copy` of a text; of a text without a name each counts.

        It counts where this telling has more of the entity type than each other has, so that none can
        take away what another told.
        """
        if text:
            told = self._told.setdefault((text, entity), {})
            most = max(told.values(), default=0)
            told[copy] = told.get(copy, 0) + 1
            if told[copy] <= most:
                return
        self._new[entity] = self._new.get(entity, 0) + 1

    def take(self) -> dict[str, int]:
        """What was counted, and begin anew; what was told is still known."""
        new, self._new = self._new, {}
        return new
