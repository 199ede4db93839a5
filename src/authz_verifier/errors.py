"""What cannot be read, and what cannot be verified at all."""

from __future__ import annotations

DAMAGE = (ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RecursionError)
"""What comes of reading something else than was written, in whatever way it was changed."""


class Cut(ValueError):
    """A file ends before what it has is whole."""

    def __str__(self) -> str:
        return "it is cut"


class CannotVerify(Exception):
    """There is nothing that could be verified: no export, no key, a format that is not known."""


def said(error: Exception) -> str:
    """An error in a word: never with what a record holds."""
    if isinstance(error, OSError):
        return error.strerror or "error"
    return str(error) if isinstance(error, Cut) else type(error).__name__
