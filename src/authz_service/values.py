"""What all values are declared with that are made many times for each exchange."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeVar, dataclass_transform

Class = TypeVar("Class")


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def value(cls: type[Class]) -> type[Class]:
    """A dataclass with slots that nobody may assign to, which the type checker alone enforces.

    Equal by its fields, and hashable where they are. `dataclass(frozen=True)` sets each field through a
    call, which makes a value of four fields cost more than three times as much to build.
    """
    return dataclass(slots=True, unsafe_hash=True)(cls)
