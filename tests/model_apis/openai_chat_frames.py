"""What tests of chat answers share: a reader of frames, and the words for what they carry."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest
from hypothesis import strategies as st

from authz_service.errors import Unreadable
from authz_service.model_apis.openai_chat import OpenAiChat
from authz_service.model_apis.openai_words import KEYS, selects
from authz_service.view.answer import AnswerFrame
from authz_service.view.request import Path, RequestView

Wire = Callable[[str], Any]
CHAT = OpenAiChat()
REQUEST = RequestView("openai_chat", "chat_completions", "m", True, (), tools=("get_weather",))


def frames(documents: Iterable[Any]) -> list[AnswerFrame]:
    reader = CHAT.answer_reader(REQUEST)
    return [reader.read(document) for document in documents]


def channels(read: Iterable[AnswerFrame]) -> dict[str, str]:
    """Each channel's text over all frames, without whole texts; fails where one goes on after it ended."""
    texts: dict[str, str] = defaultdict(str)
    ended: set[str] = set()
    for frame in read:
        for field in frame.fields:
            if not field.is_whole:
                assert field.channel not in ended
                texts[field.channel] += field.text
        ended.update(frame.ended)
    return dict(texts)


def wholes(frame: AnswerFrame) -> dict[Path, str]:
    """The values that are complete in a frame, by their paths."""
    return {field.path: field.text for field in frame.fields if field.is_whole and not field.is_key}


def chunk(delta: Any, index: int = 0, **choice: Any) -> dict[str, Any]:
    return {"object": "chat.completion.chunk", "choices": [{"index": index, "delta": delta, **choice}]}


def message(said: Any, index: int = 0, **choice: Any) -> dict[str, Any]:
    return {"object": "chat.completion", "choices": [{"index": index, "message": said, **choice}]}


def call(index: int = 0, **function: Any) -> dict[str, Any]:
    return {"tool_calls": [{"index": index, "function": function}]}


def refusal(*documents: Any) -> str:
    with pytest.raises(Unreadable) as caught:
        frames(documents)
    assert (caught.value.code, caught.value.status) == ("unreadable_answer", 502)
    return str(caught.value)


def unseen(document: Any, frame: AnswerFrame) -> list[Path]:
    """Paths of strings and foreign keys that the frame neither shows nor clears."""
    values = {field.path: field.text for field in frame.fields if not field.is_key}
    named = {field.path for field in frame.fields if field.is_key}

    def walk(value: Any, path: Path, key: str) -> Iterator[Path]:
        if path in frame.cleared:
            return
        if isinstance(value, dict):
            for name, item in value.items():
                if name not in KEYS and (*path, name) not in named:
                    yield (*path, name)
                yield from walk(item, (*path, name), name)
        elif isinstance(value, list):
            if any(isinstance(item, int | float) and not isinstance(item, bool) for item in value):
                yield path
            for i, item in enumerate(value):
                yield from walk(item, (*path, i), key)
        elif isinstance(value, str):
            is_known = value == "" or selects(key, value)
            if not is_known and values.get(path) != value:
                yield path

    return list(walk(document, (), ""))


words = st.text(st.sampled_from('ab 1@."\\{}é'), min_size=1, max_size=12)
