"""RE2 with the settings that all detectors share: UTF-8 bytes, leftmost-first, linear time.

A stream asks RE2 several things about every piece of text, so its objects are used as they are: the
wrapper that makes them look like Python's `re` takes longer than the search.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import re2

_RE2 = re2._re2.RE2
_UNANCHORED = _RE2.Anchor.UNANCHORED

_MEMORY = 16 << 20
"""Bytes that one compiled pattern may use for its automaton; beyond them RE2 goes on, more slowly."""

_GATE_MEMORY = (16 << 20, 64 << 20)
"""The larger one for patterns that do not fit into the smaller together."""

Match = tuple[int, int]
"""Where a match begins and ends, in bytes."""


class Regex:
    """A compiled pattern. What stands before `pos` is seen by `\\b` and `^`, and is never matched."""

    __slots__ = ("_match",)

    def __init__(self, pattern: str, memory: int = _MEMORY) -> None:
        compiled = _RE2(pattern.encode(), _options(memory))
        if not compiled.ok():
            raise re2.error(compiled.error())
        self._match = compiled.Match

    def search(self, text: bytes, pos: int = 0) -> Match | None:
        """The leftmost match at or after `pos`, which is within the text or at its end."""
        found: Match = self._match(_UNANCHORED, text, pos, len(text))[0]
        return None if found[0] < 0 else found


def compile_regex(pattern: str) -> Regex:
    """Compile for UTF-8 bytes; raises `re2.error`."""
    return Regex(pattern)


def compile_prefixes(pattern: str, memory: int = _MEMORY) -> Regex:
    """Compile a pattern that is to match up to the end of the text.

    RE2 runs such a pattern backwards from the end, and stops where it dies: the cost is that of what
    is alive, not that of the text.
    """
    return Regex(rf"(?:{pattern})\z", memory)


class Prefixes:
    """Several patterns of `compile_prefixes`, each run over the same text."""

    def __init__(self, patterns: Sequence[Regex]) -> None:
        self._matches = tuple(pattern._match for pattern in patterns)

    def first(self, text: bytes, pos: int) -> int:
        """Where the first match of any begins, at or after `pos`; the length of the text where none does."""
        first = end = len(text)
        for match in self._matches:
            start: int = match(_UNANCHORED, text, pos, end)[0][0]
            if 0 <= start < first:
                if start <= pos:
                    return start
                first = start
        return first


class Gate:
    """Says in one pass which of many patterns occur in a text, without places."""

    def __init__(self, patterns: Sequence[str]) -> None:
        self._all = frozenset(range(len(patterns)))
        self._witness = len(patterns)
        try:
            compiled = _compile_set(patterns, _GATE_MEMORY[0])
        except re2.error:
            compiled = _compile_set(patterns, _GATE_MEMORY[1])
        self.match: Callable[[bytes], list[int]] = compiled._set.Match
        """RE2's answer for a text; `said` tells what it means."""
        self.closed = [self._witness]
        """Its answer where no pattern occurs."""

    def hits(self, text: bytes) -> frozenset[int]:
        """Indexes of patterns that occur."""
        return self.said(self.match(text))

    def said(self, found: list[int]) -> frozenset[int]:
        """What an answer of RE2's means.

        It answers "none" when its automaton finds no memory, which would open the gate; the witness
        matches every text, so that an answer without it is no answer, and all patterns are tried.
        """
        return frozenset(found) - {self._witness} if self._witness in found else self._all


def _compile_set(patterns: Sequence[str], memory: int) -> re2.Set:
    """The patterns, and a witness that matches every text."""
    compiled = re2.Set.SearchSet(_options(memory))
    for pattern in (*patterns, r"\A"):
        compiled.Add(pattern.encode())
    compiled.Compile()
    return compiled


def _options(memory: int) -> re2.Options:
    options = re2.Options()
    options.max_mem = memory
    options.log_errors = False
    options.never_capture = True
    return options
