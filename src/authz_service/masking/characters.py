"""Between characters, which everybody else counts, and the UTF-8 bytes that RE2 sees."""

from __future__ import annotations

from collections.abc import Iterable

from authz_service.errors import Unreadable

LOOKBACK = 2
"""Characters before a value that every detector may look at; one that needs more says so."""

_LONGEST = 4
"""Bytes of a character."""


def encode(text: str) -> bytes:
    """UTF-8; raises `Unreadable` for a lone surrogate, which no UTF-8 can say."""
    try:
        return text.encode()
    except UnicodeEncodeError as cause:
        message = "The text has a lone surrogate (U+D800 to U+DFFF), which is no character."
        raise Unreadable(message, code="lone_surrogate") from cause


def count(data: bytes) -> int:
    """Characters in whole UTF-8 sequences."""
    return len(data) if data.isascii() else len(data.decode())


def offsets(data: bytes, places: Iterable[int]) -> dict[int, int]:
    """For each byte offset its character offset, in one pass."""
    if data.isascii():
        return {place: place for place in places}
    known: dict[int, int] = {}
    last = characters = 0
    for place in sorted(set(places)):
        characters += count(data[last:place])
        known[place] = characters
        last = place
    return known


def back(data: bytes, at: int, steps: int) -> int:
    """Where the `steps` characters before `at`, where one begins, do so; 0 when there are fewer."""
    start = max(0, at - steps)
    if data[start:at].isascii():
        return start
    start = max(0, at - _LONGEST * (steps + 1))
    while start < at and 0x80 <= data[start] < 0xC0:
        start += 1
    before = data[start:at].decode()
    return at - len(before[max(0, len(before) - steps) :].encode())
