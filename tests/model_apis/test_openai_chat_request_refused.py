"""Chat requests that cannot be read, and how each is refused."""

from __future__ import annotations

from typing import Any

import pytest
from tests.model_apis.by_default import read_by_default
from tests.model_apis.openai_chat_bodies import CHAT, read, refusal, user

from authz_service.errors import Unreadable
from authz_service.model_apis.openai_chat import CHAT_COMPLETIONS
from authz_service.model_apis.openai_refused import REFUSED
from authz_service.model_apis.openai_words import API_KEYS, CHAT_REFUSED


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
