"""Between what is text and what is unread nothing is lost: every string of any body is one of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from authz_service.errors import Unreadable
from authz_service.model_apis.anthropic import MESSAGES, Anthropic
from authz_service.model_apis.anthropic_words import MESSAGES_WORDS
from authz_service.model_apis.base import ModelApi, Operation
from authz_service.model_apis.openai_chat import CHAT_COMPLETIONS, OpenAiChat
from authz_service.model_apis.openai_words import CHAT_WORDS
from authz_service.model_apis.words import Words
from authz_service.view.request import Path, RequestView

PNG = "iVBORw0KGgoAAAANSUhEUgAA"
NAMES = [
    *("image_url", "input_audio", "file", "image", "document", "source", "url", "data", "file_data", "uuid"),
    *("file_id", "id", "detail", "media_type", "format", "token_ids", "prompt_embeds", "text", "content"),
    *("chat_template", "encrypted_content", "conversation", "name", "new", "type", "images", "container"),
]
TYPES = [
    *("text", "image_url", "input_audio", "file", "image", "document", "image_embeds", "redacted_thinking"),
    *("container_upload", "tool_result", "search_result", "base64"),
]


def _members(below: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.dictionaries(st.sampled_from(NAMES), below, max_size=3)


strings = st.sampled_from([PNG, f"data:image/png;base64,{PNG}", "https://x.example", "words", "data:x", ""])
values = st.recursive(
    strings | st.integers(0, 9) | st.none() | st.booleans(),
    lambda below: (
        st.lists(below, max_size=3)
        | st.dictionaries(st.sampled_from(NAMES), below, max_size=3)
        | st.builds(lambda kind, rest: {**rest, "type": kind}, st.sampled_from(TYPES), _members(below))
    ),
    max_leaves=8,
)


parts = st.builds(lambda kind, rest: {**rest, "type": kind}, st.sampled_from(TYPES), _members(values))
bodies = st.builds(
    lambda content, more: {
        "model": "m",
        "max_tokens": 5,
        **more,
        "messages": [{"role": "user", "content": content}],
    },
    values | st.lists(parts, max_size=3),
    _members(values | st.lists(strings, min_size=1, max_size=3)),
)


def strings_of(value: Any, path: Path = ()) -> Iterator[tuple[Path, str]]:
    if isinstance(value, dict):
        for name, item in value.items():
            yield from strings_of(item, (*path, name))
    elif isinstance(value, list):
        for i, item in enumerate(value):
            yield from strings_of(item, (*path, i))
    elif isinstance(value, str):
        yield path, value


def lost(body: Any, view: RequestView, words: Words) -> list[Path]:
    """Strings that are neither text nor unread, and no words of the API's own."""
    seen = {text.path for text in view.texts if not text.is_key}
    unread = {value.path for value in view.unread}
    return [
        path
        for path, text in strings_of(body)
        if path not in seen
        and not any(path[:length] in unread for length in range(len(path) + 1))
        and path[-1] not in ("model", "role", "type")
        and not words.selects(next((s for s in reversed(path) if isinstance(s, str)), ""), text)
    ]


def check(api: ModelApi, operation: Operation, words: Words, body: Any) -> None:
    try:
        view = api.read_request(operation, body)
    except Unreadable:
        return
    assert lost(body, view, words) == []
    assert [u.message for u in view.unread if not u.message] == []


@settings(max_examples=400, deadline=None)
@given(bodies)
def test_no_string_of_a_chat_is_lost(body: Any) -> None:
    check(OpenAiChat(), CHAT_COMPLETIONS, CHAT_WORDS, body)


@settings(max_examples=400, deadline=None)
@given(bodies)
def test_no_string_of_a_message_is_lost(body: Any) -> None:
    check(Anthropic(), MESSAGES, MESSAGES_WORDS, body)
