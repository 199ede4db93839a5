"""RE2 with the settings that all detectors share: UTF-8 bytes, leftmost-first, linear time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, cast

import re2

_MEMORY = 16 << 20
"""Bytes that one compiled pattern may use for its automaton; beyond them RE2 goes on, more slowly."""

_GATE_MEMORY = 64 << 20


class Match(Protocol):
    """The part of a match that we use, in bytes."""

    def start(self) -> int: ...
    def end(self) -> int: ...


class Regex(Protocol):
    """A compiled pattern. What stands before `pos` is seen by `\\b` and `^`, and is never matched."""

    def search(self, text: bytes, pos: int = 0) -> Match | None: ...


def compile_regex(pattern: str) -> Regex:
    """Compile for UTF-8 bytes; raises `re2.error`."""
    return cast("Regex", re2.compile(pattern.encode(), _options(_MEMORY)))


def compile_prefixes(pattern: str) -> Regex:
    """Compile a pattern that is to match up to the end of the text.

    RE2 runs such a pattern backwards from the end, and stops where it dies: the cost is that of what
    is alive, not that of the text.
    """
    return cast("Regex", re2.compile(rf"(?:{pattern})\z".encode(), _options(_MEMORY)))


class Gate:
    """Says in one pass which of many patterns occur in a text, without places."""

    def __init__(self, patterns: Sequence[str]) -> None:
        self._all = frozenset(range(len(patterns)))
        self._witness = len(patterns)
        self._set = re2.Set.SearchSet(_options(_GATE_MEMORY))
        for pattern in (*patterns, r"\A"):
            self._set.Add(pattern.encode())
        self._set.Compile()

    def hits(self, text: bytes) -> frozenset[int]:
        """Indexes of patterns that occur.

        RE2 answers "none" when its automaton finds no memory, which would open the gate; the witness
        matches every text, so that an answer without it is no answer, and all patterns are tried.
        """
        found = self._set.Match(text)
        if found is None or self._witness not in found:
            return self._all
        if len(found) == 1:
            return frozenset()
        return frozenset(found) - {self._witness}


def _options(memory: int) -> re2.Options:
    options = re2.Options()
    options.max_mem = memory
    options.log_errors = False
    options.never_capture = True
    return options
