"""What is stored and is not what was stored: what reading it raises, and how that is said."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from authz_service.core.ports import DAMAGED
from authz_service.errors import Unavailable

DAMAGE = (ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RecursionError)
"""What reading a row raises that somebody, or something, has altered."""


class DamagedKey(Unavailable):
    """A key of the key store is damaged, so that nothing that it sealed can be opened."""


class DamagedEntry(Unavailable):
    """An entry is damaged that alone says who has an exchange: no more is recorded of this one."""


def damaged_key() -> DamagedKey:
    """What is said of what a damaged key has sealed."""
    return DamagedKey("a key of the record is damaged, so what it sealed cannot be opened", code=DAMAGED)


def damaged(what: str) -> Unavailable:
    """What is said of a thing that cannot be read."""
    return Unavailable(f"what is stored of {what} is damaged", code=DAMAGED)


def require_text(*columns: object) -> None:
    """Raise `ValueError` for one that is no text: SQLite gives back whatever was put there."""
    if not all(isinstance(column, str) for column in columns):
        raise ValueError("this is no text")


@contextmanager
def reading(what: str) -> Iterator[None]:
    """Raise `Unavailable` (`record_damaged`) for whatever is wrong with what is read in here.

    For reading alone: a fault of ours in what changes something must not pass for damage.
    """
    try:
        yield
    except DAMAGE as error:
        raise damaged(what) from error
