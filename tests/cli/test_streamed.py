"""A streamed answer reads as one text, however it was cut into events."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authz_cli.conversation import FIELD_BAR, TEXT_BAR, conversation
from authz_cli.streamed import joined

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=5)


def event(choice: int, content: str, end: str = "\n\n") -> bytes:
    data = {"choices": [{"index": choice, "delta": {"content": content}, "finish_reason": None}]}
    return b"data: " + json.dumps(data).encode() + end.encode()


@given(st.lists(st.tuples(st.integers(0, 2), TEXT), min_size=1), st.sampled_from(["\n\n", "\r\n\r\n"]))
def test_the_pieces_of_each_choice_are_joined_in_order(pieces: list[tuple[int, str]], end: str) -> None:
    body = b"".join(event(choice, text, end) for choice, text in pieces) + b"data: [DONE]\n\n"
    expected: dict[str, str] = {}
    for choice, text in pieces:
        key = f"choices/{choice}/delta/content"
        expected[key] = expected.get(key, "") + text
    assert joined(body) == expected


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"data: [DONE]\n\n",
        b"{}",
        event(0, "a") + b"data: {broken\n\n",
        event(0, "a") + b": a comment\n\n",
        b"event: x\n" + event(0, "a"),
    ],
)
def test_what_is_no_plain_stream_is_left_to_be_shown_as_it_is(body: bytes) -> None:
    assert joined(body) is None


def test_an_event_that_is_named_as_its_type_is_joined_by_its_index() -> None:
    """As Anthropic streams."""
    deltas = [
        (0, "thinking_delta", "thinking", "Hm"),
        (1, "text_delta", "text", "Hi "),
        (1, "text_delta", "text", "you"),
    ]
    body = b"".join(
        b"event: content_block_delta\ndata: %s\n\n"
        % json.dumps(
            {"type": "content_block_delta", "index": index, "delta": {"type": kind, key: text}}
        ).encode()
        for index, kind, key, text in deltas
    )
    assert joined(body) == {"0/delta/thinking": "Hm", "1/delta/text": "Hi you"}
    assert joined(body.replace(b"event: content_block_delta", b"event: other", 1)) is None


def test_lines_of_json_are_joined() -> None:
    """As Ollama streams."""
    lines = [
        {"message": {"role": "assistant", "content": text}, "done": not text} for text in ("Hi ", "you", "")
    ]
    assert joined(b"".join(json.dumps(line).encode() + b"\n" for line in lines)) == {
        "message/content": "Hi you"
    }
    assert joined(b'{"response":"a","done":false}\n{"response":"b","done":true}') == {"response": "ab"}


def test_a_tool_call_that_came_in_pieces_is_whole() -> None:
    pieces = ['{"pa', 'th": "/"}']
    calls = [{"index": 1, "function": {"arguments": piece}} for piece in pieces]
    body = b"".join(
        b"data: %s\n\n" % json.dumps({"choices": [{"index": 0, "delta": {"tool_calls": [c]}}]}).encode()
        for c in calls
    )
    assert joined(body) == {"choices/0/delta/tool_calls/1/function/arguments": '{"path": "/"}'}


def test_a_stream_is_shown_by_place_and_text() -> None:
    lines = list(conversation(event(0, "one\n") + event(0, "two"), is_answer=True))
    assert lines[1:] == [f"{FIELD_BAR}choices/0/delta/content:", f"{TEXT_BAR}one", f"{TEXT_BAR}two"]


def test_a_request_that_looks_like_a_stream_is_not_shortened() -> None:
    body = b'data: {"hidden": "instructions", "delta": "harmless"}'
    assert list(conversation(body))[1:] == [TEXT_BAR + body.decode()]
