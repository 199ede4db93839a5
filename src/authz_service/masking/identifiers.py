"""Validators for identifiers of letters and digits: alone between other text, and with the right check."""

from __future__ import annotations

from collections.abc import Callable

from stdnum.exceptions import ValidationError

from authz_service.masking.validators import Validator, Verdict, is_alnum, is_digit

_ESCAPES = b"bfnrt"
_NRIC_WEIGHTS = (2, 7, 6, 5, 4, 3, 2)
_NRIC_LETTERS = {
    "S": "JZIHGFEDCBA",
    "T": "GFEDCBAJZIH",
    "F": "XWUTRQPNMLK",
    "G": "RTQPNMLKXWU",
    "M": "KLJNPQRTUWX",
}
_NINO_UNUSED = frozenset({"BG", "GB", "KN", "NK", "NT", "TN", "ZZ"})


def checked(is_valid: Callable[[str], bool]) -> Validator:
    """A match with no letter or digit beside it that `is_valid`. It must be of bounded length."""

    def judge(text: bytes, start: int, end: int) -> Verdict:
        if not stands_alone(text, start, end) or not is_valid(text[start:end].decode()):
            return Verdict(None, start + 1)
        return Verdict(end, end)

    return judge


def stands_alone(text: bytes, start: int, end: int) -> bool:
    """Whether no letter or digit goes on on either side; the `n` of a quoted `\\\\n` before is none."""
    if is_alnum(text, end):
        return False
    if not is_alnum(text, start - 1):
        return True
    return start >= 2 and text[start - 1] in _ESCAPES and text[start - 2] == ord("\\")


def by_library(validate: Callable[[str], object]) -> Callable[[str], bool]:
    """Whether a `validate` of python-stdnum accepts a number."""

    def is_valid(value: str) -> bool:
        try:
            validate(value)
        except ValidationError:
            return False
        return True

    return is_valid


def is_always(_value: str) -> bool:
    """For what has no check digit."""
    return True


def is_nric(value: str) -> bool:
    """Singapore's NRIC and FIN: a weighted sum of the digits, offset by series, chooses the letter."""
    total = sum(int(digit) * weight for digit, weight in zip(value[1:8], _NRIC_WEIGHTS, strict=True))
    return value[8] == _NRIC_LETTERS[value[0]][(total + 3 * (value[0] == "M")) % 11]


def is_nino(value: str) -> bool:
    """A National Insurance number's prefix that is in use (HMRC NIM39110)."""
    return value[:2] not in _NINO_UNUSED


def is_dea(value: str) -> bool:
    """A DEA registration: the first, third and fifth digit, and twice the others, end in the seventh."""
    digits = [int(digit) for digit in value[2:]]
    return (sum(digits[0:6:2]) + 2 * sum(digits[1:6:2])) % 10 == digits[6]


def is_medicare(digits: str) -> bool:
    """An Australian Medicare number: the ninth digit is the weighted sum of the eight before it."""
    total = sum(int(digit) * weight for digit, weight in zip(digits, (1, 3, 7, 9, 1, 3, 7, 9), strict=False))
    return digits[0] in "23456" and total % 10 == int(digits[8])


def last(count: int) -> Validator:
    """The last `count` bytes of a match: what stands before only says what they are."""
    return lambda _text, _start, end: Verdict(end, end, end - count)


def between_parts(text: bytes, start: int, end: int) -> Verdict:
    """`user:password` of a URL that begins with `://` and ends with `@`."""
    return Verdict(end - 1, end, start + 3)


def not_after_digit(text: bytes, start: int, end: int) -> Verdict:
    """The match as it is, unless a digit goes on before it."""
    return Verdict(None, start + 1) if is_digit(text, start - 1) else Verdict(end, end)
