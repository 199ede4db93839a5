"""Numbers of a JSON document: which values are some, and from which on one may tell something."""

from __future__ import annotations

from typing import TypeGuard

TELLING = 1_000_000
"""Numbers from which on one is looked at: below are counts, sizes, settings and timings."""

YEAR_5000 = 95_617_584_000
"""In seconds since the epoch, as times of creation are: they tell nothing."""

_NUMBER = (int, float)


def is_number(value: object) -> TypeGuard[int | float]:
    """Whether a value of a JSON document is a number."""
    return isinstance(value, _NUMBER) and not isinstance(value, bool)


def is_numbers(value: object) -> bool:
    """Whether it is a list with numbers in it, which may be tokens or bytes."""
    return isinstance(value, list) and any(is_number(item) for item in value)
