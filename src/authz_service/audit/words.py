"""The words of a body, for a search: the same on every database, and the same for what is searched for."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import orjson

from authz_service.errors import Unreadable

MOST_CHARACTERS = 200_000
"""Of the words of one body; what comes after them is not found."""
LONGEST_WORD = 64
MOST_TERMS = 32
MAX_DEPTH = 64

_WORD = re.compile(r"[^\W_]+")
# Written without blanks between words: each character is a word, and a search for several is for a phrase.
_UNSPACED = re.compile(
    "([\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff])"
)
_PHRASE = re.compile(r'"([^"]*)"?|([^\s"]+)')
STRUCTURE = frozenset(
    {"model", "role", "type", "id", "object", "index", "created", "created_at", "finish_reason"}
    | {"stop_reason", "done_reason", "system_fingerprint", "service_tier", "done", "tool_call_id"}
)
"""Members that say what a body is, not what somebody said."""


@dataclass(frozen=True, slots=True)
class TextQuery:
    """What is searched for: every phrase must occur, its words next to each other."""

    phrases: tuple[tuple[str, ...], ...]


def words(text: str) -> list[str]:
    """Letters and digits, folded (NFKC, case); at most 200,000 characters of them together."""
    folded = unicodedata.normalize("NFKC", text[: 2 * MOST_CHARACTERS]).casefold()
    found: list[str] = []
    size = 0
    for match in _WORD.finditer(_UNSPACED.sub(r" \1 ", folded)):
        word = match.group()[:LONGEST_WORD]
        size += len(word) + 1
        if size > MOST_CHARACTERS:
            break
        found.append(word)
    return found


def read_query(text: str) -> TextQuery:
    """Words that must all occur, and "phrases in quotes"; raises `Unreadable` for none and for too many."""
    said = (quoted or bare for quoted, bare in _PHRASE.findall(text))
    phrases = tuple(tuple(found) for found in map(words, said) if found)
    if not phrases or sum(map(len, phrases)) > MOST_TERMS:
        message = f"search for 1 to {MOST_TERMS} words; a word has letters or digits"
        raise Unreadable(message, code="text_unreadable")
    return TextQuery(phrases)


def texts_of(body: bytes) -> str:
    """What is said in a body: the strings of JSON, the pieces of a stream joined, or the body as text."""
    documents = _documents(body)
    if documents is None:
        return body[: 4 * MOST_CHARACTERS].decode(errors="replace")
    texts: dict[tuple[str, ...], list[str]] = {}
    for document in documents:
        for place, text in _strings(document, ()):
            texts.setdefault(place, []).append(text)
    return "\n".join("".join(pieces) for pieces in texts.values())


def _documents(body: bytes) -> list[Any] | None:
    """The JSON of a body: one value, or one on each line, with or without `data:`; None if it has none."""
    try:
        return [orjson.loads(body)]
    except orjson.JSONDecodeError:
        pass
    found = []
    for line in body.splitlines():
        payload = line.removeprefix(b"data:").strip()
        if not payload.startswith((b"{", b"[")):
            continue
        try:
            found.append(orjson.loads(payload))
        except orjson.JSONDecodeError:
            continue
    return found or None


def _strings(value: Any, place: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], str]]:
    if isinstance(value, str):
        yield place, value
    elif len(place) > MAX_DEPTH:
        return
    elif isinstance(value, dict):
        for key, item in value.items():
            if key not in STRUCTURE or not isinstance(item, str):
                yield from _strings(item, (*place, key))
    elif isinstance(value, list):
        for position, item in enumerate(value):
            index = item.get("index", position) if isinstance(item, dict) else position
            yield from _strings(item, (*place, str(index)))
