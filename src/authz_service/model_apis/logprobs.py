"""Log probabilities beside a text: they pass where their tokens, joined, say just that text again.

Then each token stands for characters of the text, and is cut where they are; its bytes, its number and
its alternatives are gone as soon as anything of it is. The tokens that the model might have said instead
are no part of the text, and are looked at each for itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

from authz_service.view.answer import AnswerField, Echo
from authz_service.view.request import Path

_BESIDE = ("bytes", "id", "logprob", "prob")
_ALTERNATIVES = ("top_logprobs", "top_probs")
_TELLING = 1_000_000
"""Where no log probability is, nor the number of a token."""

_LISTS = frozenset(("tokens", "token_logprobs", "top_logprobs", "text_offset"))


class Collecting(Protocol):
    """What is being collected of a frame."""

    fields: list[AnswerField]
    cleared: list[Path]


def beside(value: object, path: Path, said: Sequence[Path], frame: Collecting) -> None:
    """Give the log probabilities at `path` to the text that they say: one of those at `said`.

    They are cleared where they say none of these.
    """
    if value and not _is_given(value, path, said, frame):
        frame.cleared.append(path)


def _is_given(value: object, path: Path, said: Sequence[Path], frame: Collecting) -> bool:
    for at, piece in enumerate(frame.fields):
        if piece.path in said and not piece.is_key:
            echoes = echoes_of(value, path, piece.text, frame)
            if echoes is not None:
                frame.fields[at] = piece._replace(echoes=(*piece.echoes, *echoes))
                return True
    return False


def beside_message(value: object, path: Path, message: Path, frame: Collecting) -> None:
    """Give the log probabilities of a choice, by keys of its message, each to the text under its key."""
    if not isinstance(value, dict) or value.keys() - {"content", "refusal"}:
        frame.cleared.append(path)
        return
    said = [(key, entries) for key, entries in value.items() if entries]
    if not all(_is_given(entries, (*path, key), [(*message, key)], frame) for key, entries in said):
        frame.cleared.append(path)


def echoes_of(value: object, path: Path, text: str, frame: Collecting) -> tuple[Echo, ...] | None:
    """What the log probabilities at `path` say of `text`, in any of the forms that servers give them.

    None where they say anything else, or in a form of their own: then they have to be cleared. The
    alternatives are added to the frame.
    """
    if isinstance(value, dict) and "tokens" in value:
        return _lists(value, path, text, frame)
    if isinstance(value, dict):
        if value.keys() - {"content", "refusal"} or value.get("refusal"):
            return None
        return echoes_of(value.get("content"), (*path, "content"), text, frame)
    if not text or not isinstance(value, list) or not all(map(_is_entry, value)):
        return None
    if "".join(entry["token"] for entry in value) != text:
        return None
    return tuple(_entries(value, path, frame))


def _is_entry(entry: object) -> bool:
    """Whether a token is one that stands for characters, and nothing unknown stands beside it."""
    if not isinstance(entry, dict) or not _is_token(entry):
        return False
    if entry.keys() - {"token", *_BESIDE, *_ALTERNATIVES} or not _says_its_bytes(entry):
        return False
    lists = (entry.get(key) or [] for key in _ALTERNATIVES)
    return all(isinstance(items, list) and all(map(_is_alternative, items)) for items in lists)


def _is_alternative(entry: object) -> bool:
    return isinstance(entry, dict) and _is_token(entry) and not entry.keys() - {"token", *_BESIDE}


def _is_token(entry: Mapping[str, Any]) -> bool:
    numbers = (entry.get(key) for key in ("id", "logprob", "prob"))
    return isinstance(entry.get("token"), str) and all(map(is_small, numbers))


def is_small(value: object) -> bool:
    """Whether a value is absent, or a number like a log probability or a token's."""
    return value is None or (isinstance(value, int | float) and abs(value) < _TELLING)


def _says_its_bytes(entry: Mapping[str, Any]) -> bool:
    """Not so where a token is a part of a character: then its string tells less than its bytes."""
    return entry.get("bytes") is None or entry["bytes"] == list(entry["token"].encode())


def _entries(entries: Sequence[Mapping[str, Any]], path: Path, frame: Collecting) -> Iterator[Echo]:
    start = 0
    for i, entry in enumerate(entries):
        here, end = (*path, i), start + len(entry["token"])
        beside = tuple((*here, key) for key in (*_BESIDE, *_ALTERNATIVES) if entry.get(key) is not None)
        yield Echo(start, end, (*here, "token"), beside)
        for key in _ALTERNATIVES:
            for j, other in enumerate(entry.get(key) or ()):
                if other["token"] != entry["token"] or not _says_its_bytes(other):  # else cut with the text
                    _alternative(other, (*here, key, j), frame)
        start = end


def _alternative(entry: Mapping[str, Any], path: Path, frame: Collecting) -> None:
    token = entry["token"]
    beside = tuple((*path, key) for key in _BESIDE if entry.get(key) is not None)
    if not _says_its_bytes(entry):
        frame.cleared.extend(beside)
        beside = ()
    if token:
        echo = Echo(0, len(token), None, beside)
        frame.fields.append(AnswerField("", (*path, "token"), token, is_whole=True, echoes=(echo,)))


def _lists(value: Mapping[str, Any], path: Path, text: str, frame: Collecting) -> tuple[Echo, ...] | None:
    """The form of legacy completions: a list of tokens, and others beside it."""
    tokens = value["tokens"]
    columns = [value[key] for key in _LISTS - {"tokens"} if value.get(key) is not None]
    if value.keys() - _LISTS or not isinstance(tokens, list) or not all(isinstance(t, str) for t in tokens):
        return None
    if not text or "".join(tokens) != text:
        return None
    if not all(isinstance(column, list) and len(column) == len(tokens) for column in columns):
        return None
    numbers = [n for key in ("token_logprobs", "text_offset") for n in value.get(key) or ()]
    tops = value.get("top_logprobs") or [None] * len(tokens)
    if not all(map(is_small, numbers)) or not all(map(_is_top, tops)):
        return None
    return tuple(_rows(value, path, tops, frame))


def _is_top(top: object) -> bool:
    return top is None or (isinstance(top, dict) and all(map(is_small, top.values())))


def _rows(
    value: Mapping[str, Any], path: Path, tops: Sequence[Mapping[str, Any] | None], frame: Collecting
) -> Iterator[Echo]:
    start = 0
    for i, token in enumerate(value["tokens"]):
        end = start + len(token)
        beside = tuple((*path, key, i) for key in ("token_logprobs", "top_logprobs") if value.get(key))
        yield Echo(start, end, (*path, "tokens", i), beside)
        here = (*path, "top_logprobs", i)
        for other in sorted(set(tops[i] or ()) - {token, ""}):
            # A key cannot be edited: with a finding in one, all of them are gone.
            echo = Echo(0, len(other), None, (here,))
            frame.fields.append(AnswerField("", here, other, is_whole=True, echoes=(echo,)))
        start = end
