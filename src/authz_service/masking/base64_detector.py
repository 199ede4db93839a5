"""Finds values in base64: of a run that is base64 of ASCII text, the characters that say the value."""

from __future__ import annotations

from base64 import b64decode
from functools import cache
from typing import Protocol

from authz_service.masking.engine import Regex, compile_prefixes, compile_regex
from authz_service.masking.finding import Finding
from authz_service.masking.prefix import prefix_pattern
from authz_service.masking.steps import Span, Step

# Four characters that say three bytes of ASCII text, with tabs and line ends. RFC 4648 4, and 5 for URLs.
_FIRST = "[CDI-Za-f]"
_SECOND = "[AC-HQS-Xgi-nwyz0-3]"
_THIRD = "[ABEFIJMNQRUVYZcdghklopstwx014589]"
_ANY = "[A-Za-z0-9+/_-]"
_QUANTUM = f"{_FIRST}{_SECOND}{_THIRD}{_ANY}"

_SHORTEST = 4
"""Quanta of a run that is looked into: twelve bytes."""

_PATTERN = rf"(?:{_QUANTUM}){{{_SHORTEST},}}(?:{_FIRST}{_SECOND}(?:{_THIRD}=?|={{0,2}}))?"

LONGEST = 8192
"""Characters of a run that are looked into (an RSA key of 4,096 bits has 4,400); so much a stream may hold
back."""

LAYERS = 3
"""How often a text may be encoded one over the other."""

_LEAD = 3
"""Characters of the alphabet before the text begins, at most, as after `x` in `xSGVsbG8`."""

_STANDARD = bytes.maketrans(b"-_", b"+/")
_ALPHABET = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/_-")


class Decoded(Protocol):
    """What is asked about a run's text."""

    entities: frozenset[str]

    def scan(self, text: str) -> tuple[Finding, ...]: ...


class Base64Detector:
    """Runs of base64 at whose beginning, or up to three characters later, text begins.

    What comes after the first byte that is no ASCII text is not looked at.
    """

    family = "base64"
    lookback = _LEAD + 1

    def __init__(self, within: Decoded) -> None:
        self.entities = within.entities
        self.sign = f"(?:{_QUANTUM}){{{_SHORTEST}}}"
        self.prefixes = prefix_pattern(_PATTERN)
        self._within = within
        self._matches, self._live, self._ends = _compiled(self.prefixes)

    def step(self, window: bytes, at: int, *, is_last: bool, is_inside: bool = False) -> Step:
        """See `Detector.step`."""
        spans: list[Span] = []
        live = len(window) if is_last else self.live(window, at)
        while (match := self._matches.search(window, at)) is not None and match[0] < live:
            start, end = match
            if _is_within_run(window, start):
                at = self._run_end(window, start)
            else:
                spans += self._decoded(window, start, min(end, start + LONGEST))
                at = start + 1
            if at > live:
                live = self.live(window, at)
        return Step(tuple(spans), at=at, settled=live, keep=live)

    def live(self, window: bytes, at: int) -> int:
        """The first run that may still become one, or grow, and is not as long as one may be."""
        while (match := self._live.search(window, at)) is not None and match[0] < len(window):
            if _is_within_run(window, match[0]):
                at = self._run_end(window, match[0])
            elif len(window) - match[0] > LONGEST:
                at = match[0] + 1
            else:
                return match[0]
        return len(window)

    def _run_end(self, window: bytes, at: int) -> int:
        end = self._ends.search(window, at)
        return len(window) if end is None else end[0]

    def _decoded(self, window: bytes, start: int, end: int) -> list[Span]:
        """The values that a run says, on the characters that say them."""
        run = window[start:end].rstrip(b"=").translate(_STANDARD)
        text = b64decode(run + b"=" * (-len(run) % 4))
        return [_on_run(finding, start, end, len(text)) for finding in self._within.scan(text.decode())]


@cache  # by each layer
def _compiled(prefixes: str) -> tuple[Regex, Regex, Regex]:
    return compile_regex(_PATTERN), compile_prefixes(prefixes), compile_regex(r"[^A-Za-z0-9+/_-]")


def _is_within_run(window: bytes, at: int) -> bool:
    """Whether a run has begun so long before that no text begins here."""
    return at > _LEAD and all(byte in _ALPHABET for byte in window[at - _LEAD - 1 : at])


def _on_run(found: Finding, start: int, end: int, length: int) -> Span:
    """The first character that has a bit of the finding, and the last; padding belongs to the end."""
    last = end if found.end == length else start + -(-found.end * 4 // 3)
    return Span(start + found.start * 4 // 3, last, found.entity, found.value.encode())
