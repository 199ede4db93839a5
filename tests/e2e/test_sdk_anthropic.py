"""The official Anthropic SDK, unchanged but for base_url and api_key, through the whole gateway."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import anthropic
import pytest
from anthropic.types import Message, TextBlock, ToolUseBlock
from tests.e2e.people import in_background
from tests.e2e.stack import Stack
from tests.e2e.upstream_answers import SSE_TYPE, Answer, whole

KEY = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp\n-----END PRIVATE KEY-----"
TOOL: Any = {
    "name": "send_mail",
    "description": "Sends a mail",
    "input_schema": {"type": "object", "properties": {"to": {"type": "string"}}},
}


def sdk(stack: Stack, subject: str, *groups: str, **options: Any) -> anthropic.Anthropic:
    key = stack.token(subject, *groups)
    return anthropic.Anthropic(base_url=stack.url, api_key=key, **{"max_retries": 0} | options)


def ask(client: anthropic.Anthropic, text: str, **options: Any) -> Message:
    said: Any = [{"role": "user", "content": text}]
    result = client.messages.create(model="llama", max_tokens=64, messages=said, **options)
    assert isinstance(result, Message)
    return result


def message(*blocks: Mapping[str, Any]) -> Answer:
    usage = {"input_tokens": 3, "output_tokens": 5}
    head = {"id": "msg_1", "type": "message", "role": "assistant", "model": "llama", "usage": usage}
    return whole(head | {"content": blocks, "stop_reason": "end_turn", "stop_sequence": None})


def text(said: str) -> Mapping[str, Any]:
    return {"type": "text", "text": said}


def event(name: str, **document: Any) -> bytes:
    return f"event: {name}\ndata: {json.dumps({'type': name, **document})}\n\n".encode()


def stream(block: Mapping[str, Any], deltas: Sequence[Mapping[str, Any]]) -> Answer:
    """A message of one block."""
    start = {"id": "msg_1", "type": "message", "role": "assistant", "content": [], "model": "llama"}
    usage = {"input_tokens": 3, "output_tokens": 1}
    events = [
        event("message_start", message=start | {"stop_reason": None, "stop_sequence": None, "usage": usage}),
        event("content_block_start", index=0, content_block=block),
        *(event("content_block_delta", index=0, delta=delta) for delta in deltas),
        event("content_block_stop", index=0),
        event("message_delta", delta={"stop_reason": "end_turn"}, usage={"output_tokens": 9}),
        event("message_stop"),
    ]
    return Answer(headers=SSE_TYPE, steps=tuple(events))


def streamed(said: str, size: int) -> Answer:
    pieces = (said[i : i + size] for i in range(0, len(said), size))
    return stream(text(""), [{"type": "text_delta", "text": piece} for piece in pieces])


def said_in(answer: Message) -> str:
    (block,) = answer.content
    assert isinstance(block, TextBlock)
    return block.text


def test_an_allowed_request_is_answered_and_on_record(stack: Stack) -> None:
    stack.upstream.answer_with(message(text("Good day.")))
    raw = sdk(stack, "alice", "staff").messages.with_raw_response.create(
        model="gpt-4o", max_tokens=9, messages=[{"role": "user", "content": "Good morning"}]
    )
    assert said_in(raw.parse()) == "Good day."
    seen = stack.upstream.requests[-1]
    assert (seen.path, seen.json()["model"]) == ("/v1/messages", "llama")
    assert seen.header("x-api-key") == []
    assert seen.header("anthropic-version") != []
    session = stack.session(raw.headers["x-authz-session"])
    (end,) = [event for event in session["events"] if event["kind"] == "exchange.ended"]
    assert (end["data"]["prompt_tokens"], end["data"]["completion_tokens"]) == (3, 5)


def test_personal_data_is_masked_both_ways(stack: Stack) -> None:
    stack.upstream.answer_with(message(text("Write to john@example.org.")))
    answer = ask(sdk(stack, "alice", "staff"), "I am jane@example.com", system="Ask joe@example.com")
    assert said_in(answer) == "Write to [EMAIL_ADDRESS]."
    sent = stack.upstream.requests[-1].json()
    assert sent["messages"][0]["content"] == "I am [EMAIL_ADDRESS]"
    assert sent["system"] == "Ask [EMAIL_ADDRESS]"


def test_a_stream_is_masked_wherever_it_was_cut(stack: Stack) -> None:
    said = "Write to john.doe@example.org, or pay with 4111 1111 1111 1111 today."
    for size in (1, 2, 7):
        stack.upstream.answer_with(streamed(said, size))
        client = sdk(stack, "alice", "staff")
        with client.messages.stream(
            model="llama", max_tokens=64, messages=[{"role": "user", "content": "Tell me"}]
        ) as events:
            final = events.get_final_message()
        assert said_in(final) == "Write to [EMAIL_ADDRESS], or pay with [CREDIT_CARD] today."
        assert (final.stop_reason, final.usage.output_tokens) == ("end_turn", 9)


def test_the_input_of_a_tool_is_masked_and_valid(stack: Stack) -> None:
    use = {"type": "tool_use", "id": "toolu_1", "name": "send_mail", "input": {}}
    arguments = '{"to": "john\\u0040example.org", "card": 4111111111111111, "n": 1}'
    pieces = [{"type": "input_json_delta", "partial_json": character} for character in arguments]
    stack.upstream.answer_with(message(use | {"input": json.loads(arguments)}), stream(use, pieces))
    for is_streamed in (False, True):
        client = sdk(stack, "alice", "staff")
        if is_streamed:
            with client.messages.stream(
                model="llama", max_tokens=64, messages=[{"role": "user", "content": "Mail"}], tools=[TOOL]
            ) as events:
                answer: Any = events.get_final_message()
        else:
            answer = ask(client, "Mail", tools=[TOOL])
        (block,) = answer.content
        assert isinstance(block, ToolUseBlock)
        assert block.input == {"to": "[EMAIL_ADDRESS]", "card": "[CREDIT_CARD]", "n": 1}


def test_a_held_request_waits_and_goes_through_when_approved(stack: Stack) -> None:
    client = sdk(stack, "carol", "contractors")
    before = len(stack.upstream.requests)
    waiting = in_background(lambda: ask(client, "Plan a party, please"))
    hold = stack.wait_for_hold()
    assert len(stack.upstream.requests) == before
    stack.upstream.answer_with(message(text("Balloons.")))
    stack.cli("hold", "approve", hold["id"], "--digest", hold["digest"], "--yes", "--reason", "fine")
    assert said_in(waiting.result(60)) == "Balloons."
    assert len(stack.upstream.requests) == before + 1


def test_refusals_are_the_sdks_own_exceptions(stack: Stack) -> None:
    before = len(stack.upstream.requests)
    with pytest.raises(anthropic.PermissionDeniedError, match="Private keys may not be sent") as denied:
        ask(sdk(stack, "alice", "staff"), f"Is this fine? {KEY}")
    body: Any = denied.value.body
    assert (body["type"], body["error"]["type"]) == ("error", "permission_error")
    assert body["error"]["code"] == "request_denied"
    assert body["request_id"] == denied.value.response.headers["x-authz-session"]
    with pytest.raises(anthropic.AuthenticationError):
        ask(anthropic.Anthropic(base_url=stack.url, api_key="sk-ant-no", max_retries=0), "Hello")
    image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBORw0"}}
    with pytest.raises(anthropic.BadRequestError, match="not text"):
        ask(sdk(stack, "alice", "staff"), [image])  # type: ignore[arg-type]  # content may be a list
    assert len(stack.upstream.requests) == before


def test_an_answer_with_a_forbidden_value_is_cut_off_before_it(stack: Stack) -> None:
    gate = stack.upstream.gate()
    whole_stream = streamed("Sure: the key is AKIAIOSFODNN7EXAMPLE ok", 6)
    first, rest = whole_stream.steps[:4], whole_stream.steps[4:]
    stack.upstream.answer_with(Answer(headers=SSE_TYPE, steps=(*first, gate, *rest)))
    said: list[str] = []
    with sdk(stack, "alice", "staff").messages.stream(
        model="llama", max_tokens=64, messages=[{"role": "user", "content": "Tell me"}]
    ) as events:
        texts = iter(events.text_stream)
        said.append(next(texts))
        gate.open()
        with pytest.raises(anthropic.APIError, match="The answer had a key in it"):
            said.extend(texts)
    assert "AKIA" not in "".join(said)


def test_tokens_are_counted_by_the_same_rules(stack: Stack) -> None:
    stack.upstream.answer_with(whole({"input_tokens": 7}))
    counted = sdk(stack, "alice", "staff").messages.count_tokens(
        model="llama", messages=[{"role": "user", "content": "I am jane@example.com"}]
    )
    assert counted.input_tokens == 7
    assert stack.upstream.requests[-1].path == "/v1/messages/count_tokens"
    assert stack.upstream.requests[-1].json()["messages"][0]["content"] == "I am [EMAIL_ADDRESS]"
