"""Reversible placeholders through the real Envoy: the model sees stand-ins, the caller gets the values."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import anthropic
import openai
import pytest
from tests.e2e.people import (
    ask,
    in_background,
    said,
)
from tests.e2e.placeholders import REVERSIBLE, SEEN, TEXT, echo, streamed
from tests.e2e.stack import Stack
from tests.e2e.upstream_answers import SSE_TYPE, Answer, Received, completion, stream

TOOL: Any = {"type": "function", "function": {"name": "send_mail", "parameters": {"type": "object"}}}


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with Stack(tmp_path_factory.mktemp("placeholders"), config=REVERSIBLE) as running:
        yield running


def seen(stack: Stack) -> list[str]:
    """What the model was asked last, message by message."""
    return [message["content"] for message in stack.upstream.requests[-1].json()["messages"]]


def echo_in_pieces(size: int) -> Callable[[Received], Answer]:
    def answer(request: Received) -> Answer:
        text = request.json()["messages"][-1]["content"]
        return stream([text[at : at + size] for at in range(0, len(text), size)])

    return answer


def entries(stack: Stack, session: str, kind: str) -> list[dict[str, Any]]:
    return [event for event in stack.session(session)["events"] if event["kind"] == kind]


def test_a_whole_answer_has_the_values_and_the_record_what_crossed_on_each_side(stack: Stack) -> None:
    stack.upstream.answer_with(echo)
    raw = stack.sdk("alice", "staff").chat.completions.with_raw_response.create(
        model="llama", messages=[{"role": "user", "content": TEXT}]
    )
    assert said(raw.parse()) == TEXT
    assert seen(stack) == [SEEN]
    session = raw.headers["x-authz-session"]
    (asked,) = entries(stack, session, "request.released")
    assert asked["payloads"][0]["body"] == stack.upstream.requests[-1].body.decode()
    (answered,) = entries(stack, session, "answer.released")
    assert answered["payloads"][0]["body"] == raw.content.decode()
    assert answered["data"] == {"masked": {}, "restored": {"EMAIL_ADDRESS": 3, "CREDIT_CARD": 1}}


def test_a_stream_has_the_values_wherever_it_was_cut(stack: Stack) -> None:
    client = stack.sdk("alice", "staff")
    for size in (1, 2, 3, 5, 11, 200):
        stack.upstream.answer_with(echo_in_pieces(size))
        assert streamed(client, TEXT) == TEXT
    session = stack.cli_json("session", "list")[0]["id"]
    restored: Counter[str] = Counter()
    for event in entries(stack, session, "answer.released"):
        restored += Counter(event["data"].get("restored", {}))
    assert restored == {"EMAIL_ADDRESS": 3, "CREDIT_CARD": 1}


def test_a_stream_waits_only_for_what_could_still_become_a_placeholder(stack: Stack) -> None:
    gate = stack.upstream.gate()
    first, second, *rest = stream(["So: 1 < 2 <b>, ", "to <EMAIL_", "ADDRESS_1>."]).steps
    stack.upstream.answer_with(Answer(headers=SSE_TYPE, steps=(first, second, gate, *rest)))
    chunks = stack.sdk("alice", "staff").chat.completions.create(
        model="llama", messages=[{"role": "user", "content": "I am jane@example.com"}], stream=True
    )
    texts = (chunk.choices[0].delta.content for chunk in chunks if chunk.choices)
    assert next(texts) == "So: 1 < 2 <b>, "
    assert gate.reached.wait(60)
    gate.open()
    assert "".join(text or "" for text in texts) == "to jane@example.com."


ARGUMENTS = (
    '{"to": "<EMAIL_ADDRESS_1>", "card": "\\u003cCREDIT_CARD_1\\u003e", "who": ["<EMPLOYEE_ID_1>"], "n": 1}'
)
GIVEN = {"to": "<EMAIL_ADDRESS_1>", "card": "4111 1111 1111 1111", "who": ['E-123456"'], "n": 1}
WHO = 'jane@example.com, 4111 1111 1111 1111, E-123456"'


def test_arguments_of_a_tool_get_only_what_the_mask_says_and_stay_json(stack: Stack) -> None:
    function = {"name": "send_mail", "arguments": ARGUMENTS}
    stack.upstream.answer_with(
        completion(None, tool_calls=[{"id": "call_1", "type": "function", "function": function}])
    )
    answer = ask(stack.sdk("alice", "staff"), WHO, tools=[TOOL])
    made: Any = answer.choices[0].message.tool_calls
    assert json.loads(made[0].function.arguments) == GIVEN
    for size in (1, 4, 9):
        head = {"index": 0, "id": "call_1", "type": "function"}
        deltas = [{"tool_calls": [head | {"function": {"name": "send_mail", "arguments": ""}}]}]
        for at in range(0, len(ARGUMENTS), size):
            piece = {"arguments": ARGUMENTS[at : at + size]}
            deltas.append({"tool_calls": [{"index": 0, "function": piece}]})
        stack.upstream.answer_with(stream(deltas))
        chunks: Any = stack.sdk("alice", "staff").chat.completions.create(
            model="llama", messages=[{"role": "user", "content": WHO}], tools=[TOOL], stream=True
        )
        calls = [c for chunk in chunks if chunk.choices for c in chunk.choices[0].delta.tool_calls or ()]
        told = "".join((c.function and c.function.arguments) or "" for c in calls)
        assert json.loads(told) == GIVEN


def test_a_conversation_keeps_its_placeholders_from_turn_to_turn(stack: Stack) -> None:
    client = stack.sdk("alice", "staff")
    history: list[Any] = []
    turns = ["I am jane@example.com", "Ask bob@example.org", "Who is jane@example.com to joe@example.net?"]
    for turn in turns:
        history.append({"role": "user", "content": turn})
        stack.upstream.answer_with(echo)
        answer = client.chat.completions.create(model="llama", messages=history)
        assert said(answer) == turn
        history.append({"role": "assistant", "content": said(answer)})
    first, second = "I am <EMAIL_ADDRESS_1>", "Ask <EMAIL_ADDRESS_2>"
    third = "Who is <EMAIL_ADDRESS_1> to <EMAIL_ADDRESS_3>?"
    assert seen(stack) == [first, first, second, second, third]


def test_a_placeholder_that_a_caller_typed_is_no_oracle_and_comes_back_as_it_was(stack: Stack) -> None:
    text = "I am jane@example.com. What is <EMAIL_ADDRESS_1>, or <EMAIL_ADDRESS_2>?"
    stack.upstream.answer_with(echo)
    assert said(ask(stack.sdk("alice", "staff"), text)) == text
    assert seen(stack) == ["I am <EMAIL_ADDRESS_1>. What is <PLACEHOLDER_1>, or <PLACEHOLDER_2>?"]
    stack.upstream.answer_with(echo)
    assert said(ask(stack.sdk("alice", "staff"), "Fill in <EMAIL_ADDRESS_1>")) == "Fill in <EMAIL_ADDRESS_1>"


def test_a_placeholder_that_the_model_made_up_or_wrote_otherwise_stays(stack: Stack) -> None:
    text = "<EMAIL_ADDRESS_2> <email_address_1> <EMAIL ADDRESS 1> <CREDIT_CARD_1> <EMAIL_ADDRESS_"
    stack.upstream.answer_with(completion(text), stream([text[:5], text[5:]]))
    client = stack.sdk("alice", "staff")
    assert said(ask(client, "I am jane@example.com")) == text
    assert streamed(client, "I am jane@example.com") == text


def test_rules_and_masks_look_at_what_the_model_said_and_not_at_what_is_restored(stack: Stack) -> None:
    text = "Is AKIAIOSFODNN7EXAMPLE mine, jane@example.com?"
    stack.upstream.answer_with(echo)
    assert said(ask(stack.sdk("alice", "staff"), text)) == text
    assert seen(stack) == ["Is <AWS_ACCESS_KEY_1> mine, <EMAIL_ADDRESS_1>?"]
    stack.upstream.answer_with(completion("<EMAIL_ADDRESS_1>, not joe@example.net"))
    assert said(ask(stack.sdk("alice", "staff"), text)) == "jane@example.com, not [EMAIL_ADDRESS]"
    stack.upstream.answer_with(completion("<AWS_ACCESS_KEY_1>, not AKIAIOSFODNN7EXAMPLF"))
    with pytest.raises(openai.PermissionDeniedError, match="The answer had a key in it"):
        ask(stack.sdk("alice", "staff", max_retries=0), text)


def test_one_callers_values_never_reach_another(stack: Stack) -> None:
    gate = stack.upstream.gate()
    first, *rest = stream(["<EMAIL_ADDRESS_1>", " <EMAIL_ADDRESS_2>", "."]).steps
    stack.upstream.answer_with(Answer(headers=SSE_TYPE, steps=(first, gate, *rest)))
    jane = in_background(lambda: streamed(stack.sdk("jane", "staff"), "I am jane@example.com"))
    assert gate.reached.wait(60)
    stack.upstream.answer_with(stream(["<EMAIL_ADDRESS_1> <EMAIL_ADDRESS_2>."]))
    assert streamed(stack.sdk("mary", "staff"), "mary@example.org") == "mary@example.org <EMAIL_ADDRESS_2>."
    gate.open()
    assert jane.result(60) == "jane@example.com <EMAIL_ADDRESS_2>."


def test_the_anthropic_sdk_gets_the_values_in_texts_and_in_the_input_of_tools(stack: Stack) -> None:
    def event(name: str, **document: Any) -> bytes:
        return f"event: {name}\ndata: {json.dumps({'type': name, **document})}\n\n".encode()

    def deltas(index: int, kind: str, key: str, text: str) -> Iterator[bytes]:
        for at in range(0, len(text), 3):
            yield event("content_block_delta", index=index, delta={"type": kind, key: text[at : at + 3]})

    use = {"type": "tool_use", "id": "toolu_1", "name": "send_mail", "input": {}}
    start = {"id": "m", "type": "message", "role": "assistant", "content": [], "model": "llama"}
    usage = {"input_tokens": 3, "output_tokens": 1}
    steps = (
        event("message_start", message=start | {"stop_reason": None, "stop_sequence": None, "usage": usage}),
        event("content_block_start", index=0, content_block={"type": "text", "text": ""}),
        *deltas(0, "text_delta", "text", "To <EMAIL_ADDRESS_1>, not <EMAIL_ADDRESS_2>."),
        event("content_block_stop", index=0),
        event("content_block_start", index=1, content_block=use),
        *deltas(1, "input_json_delta", "partial_json", ARGUMENTS),
        event("content_block_stop", index=1),
        event("message_delta", delta={"stop_reason": "tool_use"}, usage={"output_tokens": 9}),
        event("message_stop"),
    )
    stack.upstream.answer_with(Answer(headers=SSE_TYPE, steps=steps))
    client = anthropic.Anthropic(base_url=stack.url, api_key=stack.token("alice", "staff"), max_retries=0)
    tool: Any = {"name": "send_mail", "input_schema": {"type": "object"}}
    with client.messages.stream(
        model="llama", max_tokens=64, messages=[{"role": "user", "content": WHO}], tools=[tool]
    ) as events:
        text, call = events.get_final_message().content
    assert text.type == "text"
    assert text.text == "To jane@example.com, not <EMAIL_ADDRESS_2>."
    assert call.type == "tool_use"
    assert call.input == GIVEN
