"""Refusals that come again: the first is a session of its own, equal ones soon after are counted with it.

A caller in a loop would fill the record with what it says already. Nothing of a refused request went to a
model, so a count that a crash takes with it loses how often, and nothing of what was released.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from authz_service.audit.draft import EntryDraft
from authz_service.core import entries
from authz_service.core.refusals import Refusal

WINDOW: Final = 60.0
"""Seconds after the first in which equal refusals are counted."""
MOST: Final = 10_000
"""Refusals that are told apart; for one more the oldest is written, and what comes again is a first."""


@dataclass(slots=True)
class _Counted:
    session: str
    until: float
    number: int = 0


@dataclass(slots=True)
class Repeats:
    """Times are seconds of a clock that does not go back."""

    _known: dict[Refusal, _Counted] = field(default_factory=dict)  # the oldest first

    def counted(self, refusal: Refusal, now: float) -> str | None:
        """Count it with its first, whose session this is; None where there is none: it goes on record."""
        first = self._known.get(refusal)
        if first is None or now >= first.until:
            return None
        first.number += 1
        return first.session

    def begin(self, refusal: Refusal, session: str, now: float) -> tuple[EntryDraft, ...]:
        """`session` is on record as the first of its kind; what is to be recorded of one that it replaces.

        Of several at the same moment, each of them on record, the first counts what comes.
        """
        before = self._known.get(refusal)
        if before is not None and now < before.until:
            return ()
        gone = self._take(refusal)
        if len(self._known) >= MOST:
            gone += self._take(next(iter(self._known)))
        self._known[refusal] = _Counted(session, now + WINDOW)
        return gone

    def over(self, now: float) -> tuple[EntryDraft, ...]:
        """What is to be recorded of windows that have ended by then."""
        ended = []
        for refusal, first in self._known.items():
            if now < first.until:
                break
            ended.append(refusal)
        return tuple(draft for refusal in ended for draft in self._take(refusal))

    def _take(self, refusal: Refusal) -> tuple[EntryDraft, ...]:
        first = self._known.pop(refusal, None)
        if first is None or not first.number:
            return ()
        return (entries.refused_again(first.session, refusal, first.number),)
