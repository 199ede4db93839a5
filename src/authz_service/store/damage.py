"""What is stored and is not what was stored: what reading it raises, and how that is said."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from authz_service.core.ports import DAMAGED
from authz_service.errors import Unavailable

DAMAGE = (ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RecursionError)
"""What reading a row raises that somebody, or something, has altered."""


def damaged(what: str) -> Unavailable:
    """What is said of a thing that cannot be read."""
    return Unavailable(f"what is stored of {what} is damaged", code=DAMAGED)


@contextmanager
def reading(what: str) -> Iterator[None]:
    """Raise `Unavailable` (`record_damaged`) for whatever is wrong with what is read in here.

    For reading alone: a fault of ours in what changes something must not pass for damage.
    """
    try:
        yield
    except DAMAGE as error:
        raise damaged(what) from error
