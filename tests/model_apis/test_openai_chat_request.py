"""Requests: no string and no key goes by unseen, and what cannot be read stops the request."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tests.model_apis.by_default import read_by_default
from tests.model_apis.openai_chat_bodies import (
    CHAT,
    anything,
    extras,
    free_form,
    messages,
    read,
    tools,
    user,
)

from authz_service.errors import Unreadable
from authz_service.model_apis.base import Operation
from authz_service.model_apis.openai_chat import CHAT_COMPLETIONS, OpenAiChat
from authz_service.model_apis.openai_words import API_KEYS, KEYS, selects
from authz_service.view.request import Path, RequestView, Role, TextKind

Wire = Callable[[str], Any]


def at(document: Any, path: Path) -> Any:
    for step in path:
        document = document[step]
    return document


def leaves(value: Any, path: Path = (), key: str = "") -> Iterator[tuple[Path, str, Any]]:
    """Every scalar with its path and the key nearest above it; a second, simpler reader."""
    if isinstance(value, dict):
        for name, item in value.items():
            yield from leaves(item, (*path, name), name)
    elif isinstance(value, list):
        for i, item in enumerate(value):
            yield from leaves(item, (*path, i), key)
    else:
        yield path, key, value


def keys(value: Any, path: Path = ()) -> Iterator[Path]:
    if isinstance(value, dict):
        for name, item in value.items():
            yield (*path, name)
            yield from keys(item, (*path, name))
    elif isinstance(value, list):
        for i, item in enumerate(value):
            yield from keys(item, (*path, i))


def unseen(body: Any, view: RequestView) -> list[Path]:
    """Paths of what the view does not show though it may carry somebody's text."""
    values = {field.path: field for field in view.texts if not field.is_key}
    named = {field.path for field in view.texts if field.is_key}
    missing = [path for path in keys(body) if path[-1] not in KEYS and path not in named]
    for path, key, value in leaves(body):
        if isinstance(value, str):
            is_known = path == ("model",) or selects(key, value)
            is_seen = path in values and values[path].text == value
            missing += [] if is_known or is_seen else [path]
        elif isinstance(value, int | float) and not isinstance(value, bool) and len(path) > 1:
            missing += [] if path in values and values[path].is_number else [path]
    return missing


def test_every_field_of_the_reference_that_carries_text_is_seen(
    chat: OpenAiChat, operation: Operation, wire: Wire
) -> None:
    body = wire("openai_request_everything.json")
    view = chat.read_request(operation, body)
    assert unseen(body, view) == []
    plain = [field for field in view.texts if not field.is_number and field.text != "future_field"]
    assert all(field.text.startswith("TEXT") or field.kind is TextKind.JSON for field in plain)
    assert sum(str(field.text).count("TEXT") for field in plain) == json.dumps(body).count("TEXT")


def test_texts_stand_in_the_order_of_the_document_and_say_whose_they_are(
    chat: OpenAiChat, operation: Operation, wire: Wire
) -> None:
    view = chat.read_request(operation, wire("openai_request_everything.json"))
    roles = {field.text.removeprefix("TEXT "): field.role for field in view.texts}
    assert roles["developer"] is roles["system-part"] is Role.SYSTEM
    assert roles["user-part-1"] is roles["user-name"] is roles["new-turn"] is Role.USER
    assert roles["refusal"] is roles["reasoning"] is roles["custom-input"] is Role.ASSISTANT
    assert roles["tool-result"] is roles["function-result"] is Role.TOOL
    assert roles["tool-description"] is roles["metadata-key"] is roles["stop-1"] is Role.OTHER
    users = [field.text for field in view.texts if field.role is Role.USER and not field.is_key]
    assert users[:2] == ["TEXT user-part-1", "TEXT user-part-2"]


def test_the_new_turn_is_what_came_after_the_last_answer(wire: Wire) -> None:
    view = read(**wire("openai_request_everything.json"))
    texts = [field.text for field in view.texts if field.new_turn]
    assert texts[:2] == ["TEXT call-id", "TEXT tool-result"]
    assert "TEXT new-turn" in texts
    assert not any("developer" in text or "metadata" in text for text in texts)


def test_without_an_answer_everything_is_the_new_turn() -> None:
    assert read(messages=[{"role": "system", "content": "a"}, user("b")]).new_turn == "a\nb"


@pytest.mark.parametrize("begun", ["Sure: ", ""])
def test_an_answer_that_the_caller_began_belongs_to_the_new_turn(begun: str) -> None:
    assistant = {"role": "assistant", "content": begun}
    old = [user("old"), {"role": "assistant", "content": "said"}]
    view = read(messages=[*old, user("asked"), assistant])
    assert (view.new_turn, view.turn) == (f"asked\n{begun}", ("messages", 2))
    assert read(messages=[*old, user("asked"), assistant, assistant]).new_turn.startswith("asked")


def test_answers_alone_are_all_the_new_turn() -> None:
    said = [{"role": "assistant", "content": text} for text in ("a", "b")]
    assert read(messages=said).new_turn == "a\nb"


def test_arguments_are_json_texts() -> None:
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    view = read(messages=[{"role": "assistant", "tool_calls": [call]}])
    assert [field.text for field in view.texts if field.kind is TextKind.JSON] == ["{}"]


def test_the_parameters_are_the_scalars_and_the_words_that_select() -> None:
    view = read(temperature=0.5, n=3, stream=True, user="me", reasoning_effort="low", stop="x", seed=None)
    assert view.parameters == {"temperature": 0.5, "n": 3, "stream": True, "reasoning_effort": "low"}
    assert (view.choices, view.stream) == (3, True)


def test_a_word_that_does_not_select_is_a_text() -> None:
    view = read(tool_choice="a secret", reasoning_effort="another")
    assert [field.text for field in view.texts] == ["hi", "a secret", "another"]
    assert "tool_choice" not in view.parameters


def test_tokens_are_estimated_as_a_quarter_of_the_characters_rounded_up() -> None:
    assert read(messages=[user("x" * 9)]).token_estimate == 3


def test_tools_are_named(wire: Wire) -> None:
    view = read(**wire("openai_request_everything.json"))
    assert view.tools == ("TEXT tool-name", "TEXT custom-tool", "TEXT old-tool")
    assert read(tools=[{"type": "web_search"}]).tools == ("web_search",)


def test_a_number_in_a_tools_schema_is_seen_since_the_prompt_shows_it() -> None:
    schema = {"properties": {"card": {"default": 4111111111111111}}}
    view = read(tools=[{"type": "function", "function": {"name": "f", "parameters": schema}}])
    assert [field.text for field in view.texts if field.is_number] == ["4111111111111111"]


def test_a_part_may_have_an_empty_text_of_another_type() -> None:
    part = {"type": "text", "text": "hi", "refusal": "", "thinking": None}
    view = read(messages=[user([part, {"type": "refusal", "refusal": "no", "text": ""}])])
    assert [field.text for field in view.texts if field.text] == ["hi", "no"]


def test_users_own_names_in_a_schema_may_look_like_the_apis() -> None:
    schema = {"properties": {"Model": {"type": "string"}, "image": {"type": "string"}}}
    assert read(tools=[{"type": "function", "function": {"name": "f", "parameters": schema}}]).texts
    assert read(metadata={"User": "me", "tokens": "5"}).texts


def test_objects_of_other_apis_keep_their_own_types() -> None:
    assert read(reasoning={"effort": "high"}, documents=[{"id": 5, "Title": "x"}], thinking={"type": "on"})


def test_a_number_in_a_field_that_nobody_knows_is_a_text() -> None:
    view = read(card=4111111111111111, seed=4111111111111111)
    assert [(field.path, field.text) for field in view.texts if field.is_number] == [
        (("card",), "4111111111111111")
    ]


bodies = st.builds(
    lambda said, more, free, given_tools: (
        {"model": "m", "messages": said, "tools": given_tools} | more | {"metadata": free}
    ),
    st.lists(messages, min_size=1, max_size=3),
    extras,
    free_form,
    st.lists(tools, max_size=2),
)


@settings(max_examples=400, deadline=None)
@given(bodies)
@example({"model": "m", "messages": [{"role": "user", "content": None, "own": 2**53 + 1}]})
@example({"model": "m", "messages": [{"role": "user", "content": None, "own": 2.0**-24}]})
def test_every_string_key_and_inner_number_of_any_body_is_a_text_or_on_the_selecting_list(body: Any) -> None:
    try:
        view = read_by_default(CHAT, CHAT_COMPLETIONS, body)
    except Unreadable:
        return
    assert unseen(body, view) == []
    for field in view.texts:
        if field.is_key:
            at(body, field.path)
            assert field.path[-1] == field.text
        elif field.is_number:
            value, readings = at(body, field.path), field.text.split("\n")
            assert readings[0] == str(value) or "e" in str(value)
            assert {float(reading) for reading in readings} == {float(value)}
        else:
            assert at(body, field.path) == field.text


@settings(max_examples=150, deadline=None)
@given(st.dictionaries(st.sampled_from(sorted(API_KEYS)), anything, max_size=4) | anything)
def test_any_document_is_read_or_refused_and_nothing_else(document: Any) -> None:
    body = {"model": "m", "messages": [user("hi")]} | document if isinstance(document, dict) else document
    try:
        view = read_by_default(CHAT, CHAT_COMPLETIONS, body)
    except Unreadable:
        return
    assert unseen(body, view) == []
