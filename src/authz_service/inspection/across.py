"""What was found across the parts of a channel, kept for those frames that tell a part once more.

A part that is told again is read as a text of its own, in which half a value is none.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from authz_service.errors import Unreadable
from authz_service.inspection.spans import Cut


@dataclass(frozen=True, slots=True)
class Share:
    """What a finding has of a part: its characters from `cut.start` to `cut.end`, which are `written`."""

    cut: Cut
    written: str = field(repr=False)


class Across:
    """The shares of all channels of an answer, by the name of the part."""

    def __init__(self) -> None:
        self._shares: dict[str, list[Share]] = {}

    def add(self, part: str, share: Share) -> None:
        """Remember a share of a part."""
        self._shares.setdefault(part, []).append(share)

    def cuts(self, part: str, text: str, own: Iterable[Cut]) -> Sequence[Cut] | None:
        """The cuts of a part that is told again, with `own` that were found in it; None where these are all.

        Raises `Unreadable` (502) where it says something else than before, at a share.
        """
        shares = self._shares.get(part)
        if shares is None:
            return None
        if any(text[share.cut.start : share.cut.end] != share.written for share in shares):
            message = "the answer tells a text again, and not as it was"
            raise Unreadable(message, code="unreadable_answer", status=502)
        merged: list[Cut] = []
        for cut in sorted([*own, *(share.cut for share in shares)]):
            last = merged[-1] if merged else None
            if last is not None and cut.start < last.end:
                merged[-1] = last._replace(end=max(last.end, cut.end))
            else:
                merged.append(cut)
        return merged
