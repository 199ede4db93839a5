"""How much of a request was there before."""

from __future__ import annotations

import json
from typing import Any

import pytest

from authz_service.core.likeness import common_messages, likeness


def chat(*texts: str, **more: Any) -> bytes:
    return json.dumps({"messages": [{"role": "user", "content": text} for text in texts], **more}).encode()


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
    assert common_messages(first, second) == common_messages(second, first) == common
