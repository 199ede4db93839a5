"""Requests of Anthropic's messages: nothing goes by unseen, and what cannot be read stops the request."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from tests.model_apis.by_default import read_by_default
from tests.model_apis.unseen import unseen

from authz_service.errors import Unreadable
from authz_service.model_apis.anthropic import COUNT_TOKENS, MESSAGES, Anthropic
from authz_service.model_apis.anthropic_words import MESSAGES_WORDS, REFUSED
from authz_service.view.request import RequestView, Role

Wire = Callable[[str], Any]
ANTHROPIC = Anthropic()


def user(content: Any) -> dict[str, Any]:
    return {"role": "user", "content": content}


def read(**body: Any) -> RequestView:
    return read_by_default(
        ANTHROPIC, MESSAGES, {"model": "m", "max_tokens": 9, "messages": [user("hi")]} | body
    )


def refusal(**body: Any) -> Unreadable:
    with pytest.raises(Unreadable) as caught:
        read(**body)
    return caught.value


def test_every_field_of_the_reference_that_carries_text_is_seen(wire: Wire) -> None:
    body = wire("anthropic_request_everything.json")
    view = read_by_default(ANTHROPIC, MESSAGES, body)
    assert unseen(body, view, MESSAGES_WORDS) == []
    said = [field.text for field in view.texts if not field.is_number and field.text != "future_field"]
    assert all(text.startswith("TEXT") for text in said)
    assert len(said) == json.dumps(body).count("TEXT")


def test_texts_say_whose_they_are(wire: Wire) -> None:
    view = read(**wire("anthropic_request_everything.json"))
    roles = {field.text.removeprefix("TEXT "): field.role for field in view.texts}
    assert roles["system"] is Role.SYSTEM
    assert roles["first"] is roles["new-turn"] is roles["document"] is Role.USER
    assert roles["thinking"] is roles["answer"] is roles["input"] is Role.ASSISTANT
    assert roles["result"] is roles["plain-result"] is roles["found"] is Role.TOOL
    assert roles["tool-description"] is roles["metadata"] is roles["stop-1"] is Role.OTHER
    new = [field.text for field in view.texts if field.new_turn]
    assert {"TEXT result", "TEXT new-turn"} <= set(new)
    assert "TEXT first" not in new
    assert view.tools == ("TEXT tool-name",)


def test_an_answer_that_the_caller_began_belongs_to_the_new_turn() -> None:
    said, begun = ({"role": "assistant", "content": text} for text in ("said", "begun"))
    view = read(messages=[user("old"), said, user("asked"), begun])
    assert (view.new_turn, view.turn) == ("asked\nbegun", ("messages", 2))


@pytest.mark.parametrize(
    "block",
    [
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBORw0"}},
        {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": "JVB"}},
        {"type": "document", "source": {"type": "url", "url": "https://example.com/a.pdf"}},
        {"type": "document", "source": {"type": "file", "file_id": "file_1"}},
        {"type": "document"},
        {"type": "redacted_thinking", "data": "sealed"},
        {"type": "container_upload", "file_id": "file_1"},
        {"type": "web_search_tool_result", "tool_use_id": "x", "content": []},
        {"type": "tool_result", "tool_use_id": "x", "content": [{"type": "image", "source": {}}]},
        {"type": "tool_use", "id": "x", "name": "f", "input": "not an object"},
        {"type": "something_new", "text": "hello"},
        {"text": "no type"},
        "a bare string",
    ],
)
def test_content_that_is_no_text_stops_the_request(block: Any) -> None:
    assert refusal(messages=[user([block])]).status == 400


@pytest.mark.parametrize("key", ["text", "thinking"])
@pytest.mark.parametrize(
    "block",
    [
        {"type": "tool_use", "id": "x", "name": "f", "input": {"text": "a", "thinking": "b"}},
        {"type": "server_tool_use", "id": "x", "name": "f", "input": {}},
        {"type": "tool_result", "tool_use_id": "x", "content": [{"type": "text", "text": "a"}]},
        {"type": "search_result", "source": "s", "title": "t", "content": [{"type": "text", "text": "a"}]},
        {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "a"}},
    ],
)
def test_a_block_that_is_no_text_has_none_where_texts_have_theirs(block: dict[str, Any], key: str) -> None:
    for text in (" \n ", "x", ["x"]):
        error = refusal(messages=[user([block | {key: text}])])
        assert (error.code, error.status) == ("invalid_field", 400)
        assert str(error) == f"messages[0].content[0].{key}: a part of this type has no text."
    for nothing in ("", None):
        read(messages=[user([block | {key: nothing}])])
    read(messages=[user([block])])


def test_a_block_of_text_may_have_an_empty_one_of_another_type() -> None:
    view = read(messages=[user([{"type": "text", "text": "hi", "thinking": ""}])])
    assert [field.text for field in view.texts if field.text] == ["hi"]


@pytest.mark.parametrize("key", sorted(REFUSED))
def test_a_refused_field_stops_the_request_wherever_it_stands(key: str) -> None:
    value: Any = [1]
    for body in (
        {key: value},
        {key.upper(): value},
        {"messages": [{**user("hi"), key: value}]},
        {"messages": [user([{"type": "text", "text": "hi", key: value}])]},
    ):
        assert refusal(**body).code in ("unsupported_field", "ambiguous_field")
    read(**{key: None})


def test_odd_shapes_are_refused() -> None:
    odd: tuple[dict[str, Any], ...] = (
        {"messages": []},
        {"messages": "hi"},
        {"messages": [{"role": "robot", "content": "hi"}]},
        {"messages": [{"role": "user", "content": None}]},
        {"messages": [{"role": "user", "content": 5}]},
        {"system": 5},
        {"tools": {}},
        {"tools": [{"description": "no name"}]},
        {"stop_sequences": "stop"},
        {"stop_sequences": [5]},
        {"stream": "yes"},
        {"model": ""},
        {"model": 5},
        {"Messages": []},
        {"messages": [user([{"type": "text"}])]},
    )
    for body in odd:
        assert refusal(**body).status == 400, body


def test_token_counting_reads_the_same_request() -> None:
    body = {"model": "m", "messages": [user("hi")], "system": "be kind"}
    view = ANTHROPIC.read_request(COUNT_TOKENS, body)
    assert ([field.text for field in view.texts], view.operation) == (["hi", "be kind"], "count_tokens")
