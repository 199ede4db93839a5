"""What tests of chat requests share: a body that is read, or refused with its words."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import strategies as st
from tests.model_apis.by_default import read_by_default

from authz_service.errors import Unreadable
from authz_service.model_apis.openai_chat import CHAT_COMPLETIONS, OpenAiChat
from authz_service.model_apis.openai_refused import REFUSED
from authz_service.model_apis.openai_words import KEYS
from authz_service.view.request import RequestView

CHAT = OpenAiChat()


def read(**body: Any) -> RequestView:
    return read_by_default(CHAT, CHAT_COMPLETIONS, {"model": "m", "messages": [user("hi")]} | body)


def user(content: Any, **more: Any) -> dict[str, Any]:
    return {"role": "user", "content": content, **more}


def refusal(**body: Any) -> Unreadable:
    with pytest.raises(Unreadable) as caught:
        read(**body)
    return caught.value


words = st.sampled_from(["TEXT", "text", "none", "user", "4111 1111 1111 1111", "", "low", "ünï", "function"])
names = st.sampled_from(
    [*sorted(KEYS - REFUSED.keys()), "own", "Own-Key", "AKIAIOSFODNN7EXAMPLE", "x/y", "~"]
)
scalars = st.none() | st.booleans() | st.integers(0, 10**16) | st.floats(0, 1) | words


def containers(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    items = inner.filter(lambda item: isinstance(item, str | dict | list | bool) or item is None)
    return st.lists(items, max_size=3) | st.dictionaries(names, inner, max_size=3)


anything = st.recursive(scalars, containers, max_leaves=8)
free_form = anything | st.lists(st.integers(0, 9), max_size=3)
extras = st.dictionaries(
    st.sampled_from(["own", "documents", "thinking_budget", "detail", "x"]), anything, max_size=2
)
parts = st.builds(lambda text, more: {"type": "text", "text": text, **more}, words, st.just({}) | extras)
calls = st.builds(
    lambda name, text, more: {
        "id": name,
        "type": "function",
        "function": {"name": name, "arguments": text, **more},
    },
    words,
    words,
    extras,
)
messages = st.builds(
    lambda role, content, more, called: (
        {"role": role, "content": content} | ({"tool_calls": called} if called else {}) | more
    ),
    st.sampled_from(["system", "developer", "user", "assistant", "tool", "function"]),
    words | st.none() | st.lists(parts | words, max_size=2),
    extras,
    st.lists(calls, max_size=2),
)
tools = st.builds(
    lambda name, schema, more: {
        "type": "function",
        "function": {"name": name or "f", "description": name, "parameters": schema, **more},
    },
    words,
    free_form,
    extras,
)
