"""Whether an answer is what it should be, and what is wrong with one that is not."""

from __future__ import annotations

import re
from enum import StrEnum

from bench.plan import Shape
from bench.traffic import ADDRESS, CARD, GIVEAWAYS, SAW_NONE, SAW_SECRET, text

_CONTENT = re.compile(rb'"content": ?"([^"\\]*(?:\\.[^"\\]*)*)"')
_LONGEST_PLACEHOLDER = 60


class Fault(StrEnum):
    """What can be wrong with an answer; one may have several faults."""

    FAILED = "failed"
    """No 200, or it did not come to its end."""

    ALTERED = "altered"
    """Other text than the address and the card was changed, or is missing."""

    MODEL_SAW = "model saw it"
    """The address or the card of the prompt reached the model."""

    CLIENT_SAW = "client saw it"
    """The address or the card of the answer reached the client, in whatever pieces."""


class Expected:
    """What the answers of one turn are held against."""

    def __init__(self, shape: Shape, *, is_masked: bool) -> None:
        self._shape = shape
        self._is_masked = is_masked
        self._before, rest = text(shape).encode().split(ADDRESS.encode())
        self._between, self._after = rest.split(CARD.encode())

    def faults(self, answer: bytes | bytearray) -> frozenset[Fault]:
        """Of a whole HTTP response; empty when all is well."""
        if not answer.startswith(b"HTTP/1.1 200") or (self._shape.is_stream and b"[DONE]" not in answer):
            return frozenset({Fault.FAILED})
        if not self._is_masked:
            return frozenset() if self._is_clear(answer) else frozenset({Fault.ALTERED})
        said = b"".join(_CONTENT.findall(answer))
        found = set()
        if SAW_NONE.encode() not in answer:
            found.add(Fault.MODEL_SAW)
        if any(giveaway in said for giveaway in GIVEAWAYS):
            found.add(Fault.CLIENT_SAW)
        elif not self._has_placeholders(said):
            found.add(Fault.ALTERED)
        return frozenset(found)

    def _is_clear(self, answer: bytes | bytearray) -> bool:
        # Every delta of a fast stream is not looked at: it would take the CPU from what is measured.
        return SAW_SECRET.encode() in answer and GIVEAWAYS[0] in answer

    def _has_placeholders(self, said: bytes) -> bool:
        """Whether it is the model's text, with something short where the address and the card were."""
        if not (said.startswith(self._before) and said.endswith(self._after)):
            return False
        middle = said[len(self._before) : len(said) - len(self._after)]
        address, between, card = middle.partition(self._between)
        return bool(between) and all(0 < len(each) <= _LONGEST_PLACEHOLDER for each in (address, card))
