"""What a pattern cannot say: checksums, and the digits beside a match.

Each validator looks at one match in its surroundings and gives a `Verdict`. A match that fails may
hold a true value: its shorter ends are tried here, the longest first; its later starts are tried by
whoever goes on from `resume`. A match is shown only once the byte after it is known.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from typing import NamedTuple

_DIGITS = frozenset(b"0123456789")
_HEX = frozenset(b"0123456789abcdefABCDEF")
_RUN = re.compile(rb"[0-9]*+")
_GROUP = re.compile(rb"[0-9]++")
_ALNUM = frozenset(b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")

_LOCAL_PUNCTUATION = frozenset(b".%+'-")

_DOUBLED = bytes(2 * digit - 9 * (digit > 4) for digit in range(10)) + bytes(246)
_VALUES = bytes((byte - ord("0")) % 256 for byte in range(256))
_AS_DIGITS = {byte: str(int(chr(byte), 36)) for byte in _ALNUM}
_SHORTEST_CARD = 13
_SMALLEST_GROUP = 3
_CARD_BEGINS = tuple(b"3 4 5 6 22 23 24 25 26 27 81 82 97".split())
"""Issuers of today (ISO/IEC 7812-1); not 1, as milliseconds since 1970 do."""

IBAN_LENGTHS = {
    country: int(length)
    for length, countries in {
        15: "NO",
        16: "BE",
        18: "DK FI FK FO GL NL SD",
        19: "MK SI",
        20: "AT BA EE KZ LT LU MN XK",
        21: "CH HR LI LV",
        22: "BG BH CR DE GB GE IE ME RS VA",
        23: "AE GI IL IQ OM SO TL",
        24: "AD CZ ES MD PK RO SA SE SK TN VG",
        25: "LY PT ST",
        26: "IS TR",
        27: "BI DJ FR GR IT MC MR SM",
        28: "AL AZ BY CY DO GT HN HU LB NI PL SV",
        29: "BR EG PS QA UA",
        30: "JO KW MU YE",
        31: "MT SC",
        32: "LC",
        33: "RU",
    }.items()
    for country in countries.split()
}
"""Characters of an IBAN for each country of the SWIFT registry."""


class Verdict(NamedTuple):
    """`end` of the value that begins where the match begins, or None; then go on at `resume`.

    That may be within the value, where a later one could begin and reach beyond it.
    """

    end: int | None
    resume: int
    start: int | None = None
    """Where the value begins, when that is after the match does."""


Validator = Callable[[bytes, int, int], Verdict]
"""Judges the match [start, end) of a text."""


def as_matched(_text: bytes, _start: int, end: int) -> Verdict:
    """The match as it is."""
    return Verdict(end, end)


def email(text: bytes, start: int, end: int) -> Verdict:
    """An address without the quotes, dots and hyphens that stand before it."""
    first = start
    while text[first] in _LOCAL_PUNCTUATION:
        first += 1
    return Verdict(None, first) if text[first] == ord("@") else Verdict(end, end, first)


def card(text: bytes, start: int, end: int) -> Verdict:
    """Luhn (ISO/IEC 7812-1 annex B) over 13 to 19 digits in groups of three and more.

    Not within a longer run of digits, nor after a decimal point. The last group may be shorter. One in
    ten sequences passes Luhn by chance, so the next group may begin a card too, though one was found.
    """
    rest = after_digits(text, start)
    if rest - start < _SMALLEST_GROUP or is_digit(text, start - 1):
        return Verdict(None, rest)
    if text[start - 1 : start] in (b".", b",") and is_digit(text, start - 2):
        return Verdict(None, rest)
    if not text.startswith(_CARD_BEGINS, start):
        return Verdict(None, rest)
    digits = b""
    ends: list[tuple[int, int]] = []
    for group in _GROUP.finditer(text, start, end):
        first, stop = group.span()
        digits += group[0]
        if stop == end and is_digit(text, end):
            break
        if len(digits) >= _SHORTEST_CARD:
            ends.append((stop, len(digits)))
        if stop - first < _SMALLEST_GROUP:
            break
    values = digits.translate(_VALUES)
    for stop, length in reversed(ends):
        if is_luhn(values[:length]):
            return Verdict(stop, rest)
    return Verdict(None, rest)


def iban(text: bytes, start: int, end: int) -> Verdict:
    """Mod 97 (ISO 13616-1) over as many characters as the country's IBANs have."""
    length = IBAN_LENGTHS.get(text[start : start + 2].decode().upper())
    if length is None:
        return Verdict(None, start + 1)
    number = bytearray()
    for at in range(start, end):
        if text[at] in _ALNUM:
            number.append(text[at])
            if len(number) == length:
                is_valid = _is_mod_97(number)
                return Verdict(at + 1, at + 1) if is_valid else Verdict(None, start + 1)
    return Verdict(None, start + 1)


def _is_mod_97(iban: bytes | bytearray) -> bool:
    """ISO 7064's check over letters as two digits, the country and the check digits last."""
    return int("".join([_AS_DIGITS[byte] for byte in iban[4:] + iban[:4]])) % 97 == 1


def between_digits(text: bytes, start: int, end: int) -> Verdict:
    """The match as it is, unless digits go on before or after it."""
    if is_digit(text, start - 1) or is_digit(text, end):
        return Verdict(None, after_digits(text, start))
    return Verdict(end, end)


def ipv6(text: bytes, start: int, end: int) -> Verdict:
    """An address (RFC 4291 2.2) with three groups or a first one of three digits.

    Less, such as `::1` or `a::b`, is more often code (`x[::2]`, `A::B`) than an address of anybody's.
    """
    if _is_hex(text, start - 1) or (text[start - 1 : start] == b":" and _is_hex_or_colon(text, start - 2)):
        return Verdict(None, _after_hex_and_colons(text, start))
    for stop in range(end, start + 2, -1):
        if not _is_group_end(text, start, stop):
            continue
        value = text[start:stop]
        groups = value.replace(b".", b":").split(b":")
        if b"::" not in value and len(groups) not in (8, 10):
            continue
        is_telling = len(groups[0]) >= 3 or len([group for group in groups if group]) >= 3
        if is_telling and _is_ipv6(value.decode()):
            return Verdict(stop, stop)
    return Verdict(None, _after_hex_and_colons(text, start))


def is_luhn(digits: bytes | bytearray) -> bool:
    """Whether the values of these digits, the check digit last, satisfy Luhn's formula."""
    return (sum(digits[-1::-2]) + sum(digits[-2::-2].translate(_DOUBLED))) % 10 == 0


def is_digit(text: bytes, at: int) -> bool:
    """Whether an ASCII digit stands at `at`, which may be outside the text."""
    return 0 <= at < len(text) and text[at] in _DIGITS


def after_digits(text: bytes, at: int) -> int:
    """Where the digits that begin at `at` are over."""
    run = _RUN.match(text, at)
    return at if run is None else run.end()


def _is_ipv6(value: str) -> bool:
    try:
        ipaddress.IPv6Address(value)
    except ValueError:
        return False
    return True


def _is_group_end(text: bytes, start: int, stop: int) -> bool:
    """Whether an address may end here: after a group that does not go on, or after `::`."""
    if stop < len(text) and text[stop] in _ALNUM:
        return False
    return text[stop - 1] in _HEX or text[stop - 2 : stop] == b"::"


def is_alnum(text: bytes, at: int) -> bool:
    """Whether an ASCII letter or digit stands at `at`, which may be outside the text."""
    return 0 <= at < len(text) and text[at] in _ALNUM


def _is_hex(text: bytes, at: int) -> bool:
    return 0 <= at < len(text) and text[at] in _HEX


def _is_hex_or_colon(text: bytes, at: int) -> bool:
    return _is_hex(text, at) or (at >= 0 and text[at : at + 1] == b":")


def _after_hex_and_colons(text: bytes, at: int) -> int:
    while at < len(text) and _is_hex_or_colon(text, at):
        at += 1
    return at
