"""From a pattern, the pattern of all its prefixes: what tells a stream how much it must hold back.

Let P be a pattern and Pre(P) match every prefix of every text that P matches. While text arrives,
the leftmost place from which Pre(P) reaches the end of what has arrived is the first at which a match
could still begin or grow; all before it is settled. Matches and prefixes come from one engine, so
that whole texts and streams cannot differ in what `\\d`, `\\b` or `(?i)` mean.

Assertions at the very end (`\\b`, `$`) wait for the next character: there they count as true.
"""

from __future__ import annotations

from functools import lru_cache
from typing import assert_never

import re2

from authz_service.masking.engine import compile_prefixes, compile_regex
from authz_service.masking.syntax import (
    Assertion,
    Character,
    Choice,
    Node,
    PatternError,
    Repeat,
    Sequence,
    parse,
)

_LONGEST = 2_000

_COUNTED = 8
"""Copies that a loose prefix pattern still counts."""

_HINTS = {
    "invalid perl operator": "RE2 has no lookahead, lookbehind or atomic groups",
    "invalid escape sequence": "RE2 has no backreferences",
    "bad repetition operator": "a count may be 1,000 at most, and operators do not follow each other",
}


def check_pattern(pattern: str) -> None:
    """Whether a pattern can be a detector; raises `PatternError` with what is wrong and where.

    It must be RE2's, match no empty text, and be small enough for its prefixes to compile too.
    """
    prefix_pattern(pattern)


@lru_cache(maxsize=256)
def prefix_pattern(pattern: str, *, is_loose: bool = False) -> str:
    """Pre(pattern), to be matched up to the end of a text; raises `PatternError`.

    A loose one also matches what has more or fewer copies of a repeated part than it should: it holds
    back more, and its automaton is small, since it does not count.
    """
    if len(pattern) > _LONGEST:
        raise PatternError(f"longer than {_LONGEST} characters", position=_LONGEST)
    _compile(pattern)
    node = parse(pattern)
    if _is_nullable(node):
        raise PatternError("matches the empty text, so it would be found everywhere", position=0)
    prefixes = _prefixes(_uncounted(node) if is_loose else node)
    try:
        compile_prefixes(prefixes)
    except re2.error as cause:
        raise PatternError("too large to be followed in a stream", position=0) from cause
    return prefixes


def whole_pattern(node: Node) -> str:
    """The node as a pattern again, free of capture groups and of flags that reach beyond it."""
    match node:
        case Character(source) | Assertion(source):
            return source
        case Sequence(items):
            return "".join(map(whole_pattern, items))
        case Choice(options):
            return f"(?:{'|'.join(map(whole_pattern, options))})"
        case Repeat(item, least, most):
            return f"(?:{whole_pattern(item)})" + _count(least, most)
        case _:
            assert_never(node)


def _uncounted(node: Node) -> Node:
    match node:
        case Sequence(items):
            return Sequence(tuple(map(_uncounted, items)))
        case Choice(options):
            return Choice(tuple(map(_uncounted, options)))
        case Repeat(item, least, most):
            is_long = max(least, most or 0) > _COUNTED
            return Repeat(_uncounted(item), 0, None) if is_long else Repeat(_uncounted(item), least, most)
        case _:
            return node


def _prefixes(node: Node) -> str:
    match node:
        case Character(source):
            return f"(?:{source})?"
        case Assertion(source, looks_back):
            return source if looks_back else ""
        case Sequence(items):
            return _prefixes_of_sequence(items)
        case Choice(options):
            return f"(?:{'|'.join(map(_prefixes, options))})"
        case Repeat(item, _, most):
            if most == 0:
                return ""
            copies = "" if most == 1 else f"(?:{whole_pattern(item)})" + _count(0, most and most - 1)
            return copies + _prefixes(item)
        case _:
            assert_never(node)


def _prefixes_of_sequence(items: tuple[Node, ...]) -> str:
    """The first item and a prefix of what follows, or a prefix of the first item."""
    result = ""
    for item in reversed(items):
        result = f"(?:{whole_pattern(item)}{result}|{_prefixes(item)})"
    return result


def _count(least: int, most: int | None) -> str:
    return f"{{{least},{'' if most is None else most}}}"


def _is_nullable(node: Node) -> bool:
    match node:
        case Character():
            return False
        case Assertion():
            return True
        case Sequence(items):
            return all(map(_is_nullable, items))
        case Choice(options):
            return any(map(_is_nullable, options))
        case Repeat(item, least, _):
            return least == 0 or _is_nullable(item)
        case _:
            assert_never(node)


def _compile(pattern: str) -> None:
    try:
        compile_regex(pattern)
    except UnicodeEncodeError as cause:
        raise PatternError("not a Unicode text", position=cause.start) from cause
    except re2.error as cause:
        said = cause.args[0]
        raise _explained(
            pattern, said.decode(errors="replace") if isinstance(said, bytes) else said
        ) from cause


def _explained(pattern: str, said: str) -> PatternError:
    """RE2 says what and where as "what: the offending part"."""
    what, _, part = said.partition(": ")
    hint = _HINTS.get(what)
    message = f"{said} ({hint})" if hint else said
    return PatternError(message, position=max(pattern.find(part), 0))
