"""Requests of OpenAI's responses: nothing goes by unseen, and what cannot be read stops the request."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from tests.model_apis.by_default import read_by_default
from tests.model_apis.unseen import unseen

from authz_service.errors import Unreadable
from authz_service.model_apis.openai_responses import RESPONSES, OpenAiResponses
from authz_service.model_apis.openai_responses_words import NOT_INCLUDED, REFUSED, RESPONSES_WORDS
from authz_service.view.kept import Kept, Result
from authz_service.view.request import RequestView, Role, TextKind
from authz_service.view.unread import Kind

Wire = Callable[[str], Any]


def read(**body: Any) -> RequestView:
    return read_by_default(OpenAiResponses(), RESPONSES, {"model": "m", "input": "hi"} | body)


def refusal(**body: Any) -> Unreadable:
    with pytest.raises(Unreadable) as caught:
        read(**body)
    assert caught.value.status == 400
    return caught.value


def test_every_field_of_the_reference_that_carries_text_is_seen(wire: Wire) -> None:
    body = wire("responses_request_everything.json")
    view = read(**body)
    assert unseen(body, view, RESPONSES_WORDS) == []
    said = [field.text for field in view.texts if not field.is_number and field.text != "future_field"]
    assert all(text.startswith("TEXT") for text in said)
    assert len(said) == json.dumps(body).count("TEXT")
    assert view.stream


def test_texts_say_whose_they_are(wire: Wire) -> None:
    view = read(**wire("responses_request_everything.json"))
    roles = {field.text.removeprefix("TEXT "): field.role for field in view.texts}
    assert roles["instructions"] is roles["developer"] is Role.SYSTEM
    assert roles["first"] is roles["new-turn"] is Role.USER
    assert roles["thought"] is roles["answer"] is roles["arguments"] is roles["command"] is Role.ASSISTANT
    assert roles["output"] is roles["output-part"] is roles["custom-output"] is Role.TOOL
    assert roles["tool-description"] is roles["metadata"] is roles["user"] is Role.OTHER
    new = [field.text for field in view.texts if field.new_turn]
    assert {"TEXT shell-output", "TEXT new-turn"} <= set(new)
    assert "TEXT output" not in new
    kinds = {field.text: field.kind for field in view.texts}
    assert kinds["TEXT arguments"] is TextKind.JSON


@pytest.mark.parametrize(
    "last",
    [
        {"role": "assistant", "content": "begun"},
        {"type": "function_call", "call_id": "begun", "name": "f", "arguments": "{}"},
        {"type": "item_reference", "id": "begun"},
    ],
)
def test_what_the_model_is_said_to_have_said_at_the_end_belongs_to_the_new_turn(last: dict[str, Any]) -> None:
    messages = [{"role": role, "content": role} for role in ("user", "assistant")]
    items = [*messages, {"role": "user", "content": "asked"}, {"role": "assistant", "content": ""}, last]
    view = OpenAiResponses().read_request(RESPONSES, {"model": "m", "input": items})
    assert view.new_turn.startswith("asked")
    assert view.turn == ("input", 2)


def test_rules_see_each_tool_by_its_name_and_those_of_the_server_by_their_type(wire: Wire) -> None:
    names = ["inner-name", "namespace", "tool-name", "custom-name"]
    view = read(**wire("responses_request_everything.json"))
    assert sorted(view.tools) == sorted([*(f"TEXT {name}" for name in names), "web_search", "mcp"])


def test_a_single_text_is_the_users() -> None:
    assert read().turn == ()
    (field,) = read().texts
    assert (field.path, field.role, field.new_turn) == (("input",), Role.USER, True)


@pytest.mark.parametrize(
    "item",
    [
        {"type": "item_reference", "id": "msg_1"},
        {"type": "compaction", "encrypted_content": "sealed"},
        {"type": "reasoning", "summary": [], "encrypted_content": "sealed"},
        {"type": "image_generation_call", "id": "x", "result": "iVBORw0", "status": "completed"},
        {"type": "computer_call_output", "call_id": "x", "output": {"image_url": "https://example.com/x"}},
        {"type": "code_interpreter_call", "id": "x", "container_id": "cntr_1", "code": "1"},
        {"type": "program", "id": "x", "code": "1", "fingerprint": "sealed"},
        {"type": "something_new", "text": "hello"},
        {"role": "user", "content": [{"type": "input_image", "image_url": "data:image/png;base64,iVBORw0"}]},
        {"role": "user", "content": [{"type": "input_image", "file_id": "file_1"}]},
        {"role": "user", "content": [{"type": "input_file", "file_id": "file_1"}]},
        {"role": "user", "content": [{"type": "input_audio", "input_audio": {"data": "x"}}]},
        {"role": "user", "content": [{"text": "no type"}]},
        {"role": "robot", "content": "hi"},
        {"type": "function_call_output", "call_id": "x", "output": [{"type": "input_image"}]},
        "a bare string",
    ],
)
def test_content_that_is_no_text_stops_the_request(item: Any) -> None:
    refusal(input=[{"role": "user", "content": "hi"}, item])


@pytest.mark.parametrize("key", sorted(REFUSED))
def test_a_refused_field_stops_the_request_wherever_it_stands(key: str) -> None:
    value: Any = [1]
    for body in (
        {key: value},
        {key.upper(): value},
        {"input": [{"role": "user", "content": "hi", key: value}]},
        {"input": [{"role": "user", "content": [{"type": "input_text", "text": "hi", key: value}]}]},
        {"tools": [{"type": "mcp", key: value}]},
    ):
        assert refusal(**body).code in ("unsupported_field", "ambiguous_field")
    read(**{key: None})


@pytest.mark.parametrize(
    "tool",
    [
        {"type": "file_search", "vector_store_ids": ["vs_1"]},
        {"type": "code_interpreter", "container": "cntr_1"},
        {"type": "code_interpreter", "container": {"type": "auto", "file_ids": ["file_1"]}},
        {"type": "mcp", "server_label": "x", "server_url": "https://example.com"},
        {"type": "mcp", "server_label": "x", "connector_id": "connector_dropbox"},
        {"type": "mcp", "server_label": "x", "authorization": "token"},
        {"type": "image_generation", "input_image_mask": {"file_id": "file_1"}},
    ],
)
def test_a_tool_that_brings_content_from_elsewhere_stops_the_request(tool: Any) -> None:
    assert refusal(tools=[tool]).code == "unsupported_field"


def test_the_tools_of_an_mcp_server_are_read_as_tools_are() -> None:
    schema = {"type": "object", "properties": {"image": {"type": "string", "description": "TEXT"}}}
    tools = [{"name": "draw", "input_schema": schema, "description": "draws"}]
    view = read(input=[{"type": "mcp_list_tools", "id": "x", "server_label": "s", "tools": tools}])
    assert view.tools == ("draw",)
    assert {"TEXT", "draws"} <= {field.text for field in view.texts}


def test_what_a_rule_may_permit_is_noted_by_its_kind() -> None:
    png = "data:image/png;base64,iVBORw0KGgoAAAANSUhEUg=="
    parts = [{"type": "input_image", "image_url": png}, {"type": "input_text", "text": "what is it?"}]
    items = [
        {"role": "user", "content": parts},
        {"type": "item_reference", "id": "msg_1"},
        {"type": "reasoning", "summary": [], "encrypted_content": "sealed"},
    ]
    tools = [{"type": "code_interpreter", "container": "cntr_1"}]
    body = {"model": "m", "input": items, "tools": tools, "previous_response_id": "resp_1"}
    view = OpenAiResponses().read_request(RESPONSES, body)
    kinds = [unread.kind for unread in view.unread]
    assert sorted(kinds) == [Kind.ENCRYPTED, Kind.IMAGE, Kind.REFERENCE, Kind.REFERENCE, Kind.REFERENCE]
    assert "what is it?" in [field.text for field in view.texts]


def test_nothing_may_be_kept_by_the_model_server() -> None:
    assert "keep the answer" in str(refusal(store=True))
    assert "keep the answer" in str(refusal(background=True))
    assert "kept elsewhere" in str(refusal(previous_response_id="resp_1"))
    assert "kept elsewhere" in str(refusal(conversation={"id": "conv_1"}))
    assert "kept elsewhere" in str(refusal(prompt={"id": "pmpt_1"}))


@pytest.mark.parametrize("wanted", sorted(NOT_INCLUDED))
def test_what_cannot_be_read_may_not_be_included_in_the_answer(wanted: str) -> None:
    assert refusal(include=["message.output_text.logprobs", wanted]).code == "unsupported_field"
    assert refusal(include=[wanted.upper()]).code == "unsupported_field"


def test_odd_shapes_are_refused() -> None:
    odd: tuple[dict[str, Any], ...] = (
        {"input": None},
        {"input": 5},
        {"input": [5]},
        {"input": [{"role": "user", "content": 5}]},
        {"input": [{"type": 5}]},
        {"instructions": ["be kind"]},
        {"tools": {}},
        {"tools": [{"name": ""}]},
        {"tools": [{"description": "no name"}]},
        {"tools": [{"type": "namespace", "name": "x", "tools": "y"}]},
        {"include": "all"},
        {"stream": "yes"},
        {"model": ""},
        {"Input": "hi"},
    )
    for body in odd:
        refusal(**body)


def kept(*items: dict[str, Any]) -> list[Kept]:
    """What a request with these items names of other exchanges."""
    body = {"model": "m", "input": [*items, {"role": "user", "content": "Go on."}]}
    view = OpenAiResponses().read_request(RESPONSES, body)
    assert all(unread.kind in (Kind.REFERENCE, Kind.ENCRYPTED) for unread in view.unread)
    return [unread.kept for unread in view.unread if unread.kept is not None]


SUMMARY = [{"type": "summary_text", "text": "I thought."}]


@pytest.mark.parametrize(
    "item",
    [
        {"type": "reasoning", "summary": []},
        {"type": "reasoning", "summary": SUMMARY, "content": [], "encrypted_content": None},
        {"type": "reasoning", "summary": [], "encrypted_content": ""},
        {"role": "user"},  # an item_reference, whose type may be left out
        {"role": "assistant", "content": []},
        {"type": "message", "role": "assistant", "content": None, "status": "completed"},
        {"type": "function_call", "call_id": "call_1", "name": "send"},
        {"type": "mcp_list_tools", "server_label": "mail", "tools": []},
        {"type": "mcp_call", "server_label": "mail", "name": "send", "arguments": "{}"},
        {"type": "mcp_approval_request", "server_label": "mail", "name": "send"},
        {"type": "web_search_call", "status": "completed", "action": {"type": "search", "query": "x"}},
        {"type": "file_search_call", "queries": ["x"], "results": None},
        {"type": "compaction"},
    ],
)
def test_an_item_without_a_content_of_its_own_names_what_is_kept(item: dict[str, Any]) -> None:
    assert kept(item | {"id": "x_1"}) == [Kept(Result.ITEM, "x_1")]
    assert kept(item | {"id": ["x_1"]}) == [Kept(Result.ITEM, "")]
    assert kept(item) == []
    assert kept(item | {"id": None}) == []
    assert "names by its id what is kept elsewhere" in str(refusal(input=[{"id": "x_1"} | item]))


def test_what_an_item_says_beside_the_name_of_what_is_kept_is_text() -> None:
    item = {"type": "reasoning", "id": "rs_1", "summary": SUMMARY, "new": "more"}
    view = OpenAiResponses().read_request(RESPONSES, {"model": "m", "input": [item]})
    assert [(field.text, field.role) for field in view.texts] == [
        (text, Role.ASSISTANT) for text in ("rs_1", "I thought.", "new", "more")
    ]


@pytest.mark.parametrize(
    "item",
    [
        {"type": "reasoning", "summary": [], "content": [{"type": "reasoning_text", "text": "I think."}]},
        {"type": "reasoning", "summary": SUMMARY, "encrypted_content": "sealed"},
        {"role": "assistant", "content": "Hello."},
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Hello."}]},
        {"type": "function_call", "call_id": "call_1", "name": "now", "arguments": ""},
        {"type": "function_call_output", "call_id": "call_1", "output": ""},
        {"type": "custom_tool_call", "call_id": "call_1", "name": "now", "input": ""},
        {"type": "local_shell_call", "call_id": "call_1", "action": {"type": "exec", "command": ["ls"]}},
        {"type": "mcp_list_tools", "server_label": "mail", "tools": [{"name": "send", "input_schema": {}}]},
        {"type": "mcp_call", "server_label": "mail", "name": "send", "arguments": "{}", "output": ""},
        {"type": "file_search_call", "queries": ["x"], "results": [{"text": "found"}]},
    ],
)
def test_what_sdks_send_back_of_an_answer_needs_no_permission_where_it_is_all_there(item: Any) -> None:
    assert kept(item | {"id": "x_1"}) == []


def test_an_approval_is_of_a_request_in_the_same_input_or_of_one_that_is_kept() -> None:
    answer = {"type": "mcp_approval_response", "approval_request_id": "mcpr_1", "approve": True}
    request = {"type": "mcp_approval_request", "id": "mcpr_1", "server_label": "mail", "name": "send"}
    whole = request | {"arguments": "{}"}
    named = Kept(Result.ITEM, "mcpr_1")
    assert kept(whole, answer) == []
    assert kept(answer, whole | {"id": "mcpr_2"}) == [named]
    assert kept(request, answer) == [named, named]
    assert kept(answer | {"approval_request_id": 1}) == [Kept(Result.ITEM, "")]
    assert kept(answer | {"approval_request_id": None}) == []
    assert "not in the input" in str(refusal(input=[answer]))


def test_what_llama_server_thought_goes_back_to_it_with_its_empty_seal() -> None:
    thought = [{"type": "reasoning_text", "text": "I think."}]
    item = {"type": "reasoning", "id": "rs_1", "summary": [], "content": thought, "encrypted_content": ""}
    assert [field.text for field in read(input=[item]).texts] == ["rs_1", "I think.", ""]
    assert refusal(input=[item | {"encrypted_content": " "}]).code == "unsupported_field"
