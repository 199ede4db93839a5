"""What numbering plans say at once about digits: most of those that are no phone number.

`phonenumbers` takes tens of microseconds to parse and check a number, for each country anew, and a text may
have a candidate at every second character. But what its `parse` takes off the digits is known beforehand: a
prefix for calls abroad, a country's code, a national prefix; and what is left of a valid number matches, from
end to end, one of the patterns that its metadata has for that country. So a plan that says no is right, and
one that does not leaves it to the library.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Final

import re2
from phonenumbers import COUNTRY_CODE_TO_REGION_CODE, PhoneMetadata

from authz_service.masking.engine import Gate, Regex, compile_regex

_OTHERS = bytes(sorted(frozenset(range(256)) - frozenset(b"0123456789")))

_KINDS: Final = (
    "fixed_line", "mobile", "toll_free", "premium_rate", "shared_cost", "voip", "personal_number", "pager",
    "uan", "voicemail",
)  # fmt: skip
"""Of which a valid number is one."""

_ANYTHING = r"\A[0-9]"

_LONGEST_CODE = 3
"""Digits of a country's code (ITU-T E.164 6.2.1)."""

_KEPT_GROUP = re.compile(r"\(\\d\{[0-9]+(?:,[0-9]+)?\}\)(?=\)\?\Z)")
"""The last group of a national prefix, which is digits that stay (Brazil's, after a carrier's code)."""


def digits_of(number: bytes) -> bytes:
    """The ASCII digits of a number as it is written."""
    return number.translate(None, _OTHERS)


def may_be_international(digits: bytes) -> bool:
    """Whether digits from a country's code on may be a valid number; False is certain."""
    if digits.startswith(b"0"):
        return False
    for length in range(1, _LONGEST_CODE + 1):
        code = int(digits[:length] or b"0")
        if code in COUNTRY_CODE_TO_REGION_CODE:
            known = _after_code(code)
            return known is None or known.search(digits[length:]) is not None
    return False


class NationalPlans:
    """The plans of some regions, for digits as they are dialled there."""

    def __init__(self, regions: Sequence[str]) -> None:
        """Raises `KeyError` for a region that nobody knows."""
        known = [_known(region) for region in regions]
        abroad = [each.international_prefix or "[^0-9]" for each in known]
        self._regions = tuple(regions)
        self._abroad = [re.compile(prefix.encode()) for prefix in abroad]
        self._gate = Gate([*map(_dialled, known), *(rf"\A(?:{prefix})[1-9]" for prefix in abroad)])

    def regions(self, digits: bytes) -> Iterator[str]:
        """Where the digits may be a valid number, in order; where no other region is, none of the others is.

        A call abroad goes to the same number from wherever its prefix is the same: one region is enough.
        """
        hits = self._gate.hits(digits)
        abroad: set[int] = set()
        for index, region in enumerate(self._regions if hits else ()):
            prefix = self._abroad[index].match(digits) if index + len(self._regions) in hits else None
            if prefix is not None and not digits.startswith(b"0", prefix.end()):
                if prefix.end() not in abroad and may_be_international(digits[prefix.end() :]):
                    yield region
                abroad.add(prefix.end())
            elif index in hits:
                yield region


def _dialled(known: PhoneMetadata) -> str:
    """What may be dialled in a region, for a number of its country: with the country's code or without."""
    prefix, code = _prefix(known), known.country_code
    if prefix is None or code is None:
        return _ANYTHING
    pattern = rf"\A(?:{code}(?:{prefix}){{0,2}}|(?:{prefix})?)(?:{_own(code)})\z"
    return pattern if _compiled(pattern) is not None else _ANYTHING


@cache
def _after_code(code: int) -> Regex | None:
    """What a valid number has after its country's code; None where that is not known."""
    main = COUNTRY_CODE_TO_REGION_CODE[code][0]
    prefix = _prefix(_known(main, code))
    return None if prefix is None else _compiled(rf"\A(?:{prefix})?(?:{_own(code)})\z")


def _compiled(pattern: str) -> Regex | None:
    try:
        return compile_regex(pattern)
    except re2.error:
        return None


def _prefix(known: PhoneMetadata) -> str | None:
    """What is taken off a national number; None where it is not only taken off."""
    prefix = known.national_prefix_for_parsing or ""
    rule = known.national_prefix_transform_rule
    if not rule:
        return prefix
    groups = re.compile(prefix).groups
    without = _KEPT_GROUP.sub("", prefix)
    return without if without != prefix and rule == rf"\{groups}" else None


def _own(code: int) -> str:
    """All valid national numbers of a country's code, which several regions may share."""
    patterns: dict[str, None] = {}
    for region in COUNTRY_CODE_TO_REGION_CODE[code]:
        known = _known(region, code)
        for kind in _KINDS:
            description = getattr(known, kind)
            if description is not None and description.national_number_pattern:
                patterns[description.national_number_pattern] = None
    return "|".join(patterns)


def _known(region: str, code: int = 0) -> PhoneMetadata:
    """What the library knows of a region; a code that is no country's (+800) is told by the code."""
    known = PhoneMetadata.metadata_for_region_or_calling_code(code, region)
    if known is None:
        raise KeyError(region)
    return known
