"""Canonical bytes of a JSON document (RFC 8785), so that the same request is known again.

RFC 8785 writes numbers as doubles do, which would give 2^53 and 2^53 + 1 one form. Here an integer has
all its digits, and a number that no double holds keeps its token: different numbers never share a form.
"""

from __future__ import annotations

from collections.abc import Collection
from decimal import Decimal

import orjson

from authz_service.framing.json_document import InexactFloat


def fingerprint_json(document: object, without: Collection[tuple[str, ...]] = ()) -> bytes:
    """The canonical form of `document`, which `read_json` has read, without the members at `without`.

    A path of `without` that is not there, or that leads through an array, leaves out nothing.
    """
    for path in without:
        document = _pruned(document, path)
    pieces: list[str] = []
    _write(document, pieces)
    return "".join(pieces).encode()


def _pruned(document: object, path: tuple[str, ...]) -> object:
    if not path or not isinstance(document, dict) or path[0] not in document:
        return document
    name, *rest = path
    if rest:
        return {**document, name: _pruned(document[name], tuple(rest))}
    return {k: v for k, v in document.items() if k != name}


def _write(value: object, pieces: list[str]) -> None:
    match value:
        case str():
            pieces.append(_string(value))
        case None | bool():
            pieces.append({None: "null", True: "true", False: "false"}[value])
        case int():
            pieces.append(str(value))
        case float():
            pieces.append(value.token if isinstance(value, InexactFloat) else _ecmascript(value))
        case list():
            separator = "["
            for item in value:
                pieces.append(separator)
                _write(item, pieces)
                separator = ","
            pieces.append("]" if value else "[]")
        case dict():
            separator = "{"
            for name in _sorted(value):
                pieces += (separator, _string(name), ":")
                _write(value[name], pieces)
                separator = ","
            pieces.append("}" if value else "{}")
        case _:
            raise TypeError(f"{type(value).__name__} is no JSON value")


def _string(value: str) -> str:
    """RFC 8785 3.2.2.2, which leaves no choice; the standard library's takes ten times as long."""
    return orjson.dumps(value).decode()


def _sorted(members: dict[str, object]) -> list[str]:
    """By UTF-16 code units (RFC 8785 3.2.3), which differs from code points beyond the BMP."""
    names = sorted(members)
    if all(map(str.isascii, names)):
        return names
    return sorted(names, key=lambda name: name.encode("utf-16-be"))


def _ecmascript(value: float) -> str:
    """A double as ECMAScript's Number::toString writes it (RFC 8785 3.2.2.3)."""
    written = repr(value)
    if "e" not in written and not written.endswith(".0"):
        return written
    if value == 0:
        return "0"
    sign, digit_tuple, exponent = Decimal(written).normalize().as_tuple()
    assert isinstance(exponent, int)
    digits = "".join(map(str, digit_tuple))
    return ("-" if sign else "") + _placed(digits, len(digits) + exponent)


def _placed(digits: str, point: int) -> str:
    if len(digits) <= point <= 21:
        return digits + "0" * (point - len(digits))
    if 0 < point <= 21:
        return f"{digits[:point]}.{digits[point:]}"
    if -6 < point <= 0:
        return "0." + "0" * -point + digits
    fraction = f".{digits[1:]}" if len(digits) > 1 else ""
    return f"{digits[0]}{fraction}e{point - 1:+d}"
