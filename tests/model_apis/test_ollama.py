"""Ollama's API: nothing goes by unseen, and tokens stop the request or are cleared."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.model_apis.by_default import read_by_default

from authz_service.errors import Unreadable
from authz_service.model_apis.base import ApiError, Operation
from authz_service.model_apis.ollama import CHAT, EMBED, EMBEDDINGS, GENERATE, Ollama
from authz_service.model_apis.ollama_words import REFUSED
from authz_service.view.answer import AnswerFrame, Usage
from authz_service.view.request import RequestView, Role

OLLAMA = Ollama()


def read(operation: Operation, body: dict[str, Any]) -> RequestView:
    return read_by_default(OLLAMA, operation, {"model": "m"} | body)


def chat(*messages: dict[str, Any], **more: Any) -> RequestView:
    return read(CHAT, {"messages": list(messages)} | more)


def said(view: RequestView) -> list[str]:
    return [field.text for field in view.texts]


def answered(*documents: Any, operation: Operation = CHAT) -> list[AnswerFrame]:
    request = RequestView("ollama", operation.name, "m", True, ())
    reader = OLLAMA.answer_reader(request)
    return [reader.read(document) for document in documents]


def test_every_text_of_a_chat_is_seen_and_says_whose_it_is() -> None:
    arguments = {"a key": ["a value", 4111111111111111]}
    call = {"id": "an id", "function": {"index": 0, "name": "a name", "arguments": arguments}}
    view = chat(
        {"role": "system", "content": "be kind"},
        {"role": "user", "content": "question"},
        {"role": "assistant", "content": "answer", "thinking": "thought", "tool_calls": [call]},
        {"role": "tool", "content": "result", "tool_name": "a tool"},
        format={"type": "object", "properties": {"a field": {"type": "string"}}},
        options={"stop": ["a stop"], "temperature": 0.5, "seed": 7},
        keep_alive="5m",
        new={"another key": "another value"},
    )
    roles = {field.text: field.role for field in view.texts}
    assert roles["be kind"] is Role.SYSTEM
    assert roles["question"] is Role.USER
    assert roles["answer"] is roles["thought"] is roles["a value"] is roles["a key"] is Role.ASSISTANT
    assert roles["result"] is roles["a tool"] is Role.TOOL
    others = {"a field", "a stop", "5m", "new", "another key", "another value"}
    assert {text for text, role in roles.items() if role is Role.OTHER} >= others
    assert {"an id", "a name", "4111111111111111"} <= roles.keys()
    assert [field.text for field in view.texts if field.new_turn] == ["result", "a tool"]
    assert view.parameters["temperature"] == 0.5


def test_an_answer_that_the_caller_began_belongs_to_the_new_turn() -> None:
    said, begun = ({"role": "assistant", "content": text} for text in ("said", "begun"))
    old, asked = ({"role": "user", "content": text} for text in ("old", "asked"))
    view = chat(old, said, asked, begun)
    assert (view.new_turn, view.turn) == ("asked\nbegun", ("messages", 2))


def test_tools_are_named() -> None:
    function = {"name": "send", "description": "sends", "parameters": {"type": "object", "properties": {}}}
    view = chat({"role": "user", "content": "x"}, tools=[{"type": "function", "function": function}])
    assert (view.tools, said(view)) == (("send",), ["x", "send", "sends"])


def test_answers_are_streamed_unless_the_request_says_no() -> None:
    assert read(GENERATE, {"prompt": "x"}).stream
    assert read(CHAT, {"messages": [], "stream": None}).stream
    assert not read(CHAT, {"messages": [], "stream": False}).stream
    assert not read(EMBED, {"input": "x", "stream": True}).stream


def test_what_is_generated_from_and_embedded_is_text() -> None:
    view = read(GENERATE, {"prompt": "one", "suffix": "two", "system": "three", "raw": True})
    assert said(view) == ["one", "two", "three"]
    assert said(read(EMBED, {"input": ["one", "two"]})) == ["one", "two"]
    assert said(read(EMBED, {"input": "one"})) == said(read(EMBEDDINGS, {"prompt": "one"})) == ["one"]


@pytest.mark.parametrize(
    ("operation", "body"),
    [
        (GENERATE, {"prompt": "x", "context": [1, 2]}),
        (GENERATE, {"prompt": "x", "template": "{{ .Prompt }}"}),
        (GENERATE, {"prompt": "x", "images": ["aGVsbG8="]}),
        (GENERATE, {"prompt": ["x"]}),
        (GENERATE, {"prompt": 5}),
        (CHAT, {"messages": "x"}),
        (CHAT, {"messages": [{"role": "user", "content": "x", "images": ["aGVsbG8="]}]}),
        (CHAT, {"messages": [{"role": "user", "content": ["x"]}]}),
        (CHAT, {"messages": [{"role": "robot", "content": "x"}]}),
        (CHAT, {"Messages": []}),
        (CHAT, {"messages": [{"role": "user", "content": "x"}], "prompt_logprobs": 1}),
        (CHAT, {"messages": [{"role": "assistant", "tool_calls": [{"function": "x"}]}]}),
        (EMBED, {"input": [1, 2]}),
        (EMBED, {"input": [["x"]]}),
        (EMBEDDINGS, {"prompt": [1]}),
    ],
)
def test_what_cannot_be_read_stops_the_request(operation: Operation, body: dict[str, Any]) -> None:
    with pytest.raises(Unreadable):
        read(operation, body)


@pytest.mark.parametrize("key", sorted(REFUSED))
def test_a_refused_field_stops_the_request(key: str) -> None:
    for operation in (CHAT, GENERATE, EMBED):
        with pytest.raises(Unreadable):
            read(operation, {"messages": [], "prompt": "x", "input": "x"} | {key: [1]})


def test_text_goes_on_from_line_to_line_and_ends_when_it_is_done() -> None:
    head = {"model": "m", "created_at": "2026-01-01"}
    first, second, last = answered(
        {**head, "message": {"role": "assistant", "content": "", "thinking": "hm"}, "done": False},
        {**head, "message": {"role": "assistant", "content": "yes"}, "done": False},
        {
            **head,
            "message": {"role": "assistant", "content": ""},
            "done": True,
            "total_duration": 5191566416,
            "eval_count": 2,
            "prompt_eval_count": 3,
        },
    )
    assert [f.text for f in first.fields if f.channel == "thinking"] == ["hm"]
    assert [f.text for f in second.fields if f.channel == "content"] == ["yes"]
    assert {"content", "thinking", "response"} <= set(last.ended)
    assert (last.closes, last.usage) == (True, Usage(3, 2))
    assert "5191566416" not in [field.text for field in last.fields]


def test_a_tool_call_is_complete_and_its_numbers_are_looked_at() -> None:
    call = {"function": {"name": "pay", "arguments": {"card": 4111, "to": "me"}}}
    (frame,) = answered({"message": {"role": "assistant", "content": "", "tool_calls": [call]}})
    assert {"pay", "card", "4111", "to", "me"} <= {field.text for field in frame.fields}


def test_tokens_are_cleared() -> None:
    logprobs = [{"token": "x", "logprob": -1.0}]
    (frame,) = answered({"response": "x", "context": [1, 2], "logprobs": logprobs * 2, "done": True})
    assert frame.cleared == (("context",), ("logprobs",))


def test_vectors_pass_and_what_stands_beside_them_is_looked_at() -> None:
    (frame,) = answered(
        {"model": "m", "embeddings": [[0.5, 1], [2, 3]], "total_duration": 14143917, "note": "a note"},
        operation=EMBED,
    )
    assert ([field.text for field in frame.fields], frame.cleared) == (["m", "note", "a note"], ())
    (frame,) = answered({"embedding": [0.5]}, operation=EMBEDDINGS)
    assert frame.fields == ()
    (frame,) = answered({"embeddings": [["text"]]}, operation=EMBED)
    assert [field.text for field in frame.fields] == ["text"]


def test_what_is_no_answer_ends_it() -> None:
    odd: tuple[Any, ...] = (5, {}, {"choices": []}, {"message": {"content": 5}})
    for document in odd:
        with pytest.raises(Unreadable) as caught:
            answered(document)
        assert caught.value.status == 502


def test_errors_have_the_shape_of_the_api() -> None:
    error = ApiError(403, "request_denied", "No.", "ses_1", {"rule": "r"})
    body = {"rule": "r", "session": "ses_1", "error": "No.", "code": "request_denied"}
    assert json.loads(OLLAMA.error_body(error)) == body
    assert OLLAMA.error_event(error) == OLLAMA.error_body(error) + b"\n"


def test_what_stands_in_the_other_place_is_no_part_of_the_text() -> None:
    (frame,) = answered({"message": {"content": "a", "thinking": "b"}, "content": "x", "thinking": "y"})
    assert {field.text: field.channel for field in frame.fields} == {
        "a": "content",
        "b": "thinking",
        "x": "~/content",
        "y": "~/thinking",
    }
    (frame,) = answered({"response": "a", "message": {"response": "x"}, "done": True}, operation=GENERATE)
    assert {field.text: field.channel for field in frame.fields} == {"a": "response", "x": "~/response"}
    assert {"response", "~/response"} <= set(frame.ended)
