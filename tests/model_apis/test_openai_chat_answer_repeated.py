"""Frames of a chat answer that differ in one text only, and what may repeat."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.model_apis.openai_chat_frames import CHAT, REQUEST, call, chunk, frames, message, words

from authz_service.errors import Unreadable
from authz_service.view.request import Path


def replaced(document: Any, path: Path, text: str) -> Any:
    if not path:
        return text
    copied = document.copy()
    copied[path[0]] = replaced(document[path[0]], path[1:], text)
    return copied


odd_deltas = st.sampled_from(
    [
        {},
        {"content": "a"},
        {"content": "a", "role": "assistant"},
        {"content": "a", "reasoning": "b"},
        {"content": "", "reasoning": "b"},
        {"content": None, "reasoning": "b", "reasoning_content": ""},
        {"refusal": "a"},
        {"thinking": "a"},
        {"content": "a", "own": "b"},
        {"content": "a", "token_ids": [1]},
        call(name="get_weather"),
        call(name="invented"),
        call(arguments="{"),
        call(1, arguments="{"),
        call(name="get_weather", arguments="{"),
        call(name="invented", arguments="{"),
        {"tool_calls": [{"index": 0, "id": "c", "function": {"arguments": "{"}}]},
        {"tool_calls": [{"index": 0, "custom": {"input": "x"}}]},
        {"function_call": {"arguments": "{"}},
        {"content": "a", **call(arguments="{")},
    ]
)
odd_chunks = st.one_of(
    st.builds(chunk, odd_deltas, st.integers(0, 1)),
    st.builds(chunk, odd_deltas, finish_reason=st.sampled_from([None, "stop"])),
    st.builds(lambda d, beside: chunk(d) | beside, odd_deltas, st.sampled_from([{"id": "i"}, {"usage": {}}])),
    st.builds(message, odd_deltas, st.integers(0, 2)),
    st.builds(lambda a, b: {"choices": chunk(a)["choices"] + chunk(b, 1)["choices"]}, odd_deltas, odd_deltas),
)


@settings(max_examples=500, deadline=None)
@given(st.lists(odd_chunks, max_size=8), words, words)
def test_a_frame_that_may_repeat_need_not_be_read_again(documents: list[Any], one: str, two: str) -> None:
    """One reader reads each such frame thrice, the other once: what they say is the same."""
    thorough, brief = CHAT.answer_reader(REQUEST), CHAT.answer_reader(REQUEST)
    for document in documents:
        try:
            frame = thorough.read(document)
        except Unreadable:
            with pytest.raises(Unreadable):
                brief.read(document)
            return
        assert brief.read(document) == frame
        if frame.repeats:
            (piece,) = [field for field in frame.fields if not field.is_whole]
            for text in (one, two):
                fields = tuple(f._replace(text=text) if f is piece else f for f in frame.fields)
                again = thorough.read(replaced(document, piece.path, text))
                assert again == frame._replace(fields=fields)


def test_words_and_arguments_may_repeat_and_what_begins_or_ends_something_does_not() -> None:
    said, begun = chunk({"content": "a"}), chunk(call(name="get_weather", arguments="{"))
    assert [f.repeats for f in frames([said, said, begun, chunk(call(arguments="1"))])] == [
        True,
        True,
        False,
        True,
    ]
    spelled = [chunk(call(name="invented")), *[chunk(call(arguments="{"))] * 2]
    assert [f.repeats for f in frames(spelled)] == [False, False, True]
    for document in (
        message({"content": "a"}),
        chunk({"content": "a"}, finish_reason="stop"),
        chunk({"thinking": "a"}),
        chunk({"content": "a", "reasoning": "b"}),
        chunk({"content": "a"}) | {"usage": {"prompt_tokens": 1, "completion_tokens": 2}},
    ):
        assert not frames([document])[0].repeats
