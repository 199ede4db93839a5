"""How the numbers of a JSON document are read, and what is found in one."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from decimal import Decimal

from authz_service.masking.finding import Finding

_SMALL_EXPONENT = 2
"""Digits of an exponent: beyond, numbers that are written out are longer than anything that is looked for."""
_EXACT = 15
"""Digits of a decimal up to which a double, written out, is that decimal."""
_SMALL = 1e40


def written_out(token: str) -> str:
    """A number without its exponent, `4.1e3` as `4100`; any other token as it is.

    Where a reader that has doubles reads another number than one that has decimals, what each reads is in a
    line of its own, the decimal first.
    """
    if token[:1] not in "-0123456789":
        return token
    mantissa, has_exponent, exponent = token.lower().partition("e")
    is_small = len(exponent.lstrip("+-0")) <= _SMALL_EXPONENT
    exact = f"{Decimal(token):f}" if has_exponent and is_small else token
    if len(mantissa) <= _EXACT:
        return exact
    double = float(token)
    if not abs(double) < _SMALL:
        return exact
    rounded = Decimal(repr(double))
    is_same = is_small and Decimal(token) == rounded
    return exact if is_same else f"{exact}\n{rounded:f}"


def said_by(number: float) -> str:
    """The digits that somebody may read in a number of a document; see `written_out`."""
    return written_out(getattr(number, "token", repr(number)))


def readings(said: str) -> list[str]:
    """What each reader has of a number of which `written_out` made `said`; as a decimal first."""
    return said.split("\n")


def found_in_number(said: str, scan: Callable[[str], Iterable[Finding]]) -> tuple[Finding, ...]:
    """What is found in any reading of a number, each entity type once.

    A finding has all of `said`: with a part of it replaced, or one reading, the value could still be read.
    """
    values = {finding.entity: finding.value for reading in readings(said) for finding in scan(reading)}
    return tuple(Finding(entity, 0, len(said), value=value) for entity, value in sorted(values.items()))
