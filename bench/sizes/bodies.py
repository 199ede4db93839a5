"""Prompts, conversations and answers of any size, with an address every 2,000 characters."""

from __future__ import annotations

import json
from functools import lru_cache
from pydoc_data.topics import topics
from typing import Final

from bench.plan import Shape
from bench.traffic import ADDRESS

KIB: Final = 1024
MIB: Final = 1024 * KIB
TURN: Final = 2 * KIB
"""Characters of one message of a conversation: 128k tokens in some 250 of them."""

SMALL: Final = KIB
_MODEL: Final = Shape.WHOLE.value
_EACH: Final = 2_000


@lru_cache(maxsize=64)
def text(size: int) -> str:
    """So many characters of prose, ASCII only, so that they are as many bytes."""
    said = _prose()
    return (said * (size // len(said) + 1))[:size]


@lru_cache(maxsize=1)
def _prose() -> str:
    """Python's own help texts, always the same for one version of it."""
    said = "\n".join(topics[name] for name in sorted(topics)).encode("ascii", "replace").decode()
    return "".join(f"{said[at : at + _EACH]} {ADDRESS} " for at in range(0, len(said), _EACH))


def prompt(size: int, answer: int = SMALL) -> bytes:
    """A request of `size` bytes in one message, for an answer with so many characters."""
    return _fitted(size, lambda room: [{"role": "user", "content": text(room)}], answer)


def conversation(size: int, answer: int = SMALL) -> bytes:
    """The same in turns of 2 KiB, none of which is like another."""

    def turns(room: int) -> list[dict[str, str]]:
        said = text(room)
        parts = [said[at : at + TURN] for at in range(0, room, TURN)]
        return [
            {"role": "assistant" if n % 2 else "user", "content": f"{n}: {part}"}
            for n, part in enumerate(parts)
        ]

    return _fitted(size, turns, answer)


def _fitted(size: int, messages: object, answer: int) -> bytes:
    room = size
    while len(body := _body(messages, room, answer)) > size:  # quotes and line ends take two bytes
        room -= max(1, len(body) - size)
    return body


def _body(messages: object, room: int, answer: int) -> bytes:
    assert callable(messages)
    asked = {"model": _MODEL, "max_tokens": answer, "messages": messages(room)}
    return json.dumps(asked, separators=(",", ":")).encode()


def completion(size: int) -> bytes:
    """A whole answer of about `size` bytes."""
    message = {"role": "assistant", "content": text(size * 19 // 20)}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    usage = {"prompt_tokens": 1, "completion_tokens": size // 4, "total_tokens": 1 + size // 4}
    answer = {
        "id": "chatcmpl-sizes",
        "object": "chat.completion",
        "created": 1_790_000_000,
        "model": _MODEL,
        "choices": [choice],
        "usage": usage,
    }
    return json.dumps(answer, separators=(",", ":")).encode()
