"""Lists, a page at a time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Page(Generic[Item]):
    """One page of a list, and the token of the next one ("" on the last).

    `damaged` are the ids of what belongs there and cannot be read any more.
    """

    items: tuple[Item, ...]
    next_page_token: str = ""
    damaged: tuple[str, ...] = ()
