"""Characters that people read as ASCII, or do not see: what they are folded to.

Compatibility forms (NFKC: full-width, mathematical, circled, ligatures, odd spaces) and digits of all
scripts as Unicode says; letters of Cyrillic, Greek, Armenian and Latin that look like ASCII ones, and
those in discs and boxes, by a list. What is not seen by itself is left out: control and format
characters, variation selectors, fillers, and marks that combine with what stands before them.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
from string import ascii_uppercase
from typing import Final

_LOOK_ALIKE = dict(
    zip(
        "\u0430\u0441\u0501\u0435\u04bb\u0456\u0458\u043e\u0440\u051b\u0455\u051d\u0445\u0443"
        "\u0410\u0412\u0421\u0415\u041d\u0406\u0408\u041a\u041c\u041e\u0420\u0405\u0422\u0425\u0423"
        "\u0391\u0392\u0395\u0396\u0397\u0399\u039a\u039c\u039d\u039f\u03a1\u03a4\u03a5\u03a7"
        "\u03b1\u03b9\u03ba\u03bf\u03c1\u03bd\u03c5\u03c7\u0131\u0251\u0261\u2212\u2044\u3002\u04cf"
        "\u0570\u0578\u057d\u0585\u0581\u0566"
        "\u1d00\u0299\u1d04\u1d05\u1d07\ua730\u0262\u029c\u026a\u1d0a\u1d0b\u029f\u1d0d\u0274\u1d0f\u1d18"
        "\u0280\ua731\u1d1b\u1d1c\u1d20\u1d21\u028f\u1d22",
        "acdehijopqswxyABCEHIJKMOPSTXYABEZHIKMNOPTYXaikopvuxiag-/.lhnuogqabcdefghijklmnoprstuvwyz",
        strict=True,
    )
)
for _first in (0x1F150, 0x1F170, 0x1F1E6):  # in black discs and boxes; of flags
    _LOOK_ALIKE.update({chr(_first + place): letter for place, letter in enumerate(ascii_uppercase)})

_UNSEEN = "\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u2065\u3164\uffa0"
_WHITE = "\t\n\r\x85"
_CONTROLS = bytes({*range(0x20), 0x7F} - set(_WHITE.encode()))
_MARKS = frozenset(
    chr(code)
    for first, last in (
        *((0x300, 0x370), (0x483, 0x48A), (0x1AB0, 0x1B00)),
        *((0x1DC0, 0x1E00), (0x20D0, 0x2100), (0xFE20, 0xFE30)),
    )
    for code in range(first, last)
)
"""Marks that combine with whatever stands before them; other scripts have their own, which are letters."""

_RANGES = (
    (0, 0x20), (0x7F, 0x3400), (0xA000, 0xAC00), (0xF900, 0x10000), (0x10000, 0x12000), (0x16A00, 0x16B60),
    (0x1BCA0, 0x1BCA4), (0x1CCD6, 0x1CCFA), (0x1D100, 0x1D800), (0x1DF00, 0x1F200), (0x1FBF0, 0x1FBFA),
    (0xE0000, 0xE1000),
)  # fmt: skip
"""Where such characters are; ideographs, Hangul syllables and private use have none."""


def _folded(char: str) -> str | None:
    """What a character is read as; None when that is itself."""
    if char in _LOOK_ALIKE:
        return _LOOK_ALIKE[char]
    if char in _WHITE:
        return None
    if (
        char in _UNSEEN
        or char in _MARKS
        or unicodedata.category(char) in ("Cc", "Cf")
        or "VARIATION SELECTOR" in unicodedata.name(char, "")
    ):
        return ""
    digit = unicodedata.digit(char, None)
    if digit is not None:
        return str(digit)
    form = unicodedata.normalize("NFKC", char)
    form = "".join(_LOOK_ALIKE.get(part, part) for part in form)
    return form if form.isascii() and form else None


def _all() -> Iterator[tuple[str, str]]:
    for first, last in _RANGES:
        for code in range(first, last):
            form = _folded(chr(code))
            if form is not None:
                yield chr(code), form


_FORMS: Final = dict(_all())

SAME_LENGTH: Final = {ord(char): form for char, form in _FORMS.items() if len(form) == 1}
"""For `str.translate`."""

OTHER_LENGTH: Final = {char: form for char, form in _FORMS.items() if len(form) != 1}


def may_differ(text: str) -> bool:
    """Whether anything in a text may be read as something else."""
    if not text.isascii():
        return ANY.search(text) is not None
    return not text.isprintable() and len(text.encode().translate(None, _CONTROLS)) < len(text)


def _pattern(chars: Iterable[str]) -> re.Pattern[str]:
    """These characters; of those beyond U+FFFF all, as a class of single ones would be searched slowly."""
    low = "".join(re.escape(char) for char in chars if ord(char) < 0x10000)
    return re.compile(rf"[{low}]|[\U00010000-\U000E1000]")


# A class of characters has nothing that could backtrack.
ANY: Final = _pattern(_FORMS)
"""Finds what may be read as something else."""
ODD: Final = _pattern(OTHER_LENGTH)
"""Finds what may be read as more or fewer characters; all of `OTHER_LENGTH`, and others."""
