"""Where in a JSON document we are (RFC 8259 2): which token may come next."""

from __future__ import annotations

from enum import Enum, auto

WHITESPACE = " \t\n\r"
_NUMBER_START = "-0123456789"
_LITERALS = frozenset(("true", "false", "null"))
_DIGITS = frozenset("0123456789")


class Next(Enum):
    """What may come next, beside whitespace."""

    VALUE = auto()
    VALUE_OR_END = auto()
    KEY = auto()
    KEY_OR_END = auto()
    COLON = auto()
    COMMA_OR_END = auto()
    NOTHING = auto()


_VALUES = (Next.VALUE, Next.VALUE_OR_END)
_KEYS = (Next.KEY, Next.KEY_OR_END)
_ENDS = {"]": (Next.VALUE_OR_END, Next.COMMA_OR_END), "}": (Next.KEY_OR_END, Next.COMMA_OR_END)}
_OPENS = {"[": ("]", Next.VALUE_OR_END), "{": ("}", Next.KEY_OR_END)}


class Grammar:
    """Follows the tokens of one document. Each method says whether the token may stand here."""

    def __init__(self) -> None:
        self.next = Next.VALUE
        self._closers: list[str] = []

    def structure(self, char: str) -> bool:
        """One of `[]{},:`."""
        if char in _OPENS and self.next in _VALUES:
            closer, self.next = _OPENS[char]
            self._closers.append(closer)
            return True
        if char in _ENDS and self._closers[-1:] == [char] and self.next in _ENDS[char]:
            self._closers.pop()
            self._after_value()
            return True
        if char == ":" and self.next is Next.COLON:
            self.next = Next.VALUE
            return True
        if char == "," and self.next is Next.COMMA_OR_END and self._closers:
            self.next = Next.VALUE if self._closers[-1] == "]" else Next.KEY
            return True
        return False

    def string(self) -> bool:
        """A string that begins, as a value or a key."""
        if self.next in _KEYS:
            self.next = Next.COLON
            return True
        return self.scalar()

    def scalar(self) -> bool:
        """A value that is no array or object."""
        if self.next not in _VALUES:
            return False
        self._after_value()
        return True

    def _after_value(self) -> None:
        self.next = Next.COMMA_OR_END if self._closers else Next.NOTHING


def may_begin_scalar(char: str) -> bool:
    """Whether a number or literal may begin with this character."""
    return char in _NUMBER_START or char in "tfn"


def is_scalar(token: str) -> bool:
    """Whether a token is a number (RFC 8259 6) or a literal."""
    return token in _LITERALS or _is_number(token)


def _is_number(token: str) -> bool:
    mantissa, has_exponent, exponent = token.lower().partition("e")
    whole, has_fraction, fraction = mantissa.removeprefix("-").partition(".")
    if not _is_digits(whole) or (whole.startswith("0") and whole != "0"):
        return False
    if has_fraction and not _is_digits(fraction):
        return False
    return not has_exponent or _is_digits(exponent[1:] if exponent[:1] in ("+", "-") else exponent)


def _is_digits(text: str) -> bool:
    return bool(text) and _DIGITS.issuperset(text)
