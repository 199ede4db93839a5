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
_TELLING = 1_000_000


def written_out(token: str) -> str:
    """A number without its exponent, `4.1e3` as `4100`; any other token as it is.

    Where a reader that has doubles could read other digits before the point than one that has decimals,
    what each reads is in a line of its own, the decimal first.
    """
    if token[:1] not in "-0123456789":
        return token
    mantissa, has_exponent, exponent = token.lower().partition("e")
    is_small = has_exponent and len(exponent.lstrip("+-0")) <= _SMALL_EXPONENT
    exact = f"{Decimal(token):f}" if is_small else token
    if len(mantissa) <= _EXACT:
        return exact
    double = float(token)
    if not abs(double) < _SMALL:
        return exact
    rounded = f"{Decimal(repr(double)):f}"
    is_same = exact.partition(".")[0] == rounded.partition(".")[0]
    return exact if is_same else f"{exact}\n{rounded}"


def said_by(number: float) -> str:
    """The digits that somebody may read in a number of a document; see `written_out`.

    A small one is as it is: it has too few digits before its point to tell anything.
    """
    token: str = getattr(number, "token", repr(number))
    return token if abs(number) < _TELLING else written_out(token)


def readings(said: str) -> list[str]:
    """What each reader has of a number of which `written_out` made `said`; as a decimal first."""
    return said.split("\n")


def found_in_number(said: str, scan: Callable[[str], Iterable[Finding]]) -> tuple[Finding, ...]:
    """What is found in any reading of a number, each entity type once.

    A finding has all of `said`: with a part of it replaced, or one reading, the value could still be read.
    """
    values = {finding.entity: finding.value for reading in readings(said) for finding in scan(reading)}
    return tuple(Finding(entity, 0, len(said), value=value) for entity, value in sorted(values.items()))
