"""Reads the structure of an RE2 pattern: what is one character, an assertion, a choice, a repetition.

Characters and classes are kept as written, since only RE2 itself says what they match. A pattern
must have been compiled by RE2 before: what RE2 refuses is not diagnosed here.
"""

from __future__ import annotations

from dataclasses import dataclass

import re2

from authz_service.errors import Misconfigured

DEEPEST = 60
"""Groups within groups; more is refused, before RE2 or Python run out of stack."""

_MOST_PIECES = 900
"""Pieces in one sequence; each is a level of nesting in the prefix pattern, and RE2 allows 1,000."""


class PatternError(Misconfigured):
    """A pattern that cannot serve as a detector. `position` counts characters from its start."""

    def __init__(self, message: str, *, position: int) -> None:
        super().__init__(f"{message} (at character {position + 1})", code="bad_pattern")
        self.position = position


@dataclass(frozen=True, slots=True)
class Character:
    """Exactly one character of text: a literal, a class or a dot, with its flags."""

    source: str


@dataclass(frozen=True, slots=True)
class Assertion:
    """No character. `looks_back` when the text before it alone decides it (`^`, `\\A`)."""

    source: str
    looks_back: bool


@dataclass(frozen=True, slots=True)
class Sequence:
    """One item after another; none at all is the empty text."""

    items: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Choice:
    """Any one of the options."""

    options: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Repeat:
    """`least` to `most` copies; `most` is None where there is no bound."""

    item: Node
    least: int
    most: int | None


Node = Character | Assertion | Sequence | Choice | Repeat


def parse(pattern: str) -> Node:
    """The structure of a pattern that RE2 accepts; raises `PatternError` for what we cannot follow."""
    reader = _Reader(pattern)
    node = reader.choice(flags=frozenset(), depth=0)
    if reader.at < len(pattern):
        raise reader.error("unexpected )")
    return node


class _Reader:
    def __init__(self, pattern: str) -> None:
        self.pattern = pattern
        self.at = 0

    def error(self, message: str) -> PatternError:
        return PatternError(message, position=self.at)

    def choice(self, *, flags: frozenset[str], depth: int) -> Node:
        if depth > DEEPEST:
            raise self.error(f"groups are nested more than {DEEPEST} deep")
        options: list[Node] = []
        items: list[Node] = []
        while self.at < len(self.pattern):
            char = self.pattern[self.at]
            if char == ")":
                break
            if char == "|":
                self.at += 1
                options.append(_sequence(items))
                items = []
            elif char == "(" and (changed := self._flags_only(flags)) is not None:
                flags = changed  # they hold to the end of the group, over all its further options
            else:
                items += self._piece(flags=flags, depth=depth)
                if len(items) > _MOST_PIECES:
                    raise self.error(f"more than {_MOST_PIECES} pieces in one sequence")
        options.append(_sequence(items))
        return options[0] if len(options) == 1 else Choice(tuple(options))

    def _flags_only(self, flags: frozenset[str]) -> frozenset[str] | None:
        """Take `(?ims)` and the like, and give the flags that hold from here; None for a group."""
        end = self.pattern.find(")", self.at)
        head = self.pattern[self.at + 2 : end]
        if self.pattern[self.at + 1 : self.at + 2] != "?" or not head or head.strip("imsU-"):
            return None
        self.at = end + 1
        return _changed(flags, head)

    def _piece(self, *, flags: frozenset[str], depth: int) -> list[Node]:
        atoms = self._atom(flags=flags, depth=depth)
        bounds = self._repetition()
        if bounds is not None and atoms:
            atoms[-1] = Repeat(atoms[-1], *bounds)
        return atoms

    def _atom(self, *, flags: frozenset[str], depth: int) -> list[Node]:
        char = self.pattern[self.at]
        if char == "(":
            return [self._group(flags=flags, depth=depth)]
        if char == "\\":
            return self._escape(flags)
        if char == "[":
            return [_character(self._take(self._class_end()), flags)]
        if char in "^$":
            return [Assertion(_flagged(self._take(self.at + 1), flags), looks_back=char == "^")]
        if char == ".":
            return [_character(self._take(self.at + 1), flags)]
        return [_character(re2.escape(self._take(self.at + 1)), flags)]

    def _group(self, *, flags: frozenset[str], depth: int) -> Node:
        self.at += 1
        if self.pattern.startswith("?", self.at):
            named = self.pattern.startswith(("?P<", "?<"), self.at)
            end = self.pattern.index(">" if named else ":", self.at)
            flags = flags if named else _changed(flags, self.pattern[self.at + 1 : end])
            self.at = end + 1
        node = self.choice(flags=flags, depth=depth + 1)
        self.at += 1
        return node

    def _escape(self, flags: frozenset[str]) -> list[Node]:
        kind = self.pattern[self.at + 1]
        if kind == "C":
            raise self.error(r"\C matches a byte, and detectors work on characters")
        if kind == "Q":
            return self._quoted(flags)
        source = self._take(self._escape_end(self.at))
        if kind in "AbBz":
            return [Assertion(_flagged(source, flags), looks_back=kind == "A")]
        return [_character(source, flags)]

    def _quoted(self, flags: frozenset[str]) -> list[Node]:
        r"""`\Q...\E`, or to the end of the pattern where no `\E` follows."""
        end = self.pattern.find(r"\E", self.at + 2)
        literal = self.pattern[self.at + 2 : end if end >= 0 else None]
        self.at = end + 2 if end >= 0 else len(self.pattern)
        return [_character(re2.escape(char), flags) for char in literal]

    def _escape_end(self, at: int) -> int:
        kind = self.pattern[at + 1]
        if kind in "pPx" and self.pattern.startswith("{", at + 2):
            return self.pattern.index("}", at) + 1
        if kind in "pP":
            return at + 3
        if kind == "x":
            return at + 4
        end = at + 2
        while kind in "01234567" and end < at + 4 and self.pattern[end : end + 1] in tuple("01234567"):
            end += 1
        return end

    def _class_end(self) -> int:
        at = self.at + 1
        at += self.pattern.startswith("^", at)
        first = at
        while self.pattern[at] != "]" or at == first:
            if self.pattern[at] == "\\":
                at = self._escape_end(at)
            elif self.pattern.startswith("[:", at) and self.pattern.find(":]", at + 2) >= 0:
                at = self.pattern.index(":]", at + 2) + 2
            else:
                at += 1
        return at + 1

    def _repetition(self) -> tuple[int, int | None] | None:
        char = self.pattern[self.at : self.at + 1]
        bounds = {"*": (0, None), "+": (1, None), "?": (0, 1)}.get(char)
        if bounds is not None:
            self.at += 1
        elif char == "{":
            bounds = self._counted()
        if bounds is not None and self.pattern.startswith("?", self.at):
            self.at += 1  # lazy: which match is preferred changes, not which texts match
        return bounds

    def _counted(self) -> tuple[int, int | None] | None:
        """`{2}`, `{2,}` or `{2,5}`; anything else is a literal brace, as in RE2."""
        end = self.pattern.find("}", self.at)
        least, comma, most = self.pattern[self.at + 1 : max(end, self.at)].partition(",")
        if not _is_number(least) or not (most == "" or _is_number(most)):
            return None
        self.at = end + 1
        if comma and not most:
            return int(least), None
        return int(least), int(most or least)

    def _take(self, end: int) -> str:
        source = self.pattern[self.at : end]
        self.at = end
        return source


def _sequence(items: list[Node]) -> Node:
    return items[0] if len(items) == 1 else Sequence(tuple(items))


def _character(source: str, flags: frozenset[str]) -> Character:
    return Character(_flagged(source, flags))


def _flagged(source: str, flags: frozenset[str]) -> str:
    return f"(?{''.join(sorted(flags))}:{source})" if flags else source


def _changed(flags: frozenset[str], change: str) -> frozenset[str]:
    added, _, removed = change.partition("-")
    return (flags | (set(added) & set("ims"))) - set(removed)


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit()
