"""How much of a request was there before."""

from __future__ import annotations

import json
from typing import Any

import pytest

from authz_service.core.likeness import MOST_COMPARED, common_messages, compared
from authz_service.core.likeness import likeness as likeness_of


def chat(*texts: str, **more: Any) -> bytes:
    return json.dumps({"messages": [{"role": "user", "content": text} for text in texts], **more}).encode()


def likeness(first: bytes, second: bytes) -> float:
    return likeness_of(compared(first), compared(second))


def test_likeness_goes_by_the_words_whatever_surrounds_them() -> None:
    one = chat("Delete the backups of last week, please.")
    assert likeness(one, one) == 1.0
    assert likeness(one, chat("delete THE backups of last week please", seed=7)) == 1.0
    assert 0.3 < likeness(one, chat("Delete the backups of last year, please.")) < 0.7
    assert likeness(one, chat("What is the weather like in Berlin today?")) == 0.0
    assert likeness(chat(), chat()) == 1.0
    assert likeness(b"\xff", b"{}") == 0.0
    assert likeness(chat("yes"), chat("yes", seed=1)) == 1.0


@pytest.mark.parametrize(
    ("first", "second", "common"),
    [
        (chat("a", "b", "c"), chat("a", "b", "d"), 2),
        (chat("a", "b"), chat("a", "b", "c"), 2),
        (chat("x", "b"), chat("a", "b"), 0),
        (b'{"messages": [{"n": 1}]}', b'{"messages": [{"n": true}]}', 0),
        (b'{"messages": [{"n": 1, "m": 2}]}', b'{"messages":[{"m":2,"n":1}]}', 1),
        (b'{"input": ["a"]}', b'{"input": ["a", "b"]}', 1),
        (b'{"prompt": "a"}', b'{"prompt": "a"}', 0),
        (b"[]", b"no json", 0),
    ],
)
def test_messages_in_common_are_whole_and_counted_from_the_first(
    first: bytes, second: bytes, common: int
) -> None:
    one, other = compared(first), compared(second)
    assert common_messages(one, other) == common_messages(other, one) == common


def test_likeness_goes_by_what_was_said_whatever_is_said_about_it() -> None:
    tools = [{"type": "function", "function": {"name": "f", "description": " ".join(map(str, range(9_000)))}}]
    assert (
        likeness(chat("Delete the backups, please."), chat("Delete the backups, please.", tools=tools)) == 1
    )
    assert likeness(chat("Delete the backups.", tools=tools), chat("What a day it is!", tools=tools)) == 0
    assert likeness(b'{"prompt": "Delete the backups."}', b'{"prompt": ["delete the backups"]}') == 1


def test_of_a_long_conversation_the_end_is_compared() -> None:
    long = " ".join(map(str, range(9_000)))
    asked, other = "Delete the backups of last week", "Tell me about the weather in Berlin"
    assert likeness(chat(long, asked), chat("Hi", asked)) < 0.1
    assert len(compared(chat(long, asked)).runs) < MOST_COMPARED
    assert ("delete", "the", "backups") in compared(chat(long, asked)).runs
    assert ("0", "1", "2") not in compared(chat(long, asked)).runs
    assert likeness(chat(long, asked), chat("before", long, asked)) == 1
    assert likeness(chat(long, asked), chat(long, other)) < 1


def test_what_is_compared_of_a_body_does_not_grow_with_it() -> None:
    assert len(compared(chat(*(f"a{n}" for n in range(100_000)))).runs) <= MOST_COMPARED / 2
    assert len(compared(" ".join(map(str, range(100_000))).encode()).runs) <= MOST_COMPARED / 2
