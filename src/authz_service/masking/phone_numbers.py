"""Phone numbers as `phonenumbers` knows them: each country's lengths and ranges."""

from __future__ import annotations

from functools import cache, lru_cache
from typing import Final

import phonenumbers

from authz_service.masking.numbering_plans import NationalPlans, digits_of, may_be_international
from authz_service.masking.patterns import GAP
from authz_service.masking.validators import Verdict, is_alnum, is_digit

_BETWEEN = rf"(?:{GAP}|[().\/]){{0,2}}"
INTERNATIONAL = rf"\+[(]?[1-9](?:{_BETWEEN}[0-9]){{6,14}}"
NATIONAL = rf"[(]?[0-9](?:{_BETWEEN}[0-9]){{6,12}}"

_SHORTEST = 7
_TRIED = 3
"""Ends that are tried: a number's last groups may belong to something else."""

_REGIONS: Final = ("US", "GB", "DE", "FR", "ES", "IT", "IN", "BR", "AU")
"""Whose numbers are known without their country's code."""


def international(text: bytes, start: int, end: int) -> Verdict:
    """A number with its country's code, to the last group of digits that makes one."""
    if is_alnum(text, start - 1):
        return Verdict(None, start + 1)
    for stop in _ends(text, start, end):
        if _is_international(text[start:stop]):
            return Verdict(stop, stop)
    return Verdict(None, start + 1)


def national(text: bytes, start: int, end: int) -> Verdict:
    """A number as it is dialled within one of the countries that we know."""
    first = start + (text[start : start + 1] == b"(")
    rest = first
    while is_digit(text, rest):
        rest += 1
    if is_alnum(text, start - 1) or text[start - 1 : start] == b"+":
        return Verdict(None, rest)
    for stop in _ends(text, start, end):
        if _is_national(text[start:stop]):
            return Verdict(stop, stop)
    return Verdict(None, rest)


def _is_international(number: bytes) -> bool:
    """Whether it is a number that its country may have given out."""
    return may_be_international(digits_of(number)) and _is_valid(number, None)


def _is_national(number: bytes) -> bool:
    """Whether one of the countries that we know may have given it out."""
    return any(_is_valid(number, region) for region in _plans().regions(digits_of(number)))


@cache
def _plans() -> NationalPlans:
    return NationalPlans(_REGIONS)


@lru_cache(maxsize=4096)
def _is_valid(number: bytes, region: str | None) -> bool:
    try:
        return phonenumbers.is_valid_number(phonenumbers.parse(number.decode(), region))
    except phonenumbers.NumberParseException:
        return False


def _ends(text: bytes, start: int, end: int) -> list[int]:
    """Where groups of digits end that make it long enough, the last first; each takes long to judge."""
    ends: list[int] = []
    digits = 0
    for at in range(start, end):
        if is_digit(text, at):
            digits += 1
            if digits >= _SHORTEST and not is_alnum(text, at + 1):
                ends.append(at + 1)
    return ends[: -_TRIED - 1 : -1]
