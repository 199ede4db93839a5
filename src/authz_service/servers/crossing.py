"""Which headers go on, either way: those on a list whose values can be read and have no finding in them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from authz_service.framing.multipart import without_boundary
from authz_service.masking.seams import Scanner

LONGEST_REMEMBERED = 256
MOST_REMEMBERED = 4096
"""Values: most callers and models send the same few again and again."""


@dataclass(slots=True)
class Crossing:
    """Judges header values like text, by whichever detectors are in force."""

    _scanner: Scanner | None = None
    _is_clean: dict[str, bool] = field(default_factory=dict)

    def of(self, headers: Mapping[str, str], allowed: frozenset[str], scanner: Scanner) -> dict[str, str]:
        """Those of `headers` (names in lower case) that go on."""
        if scanner is not self._scanner:
            self._scanner = scanner
            self._is_clean = {}
        known = self._is_clean
        crossing = {}
        for name, value in headers.items():
            if name in allowed:
                # One made-up boundary in a thousand has the digits of a card.
                judged = without_boundary(value) if name == "content-type" else value
                is_clean = known.get(judged)
                if self._look(judged, scanner) if is_clean is None else is_clean:
                    crossing[name] = value
        return crossing

    def _look(self, value: str, scanner: Scanner) -> bool:
        is_clean = "\ufffd" not in value and not scanner.scan(value)
        if len(value) <= LONGEST_REMEMBERED:
            if len(self._is_clean) >= MOST_REMEMBERED:
                self._is_clean.clear()
            self._is_clean[value] = is_clean
        return is_clean
