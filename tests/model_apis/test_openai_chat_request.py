"""Requests: no string and no key goes by unseen, and what cannot be read stops the request."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tests.model_apis.by_default import read_by_default

from authz_service.errors import Unreadable
from authz_service.model_apis.base import Operation
from authz_service.model_apis.openai_chat import CHAT_COMPLETIONS, OpenAiChat
from authz_service.model_apis.openai_refused import REFUSED
from authz_service.model_apis.openai_words import API_KEYS, CHAT_REFUSED, KEYS, selects
from authz_service.view.request import Path, RequestView, Role, TextKind

Wire = Callable[[str], Any]
CHAT = OpenAiChat()


def read(**body: Any) -> RequestView:
    return read_by_default(CHAT, CHAT_COMPLETIONS, {"model": "m", "messages": [user("hi")]} | body)


def user(content: Any, **more: Any) -> dict[str, Any]:
    return {"role": "user", "content": content, **more}


def refusal(**body: Any) -> Unreadable:
    with pytest.raises(Unreadable) as caught:
        read(**body)
    return caught.value


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


@pytest.mark.parametrize("key", sorted(CHAT_REFUSED))
def test_a_field_that_carries_content_unread_stops_the_request_with_its_reason(key: str) -> None:
    for body in ({key: [1, 2]}, {"messages": [user("hi", **{key: "x"})]}, {"chat_template_kwargs": {key: 1}}):
        error = refusal(**body)
        assert (error.code, error.status) == ("unsupported_field", 400)
        assert REFUSED[key] in str(error)
    assert read(**{key: None, "extra": {key: False}}).texts


def test_refused_fields_are_words_of_the_api_so_that_they_have_no_disguise() -> None:
    assert REFUSED.keys() <= API_KEYS
    assert all(key == key.casefold() for key in REFUSED)


@pytest.mark.parametrize(
    "part",
    [
        {"type": "image_url", "image_url": {"url": "https://x"}},
        {"type": "input_audio", "input_audio": {"data": "", "format": "wav"}},
        {"type": "file", "file": {"file_id": "f"}},
        {"type": "something new", "text": "x"},
        {"type": 5, "text": "x"},
        {"type": ["text"], "text": "x"},
        {"text": "no type"},
        {},
    ],
)
def test_a_part_that_is_not_text_stops_the_request(part: dict[str, Any]) -> None:
    error = refusal(messages=[user([{"type": "text", "text": "hi"}, part])])
    assert error.code == "unsupported_content"
    assert str(error).startswith("messages[0].content[1]: ")
    assert "something new" not in str(error)


def test_a_text_part_may_not_carry_media_beside_its_text() -> None:
    part = {"type": "text", "text": "hi", "image_url": {"url": "https://x"}}
    assert refusal(messages=[user([part])]).code == "unsupported_field"


@pytest.mark.parametrize(
    "body",
    [
        {"model": ""},
        {"model": None},
        {"model": 5},
        {"stream": "true"},
        {"stream": 1},
        {"n": "2"},
        {"n": 0},
        {"n": 129},
        {"n": True},
        {"n": 1.0},
        {"messages": []},
        {"messages": None},
        {"messages": {"role": "user"}},
        {"messages": "hi"},
        {"messages": ["hi"]},
        {"messages": [user(5)]},
        {"messages": [user({"text": "x"})]},
        {"messages": [user([5])]},
        {"messages": [user([{"type": "text", "text": 5}])]},
        {"messages": [user([{"type": "text"}])]},
        {"messages": [user("hi", name=5)]},
        {"messages": [user("hi", reasoning_content=["x"])]},
        {"messages": [user("hi", tool_call_id=7)]},
        {"messages": [user("hi", tool_calls="x")]},
        {"messages": [user("hi", tool_calls=[{"function": "x"}])]},
        {"messages": [user("hi", tool_calls=[{"function": {"name": "f", "arguments": {"a": 1}}}])]},
        {"messages": [user("hi", function_call={"name": "f", "arguments": 5})]},
        {"tools": {}},
        {"tools": ["x"]},
        {"tools": [{}]},
        {"tools": [{"type": "function", "function": {}}]},
        {"tools": [{"type": "function", "function": {"name": ""}}]},
        {"tools": [{"type": "function", "function": {"name": "f", "description": 5}}]},
        {"functions": [{"name": None}]},
        {"stop": 5},
        {"stop": ["a", 5]},
        {"modalities": "text"},
    ],
)
def test_a_wrong_type_where_meaning_depends_on_it_stops_the_request(body: dict[str, Any]) -> None:
    assert refusal(**body).code == "invalid_field"


@pytest.mark.parametrize("document", [None, [], "x", 5, True])
def test_a_body_that_is_no_object_stops_the_request(document: object) -> None:
    with pytest.raises(Unreadable):
        read_by_default(CHAT, CHAT_COMPLETIONS, document)


def test_a_body_without_messages_stops_the_request() -> None:
    with pytest.raises(Unreadable, match="messages: a list was expected"):
        read_by_default(CHAT, CHAT_COMPLETIONS, {"model": "m"})


@pytest.mark.parametrize("role", ["root", "User", "", None, 5, ["user"]])
def test_an_unknown_role_stops_the_request(role: object) -> None:
    assert refusal(messages=[{"role": role, "content": "x"}]).code == "unsupported_role"


def test_sound_cannot_be_asked_for() -> None:
    assert refusal(modalities=["text", "audio"]).code == "unsupported_field"


@pytest.mark.parametrize(
    "body",
    [
        {"Messages": [user("other")]},
        {"MODEL": "other"},
        {"messages\0": [user("other")]},
        {"messages": [user("hi", **{"content\0x": "other"})]},
        {"me\u017f\u017fages": [user("other")]},
        {"Chat_Template": "{{ x }}"},
        {"messages": [user("hi", Content="other")]},
        {"messages": [user([{"type": "text", "text": "hi", "Text": "other"}])]},
        {"messages": [user("hi", tool_calls=[{"Function": {"name": "f"}}])]},
        {"tools": [{"type": "function", "function": {"name": "f", "Name": "g"}}]},
        {"tools": [{"type": "function", "Function": {"name": "g"}}]},
        {"chat_template_kwargs": {"Chat_Template": "{{ x }}"}},
    ],
)
def test_a_key_in_other_letters_stops_the_request_since_go_servers_read_it(body: dict[str, Any]) -> None:
    assert refusal(**body).code == "ambiguous_field"


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


def test_an_unknown_list_of_numbers_stops_the_request_since_it_may_be_tokens() -> None:
    assert refusal(some_field={"ids": [1, 2, 3]}).code == "unsupported_field"
    assert refusal(messages=[user("hi", vector=[0.5])]).code == "unsupported_field"
    assert read(stop_token_ids=[1, 2], logit_bias={"50256": -100}).texts


def test_an_error_never_repeats_what_the_caller_sent() -> None:
    secret = "AKIAIOSFODNN7EXAMPLE"  # an invented key
    for body in (
        {secret: {secret: {"image_url": secret}}},
        {"messages": [user([{"type": secret}])]},
        {"messages": [{"role": secret}]},
        {secret: [1, 2]},
        {"stream": secret},
        {"n": secret},
    ):
        assert secret not in str(refusal(**body))


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
