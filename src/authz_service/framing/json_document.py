"""Reads JSON so strictly that no two readers could understand the same bytes differently (RFC 8259)."""

from __future__ import annotations

import json
import re
from decimal import Decimal, InvalidOperation
from typing import Any, NoReturn, Self

from authz_service.errors import Unreadable
from authz_service.framing.json_faults import locate

_BOM = b"\xef\xbb\xbf"
_CONTAINER = (dict, list)
_SURROGATE_ESCAPE = re.compile(rb"\\u[dD][89a-fA-F]")


class InexactFloat(float):
    """A number that a double does not hold exactly; `token` is how the document writes it."""

    __slots__ = ("token",)
    token: str

    def __new__(cls, token: str) -> Self:
        number = super().__new__(cls, token)
        number.token = token
        return number


def read_json(data: bytes, *, max_depth: int) -> object:
    """The document in `data`; objects keep their order, integers are exact.

    Raises `Unreadable` with the code `invalid_utf8`, `invalid_json`, `trailing_data`, `number_range`,
    `duplicate_key` (RFC 8259 4 leaves its meaning open), `lone_surrogate` or `too_deep`, and never
    quotes the document. `max_depth` counts containers around a value, and should stay below 500:
    what the interpreter's own stack cannot take is `too_deep` too.
    """
    if data.startswith(_BOM):
        raise Unreadable("the body begins with a byte order mark (RFC 8259 8.1)", code="invalid_utf8")
    try:
        text = data.decode()
    except UnicodeDecodeError as e:
        raise Unreadable(f"the body is not UTF-8 at byte {e.start}", code="invalid_utf8") from None
    document = _parse(text, max_depth)
    if text.count("[") + text.count("{") > max_depth and _is_deeper(document, max_depth):
        _refuse("too_deep", text, max_depth)
    # The reader makes pairs of surrogates into characters; what is left over cannot be encoded.
    if b"\\u" in data and _SURROGATE_ESCAPE.search(data) and not _is_encodable(document):
        _refuse("lone_surrogate", text, max_depth)
    return document


class _DuplicateKey(Exception):
    pass


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise _DuplicateKey
    return members


def _float(token: str) -> float:
    value = float(token)
    if repr(value) == token:
        return value
    if value in (float("inf"), float("-inf")):
        raise Unreadable("a number in the body is beyond what a double can hold", code="number_range")
    try:
        is_exact = Decimal(token) == Decimal(repr(value))
    except InvalidOperation:  # an exponent of 19 digits
        is_exact = False
    return value if is_exact else InexactFloat(token)


def _constant(_name: str) -> NoReturn:
    raise Unreadable("NaN and Infinity are not JSON (RFC 8259 6)", code="invalid_json")


_DECODER = json.JSONDecoder(object_pairs_hook=_object, parse_float=_float, parse_constant=_constant)


def _parse(text: str, max_depth: int) -> object:
    try:
        return _DECODER.decode(text)
    except json.JSONDecodeError as e:
        if e.msg == "Extra data":
            raise Unreadable(
                f"something follows the JSON document at character {e.pos}", code="trailing_data"
            ) from None
        raise Unreadable(f"the body is not JSON at character {e.pos}", code="invalid_json") from None
    except _DuplicateKey:
        _refuse("duplicate_key", text, max_depth)
    except RecursionError:
        _refuse("too_deep", text, max_depth)
    except ValueError:  # the interpreter's limit, since converting takes quadratic time
        raise Unreadable("an integer in the body has too many digits", code="number_range") from None


def _is_deeper(document: object, max_depth: int) -> bool:
    level: list[Any] = [document] if isinstance(document, _CONTAINER) else []
    depth = 0
    while level:
        depth += 1
        if depth > max_depth:
            return True
        below: list[Any] = []
        for container in level:
            values = container.values() if isinstance(container, dict) else container
            below += [v for v in values if isinstance(v, _CONTAINER)]
        level = below
    return False


def _is_encodable(document: object) -> bool:
    try:
        json.dumps(document, ensure_ascii=False, check_circular=False).encode()
    except UnicodeEncodeError:
        return False
    return True


_MESSAGES = {
    "duplicate_key": "an object has the same key twice",
    "lone_surrogate": "a string has half of a surrogate pair",
    "too_deep": "the body is nested deeper than {max_depth} levels",
}


def _refuse(code: str, text: str, max_depth: int) -> NoReturn:
    at = locate(code, text, max_depth=max_depth)
    where = "" if at is None else f", at character {at}"
    raise Unreadable(_MESSAGES[code].format(max_depth=max_depth) + where, code=code) from None
