"""OpenAI's responses with its SDK, unchanged but for base_url and api_key, through the whole gateway."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import openai
import pytest
from openai.types.responses import Response, ResponseFunctionToolCall
from tests.e2e.people import in_background
from tests.e2e.stack import Stack
from tests.e2e.upstream_answers import SSE_TYPE, Answer, whole
from tests.inspection.dialects.responses import tell

KEY = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp\n-----END PRIVATE KEY-----"
SAID = "Write to john.doe@example.org, or pay with 4111 1111 1111 1111 today."
MASKED = "Write to [EMAIL_ADDRESS], or pay with [CREDIT_CARD] today."
TOOL: Any = {
    "type": "function",
    "name": "send_mail",
    "description": "Sends a mail",
    "parameters": {"type": "object", "properties": {"to": {"type": "string"}}},
    "strict": False,
}
ARGUMENTS = '{"to": "john\\u0040example.org", "card": 4111111111111111, "n": 1}'


def message(text: str, **part: Any) -> dict[str, Any]:
    said = {"type": "output_text", "text": text, "annotations": [], "logprobs": []} | part
    return {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "content": [said]}


def response(*items: dict[str, Any]) -> Answer:
    usage = {"input_tokens": 3, "output_tokens": 5, "total_tokens": 8}
    head = {"id": "resp_1", "object": "response", "created_at": 1, "model": "llama", "status": "completed"}
    return whole(head | {"output": items, "usage": usage, "tools": [], "parallel_tool_calls": True})


def streamed(text: str, size: int, name: str = "text") -> Answer:
    pieces = [(name, text[i : i + size]) for i in range(0, len(text), size)]
    events = tell(pieces).split(b"\n\n")[:-1]
    return Answer(headers=SSE_TYPE, steps=tuple(event + b"\n\n" for event in events))


def ask(client: openai.OpenAI, said: Any, **options: Any) -> Response:
    answer = client.responses.create(model="llama", input=said, **options)
    assert isinstance(answer, Response)
    return answer


def test_an_allowed_request_is_answered_and_on_record(stack: Stack) -> None:
    stack.upstream.answer_with(response(message("Good day.")))
    raw = stack.sdk("alice", "staff").responses.with_raw_response.create(model="gpt-4o", input="Good morning")
    assert raw.parse().output_text == "Good day."
    seen = stack.upstream.requests[-1]
    assert (seen.path, seen.json()["model"]) == ("/v1/responses", "llama")
    session = stack.session(raw.headers["x-authz-session"])
    (end,) = [event for event in session["events"] if event["kind"] == "exchange.ended"]
    assert (end["data"]["prompt_tokens"], end["data"]["completion_tokens"]) == (3, 5)


def test_personal_data_is_masked_both_ways(stack: Stack) -> None:
    stack.upstream.answer_with(response(message(SAID)))
    said = [{"role": "user", "content": [{"type": "input_text", "text": "I am jane@example.com"}]}]
    answer = ask(stack.sdk("alice", "staff"), said, instructions="Ask joe@example.com")
    assert answer.output_text == MASKED
    sent = stack.upstream.requests[-1].json()
    assert sent["input"][0]["content"][0]["text"] == "I am [EMAIL_ADDRESS]"
    assert sent["instructions"] == "Ask [EMAIL_ADDRESS]"


@pytest.mark.parametrize("size", [1, 2, 7])
def test_a_stream_is_masked_in_every_telling_wherever_it_was_cut(stack: Stack, size: int) -> None:
    stack.upstream.answer_with(streamed(SAID, size))
    with stack.sdk("alice", "staff").responses.stream(model="llama", input="Tell me") as stream:
        events: list[Any] = list(stream)
        final = stream.get_final_response()
    deltas = [event.delta for event in events if event.type == "response.output_text.delta"]
    (done,) = [event.text for event in events if event.type == "response.output_text.done"]
    assert "".join(deltas) == done == final.output_text == MASKED
    assert (final.status, final.usage and final.usage.output_tokens) == ("completed", 9)


def test_a_clean_stream_arrives_byte_for_byte(stack: Stack) -> None:
    answer = streamed("Nothing to see here.", 3)
    stack.upstream.answer_with(answer)
    body = {"model": "llama", "input": "Tell me", "stream": True}
    received = stack.post(body, "staff", path="/v1/responses")
    assert received.content == b"".join(step for step in answer.steps if isinstance(step, bytes))


@pytest.mark.parametrize("is_streamed", [False, True])
def test_the_arguments_of_a_tool_are_masked_and_valid(stack: Stack, is_streamed: bool) -> None:
    call = {"type": "function_call", "id": "fc_1", "call_id": "call_1", "name": "send_mail"}
    client = stack.sdk("alice", "staff")
    if is_streamed:
        stack.upstream.answer_with(streamed(ARGUMENTS, 1, "arguments"))
        with client.responses.stream(model="llama", input="Mail John", tools=[TOOL]) as stream:
            answer: Any = stream.get_final_response()
    else:
        stack.upstream.answer_with(response(call | {"arguments": ARGUMENTS, "status": "completed"}))
        answer = ask(client, "Mail John", tools=[TOOL])
    (item,) = answer.output
    assert isinstance(item, ResponseFunctionToolCall)
    assert json.loads(item.arguments) == {"to": "[EMAIL_ADDRESS]", "card": "[CREDIT_CARD]", "n": 1}


def test_a_held_request_waits_and_goes_through_when_approved(stack: Stack) -> None:
    client = stack.sdk("carol", "contractors", max_retries=0)
    before = len(stack.upstream.requests)
    waiting = in_background(lambda: ask(client, "Plan a feast, please"))
    hold = stack.wait_for_hold()
    assert len(stack.upstream.requests) == before
    stack.upstream.answer_with(response(message("Cake.")))
    stack.cli("hold", "approve", hold["id"], "--digest", hold["digest"], "--yes", "--reason", "fine")
    assert waiting.result(60).output_text == "Cake."
    assert len(stack.upstream.requests) == before + 1


def test_refusals_are_the_sdks_own_exceptions(stack: Stack) -> None:
    before = len(stack.upstream.requests)
    client = stack.sdk("alice", "staff", max_retries=0)
    with pytest.raises(openai.PermissionDeniedError, match="Private keys may not be sent") as denied:
        ask(client, f"Is this fine? {KEY}")
    assert denied.value.code == "request_denied"
    with pytest.raises(openai.BadRequestError, match="kept elsewhere"):
        ask(client, "And then?", previous_response_id="resp_1")
    with pytest.raises(openai.BadRequestError, match="keep the answer"):
        ask(client, "Later, please", background=True)
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve("resp_1")
    assert len(stack.upstream.requests) == before


def test_an_answer_with_a_forbidden_value_is_cut_off_before_it(stack: Stack) -> None:
    gate = stack.upstream.gate()
    steps = streamed("Sure: the key is AKIAIOSFODNN7EXAMPLE ok", 6).steps
    stack.upstream.answer_with(Answer(headers=SSE_TYPE, steps=(*steps[:5], gate, *steps[5:])))
    events = iter(stack.sdk("alice", "staff").responses.create(model="llama", input="Tell me", stream=True))
    said: list[str] = []
    while not said:
        event: Any = next(events)
        said += [event.delta] if event.type == "response.output_text.delta" else []
    gate.open()
    with pytest.raises(openai.APIError, match="The answer had a key in it"):
        said.extend(getattr(event, "delta", "") for event in events)
    assert "AKIA" not in "".join(said)


def test_what_is_told_several_times_is_found_once(stack: Stack) -> None:
    stack.upstream.answer_with(streamed(SAID, 5))
    raw = stack.sdk("alice", "staff").responses.with_raw_response.create(
        model="llama", input="Tell me once", stream=True
    )
    list(raw.parse())
    session = stack.session(raw.headers["x-authz-session"])
    released = [event for event in session["events"] if event["kind"] == "answer.released"]
    masked = sum((Counter(event["data"]["masked"]) for event in released), Counter[str]())
    assert masked == {"CREDIT_CARD": 1, "EMAIL_ADDRESS": 1}
