"""A JSON document as it is compared and told: each number is what the document writes, digit by digit."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from typing import Any, NamedTuple, NoReturn

import orjson

from authz_service.view.request import Path


class Number(NamedTuple):
    """A number by its token: no other is equal to it, nor is anything else, such as `true` or a text."""

    token: str


def exact_json(data: bytes) -> Any:
    """The document in `data`. Two are equal where they say the same; the order of members does not count.

    Raises `ValueError` for what is none, or is nested too deeply to be read.
    """
    try:
        return _DECODER.decode(data.decode())
    except RecursionError:
        raise ValueError("the document is nested too deeply") from None


def write_exact(value: Any) -> bytes:
    """JSON of a value that may have numbers of `exact_json` in it."""
    return orjson.dumps(value, default=_written)


def values_of(document: Any, *, but: Collection[Path] = ()) -> Iterator[tuple[Path, Any]]:
    """Each value of a document with its path, the document first; nothing of what is at `but`.

    However large the document is, no more paths are kept than it is deep.
    """
    waiting: list[Iterator[tuple[Path, Any]]] = [iter([((), document)])]
    while waiting:
        for path, value in waiting[-1]:
            if path in but:
                continue
            yield path, value
            if isinstance(value, dict | list):
                waiting.append(_items(path, value))
                break
        else:
            waiting.pop()


def _items(path: Path, value: dict[str, Any] | list[Any]) -> Iterator[tuple[Path, Any]]:
    items = value.items() if isinstance(value, dict) else enumerate(value)
    return (((*path, step), item) for step, item in items)


def _written(value: object) -> orjson.Fragment:
    if not isinstance(value, Number):
        raise TypeError(f"{type(value).__name__} is no JSON value")
    return orjson.Fragment(value.token)


def _refuse(_name: str) -> NoReturn:
    raise ValueError("NaN and Infinity are not JSON (RFC 8259 6)")


_DECODER = json.JSONDecoder(parse_int=Number, parse_float=Number, parse_constant=_refuse)
