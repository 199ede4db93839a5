"""Whether what was read is what it is declared as: JSON, and SQLite's columns, hold anything."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from functools import cache
from types import UnionType
from typing import Any, get_args, get_origin, get_type_hints

Check = Callable[[Any], bool]

LATEST = 253_402_300_800_000_000
"""Microseconds from the epoch to the year 10000, which no timestamp of ours can say."""
MOST = 2**32
"""What counts are below: messages have no larger ones."""
APART = {"zones", "number", "expires_at"}
"""Fields that nobody is shown, and whose numbers may be of any size."""


def require_declared(found: object) -> None:
    """Raise `TypeError` where a field of a dataclass, however deep, is not what it is declared as.

    Counts and seconds have to be of a size that a message can say.
    """
    kind: Any = type(found)
    if not _check_of(kind)(found):
        raise TypeError("a field is not what it is declared as")


@cache
def _check_of(kind: Any) -> Check:
    if is_dataclass(kind):
        return _fields_of(kind)
    if kind is Any:
        return lambda value: True
    if kind is int:
        return lambda value: type(value) is int and 0 <= value < MOST
    if kind is float:
        return lambda value: type(value) in (int, float) and 0 <= value < LATEST / 1_000_000
    if isinstance(kind, type):
        return lambda value: isinstance(value, kind)
    return _composed(get_origin(kind), [_check_of(of) for of in get_args(kind) if of is not Ellipsis], kind)


def _composed(origin: Any, checks: list[Check], kind: Any) -> Check:
    if origin is UnionType:
        return lambda value: any(check(value) for check in checks)
    if origin is tuple and Ellipsis in get_args(kind):
        return lambda value: isinstance(value, tuple) and all(map(checks[0], value))
    if origin is tuple:
        return lambda value: (
            isinstance(value, tuple)
            and len(value) == len(checks)
            and all(check(one) for check, one in zip(checks, value, strict=True))
        )
    if origin is Mapping:
        of_key, of_value = checks
        return lambda value: (
            isinstance(value, Mapping) and all(map(of_key, value)) and all(map(of_value, value.values()))
        )
    raise AssertionError(f"nothing says how to check {kind}")


def _fields_of(kind: Any) -> Check:
    hints = get_type_hints(kind)
    checks = [(field.name, _check_of(hints[field.name])) for field in fields(kind) if field.name not in APART]
    return lambda value: (
        isinstance(value, kind) and all(check(getattr(value, name)) for name, check in checks)
    )
