"""A JSON value as lines: every key, every string decoded, nothing left out."""

from __future__ import annotations

import json
from collections.abc import Iterator

INDENT = "  "


class Number(str):
    """A number as it was written: read as a float it could be shown as another."""

    __slots__ = ()


Json = dict[str, "Json"] | list["Json"] | str | Number | bool | None


def parse(body: bytes) -> Json | None:
    """The document; None for what cannot be shown without doubt (no JSON, no UTF-8, duplicate keys)."""
    try:
        parsed: Json = json.loads(
            body.decode("utf-8"),
            object_pairs_hook=_unique,
            parse_int=Number,
            parse_float=Number,
            parse_constant=_refuse,
        )
    except (ValueError, RecursionError):
        return None
    return parsed


def outline(value: Json, *, indent: str = "") -> Iterator[str]:
    """Lines of one value; a string of several lines goes below its key, each line after a bar."""
    match value:
        case dict() if value:
            for key, item in value.items():
                yield from _member(f"{indent}{key_text(key)}:", item, indent)
        case list() if value:
            for item in value:
                yield from _member(f"{indent}-", item, indent)
        case _:
            yield from _member(f"{indent}=", value, indent)


def _member(label: str, item: Json, indent: str) -> Iterator[str]:
    if isinstance(item, str) and not isinstance(item, Number) and "\n" in item:
        yield label
        yield from (f"{indent}{INDENT}| {line}" for line in item.split("\n"))
    elif isinstance(item, dict | list) and item:
        yield label
        yield from outline(item, indent=indent + INDENT)
    else:
        yield f"{label} {scalar_text(item)}"


def scalar_text(value: Json) -> str:
    """A value in one line."""
    match value:
        case Number():
            return str(value)
        case str():
            return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
        case _:
            return json.dumps(value)


def key_text(key: str) -> str:
    """The name of a member."""
    return key if key.isidentifier() and key.isascii() else scalar_text(key)


def _unique(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise ValueError("an object has a key twice")
    return value


def _refuse(word: str) -> Json:
    raise ValueError(f"{word} is no JSON")
