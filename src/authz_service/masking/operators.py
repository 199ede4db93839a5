"""What becomes of a value that is masked: an operator makes what stands in its place."""

from __future__ import annotations

import hmac
from collections.abc import Callable, Mapping
from typing import Self

from authz_service.masking.finding import Finding
from authz_service.masking.placeholders import Reversible

Operator = Callable[[str, str], str]
"""From an entity type and a value to what stands in its place: ASCII that JSON needs not escape.

The value is empty where it goes out before its end is known (a private key in a stream), and then in
whole texts too.
"""

_PURPOSE = b"authz mask 1"
_LETTERS = bytes.maketrans(b"0123456789abcdef", b"abcdefghijklmnop")
_GAPS = str.maketrans("", "", " -\u00a0\u202f\u2010\u2011\u2012\u2013\u2014\u2015")
_KEPT = 4
_SHORTEST = 9
"""Letters and digits of a value of which the last four may be shown."""


def by_type(entity: str, _value: str) -> str:
    """`[TYPE]`."""
    return f"[{entity}]"


def partial(entity: str, value: str) -> str:
    """`[TYPE:1111]` with the last four letters and digits; `[TYPE]` for a value with less than nine."""
    shown = [char for char in value if char.isascii() and char.isalnum()]
    if len(shown) < _SHORTEST:
        return by_type(entity, value)
    return f"[{entity}:{''.join(shown[-_KEPT:])}]"


def drop(_entity: str, _value: str) -> str:
    """Nothing."""
    return ""


def keyed_hash(key: bytes) -> Operator:
    """`[TYPE:abcdefghijklmnop]`: the same for the same value, and nothing to guess it by without the key.

    64 bits of HMAC-SHA256 (RFC 2104), in letters, so that no number is found in it. Groups of digits
    and the case of an e-mail address make no difference. Raises ValueError for less than 32 bytes.
    """
    if len(key) < 32:
        raise ValueError(f"a key for masks needs at least 32 bytes, got {len(key)}")
    derived = hmac.digest(key, _PURPOSE, "sha256")

    def operator(entity: str, value: str) -> str:
        if not value:
            return by_type(entity, value)
        message = f"{entity}\0{_same(entity, value)}".encode()
        digest = hmac.digest(derived, message, "sha256")[:8].hex().encode().translate(_LETTERS)
        return f"[{entity}:{digest.decode()}]"

    return operator


def _same(entity: str, value: str) -> str:
    digits = value.translate(_GAPS)
    if digits.isdigit():
        return digits
    return value.casefold() if entity == "EMAIL_ADDRESS" else value


class Masks(frozenset[str]):
    """The entity types that are masked, each with its operator.

    Of those that are `reversible`, a value in a request gets a placeholder of its own; where it cannot
    (what reviewers are shown, what is noise), the operator applies.
    """

    operators: Mapping[str, Operator]
    reversible: Reversible

    def __new__(cls, operators: Mapping[str, Operator], reversible: Reversible | None = None) -> Self:
        """From entity types to their operators; `reversible` are some of them."""
        masks = super().__new__(cls, operators)
        masks.operators = dict(operators)
        masks.reversible = dict(reversible or {})
        return masks

    def replacement(self, finding: Finding) -> str:
        """What stands in the place of a finding; in quotes where a number or literal of JSON stood."""
        made = self.operators[finding.entity](finding.entity, finding.value)
        return f'"{made}"' if finding.bare else made
