"""What is known about an entity type: how its values look, how sure a match is, what stands before them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from authz_service.masking.validators import Validator, as_matched

THRESHOLD = 0.5
"""The score from which on a match counts, unless the operator says so."""

CONTEXT = 0.35
"""What a context word before a match adds to its score."""


DIGITS, LETTERS, LONG, TOKENS, EMAIL, CRYPTO = "digits", "letters", "long", "tokens", "email", "crypto"
"""Families: patterns that are searched for in one pass. A pass takes the longer the more the automata of its
patterns multiply; these don't, as was measured. Tokens begin with something telling, so they may be loose."""


@dataclass(frozen=True, slots=True)
class Pattern:
    """An RE2 pattern whose matches the validator judges; `sign` occurs in every match."""

    pattern: str
    validator: Validator = as_matched
    score: float = 1.0
    sign: str | None = None
    family: str = LETTERS


@dataclass(frozen=True, slots=True)
class Number:
    """Digits with a check: `digits` of them, in groups or not, that `is_valid` accepts."""

    digits: int
    is_valid: Callable[[str], bool]
    score: float = 0.3


@dataclass(frozen=True, slots=True)
class Region:
    """From an opening marker to its closing one, of any length; the end may never come."""

    opening: str
    closing: str
    score: float = 1.0


@dataclass(frozen=True, slots=True)
class EntityType:
    """`finds` and `checked` say in words what `shapes` match and what else must hold.

    A shape's score is how sure a match alone is, from 0 (any number) to 1 (cannot be anything else). One
    of the `context` words before it adds `CONTEXT`.
    """

    name: str
    finds: str
    shapes: tuple[Pattern | Number | Region, ...]
    checked: str = ""
    context: tuple[str, ...] = ()
