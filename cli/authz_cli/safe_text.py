"""Makes other people's text safe to print: what a terminal would obey or hide is spelled out.

A prompt may hold escape sequences that rewrite the screen, bidirectional controls that show a sentence
in another order than the model reads it, or characters without ink that only the model sees. Each of
them becomes visible: `␛` for the controls of ASCII, `<U+202E>` for the rest. The way back is unambiguous:
signs that we would write ourselves are spelled out too when the text has them.
"""

from __future__ import annotations

import unicodedata

# Default_Ignorable_Code_Point beyond category Cf, and blanks that Unicode counts as letters or symbols.
_WITHOUT_INK = {
    *(0x034F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x180B, 0x180C, 0x180D, 0x180F, 0x2800, 0x3164, 0xFFA0),
    *range(0xFE00, 0xFE10),
    *range(0xE0000, 0xE1000),
}
# Cc, Cf: obeyed or hidden. Cs, Co, Cn: no agreed look. Zl, Zp, Zs: blanks that are not U+0020.
_UNSAFE_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp", "Zs"})
_PICTURES = range(0x2400, 0x2422)  # our own signs for the controls of ASCII
_SPELLED = "<U+"  # how everything else is spelled
MAX_MARKS = 4  # combining marks on one character; more of them pile up over the lines around


def safe_line(text: str) -> str:
    """Text for one line: a newline becomes visible too."""
    if text.isascii() and text.isprintable() and _SPELLED not in text:
        return text
    shown: list[str] = []
    marks = 0
    for index, char in enumerate(text):
        is_mark = unicodedata.category(char) in ("Mn", "Me")
        marks = marks + 1 if is_mark else 0
        if (is_mark and (marks > MAX_MARKS or index == 0)) or _is_unsafe(char):
            shown.append(_spelled(char))
        elif char == "<" and text.startswith(_SPELLED, index):
            shown.append(_in_full(char))
        else:
            shown.append(char)
    return "".join(shown)


def wrapped(line: str, width: int) -> list[str]:
    """Pieces of a safe line, each at most `width` cells wide; a line is broken, never cut.

    Where terminals disagree on a width the larger one counts: text that the terminal itself wraps would
    begin in the first column and could pass for ours.
    """
    pieces: list[str] = []
    start = used = 0
    for index, char in enumerate(line):
        cells = _cells(char)
        if used + cells > width and index > start:
            pieces.append(line[start:index])
            start, used = index, 0
        used += cells
    return [*pieces, line[start:]]


def _is_unsafe(char: str) -> bool:
    code = ord(char)
    if code in _PICTURES or code in _WITHOUT_INK:
        return True
    return char != " " and unicodedata.category(char) in _UNSAFE_CATEGORIES


def _spelled(char: str) -> str:
    code = ord(char)
    if code < 0x20:
        return chr(0x2400 + code)
    return "\u2421" if code == 0x7F else _in_full(char)


def _in_full(char: str) -> str:
    return f"<U+{ord(char):04X}>"


def _cells(char: str) -> int:
    if char.isascii():
        return 1
    category = unicodedata.category(char)
    if category in ("Mn", "Me"):
        return 0
    return 2 if category == "So" or unicodedata.east_asian_width(char) in "WFA" else 1
