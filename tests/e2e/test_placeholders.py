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
    approve,
    ask,
    asking,
    contractor,
    hold_of,
    in_background,
    received,
    said,
    state_of,
)
from tests.e2e.stack import CONFIG, Stack
from tests.e2e.upstream_answers import SSE_TYPE, Answer, Received, completion, stream

_MASKS = """\
masks:
  - {{name: people, in: [requests], entities: [EMAIL_ADDRESS, AWS_ACCESS_KEY], with: placeholder}}
  - name: cards
    in: [requests]
    entities: [CREDIT_CARD, EMPLOYEE_ID]
    with: placeholder
    restore: [text, tool_arguments]
  - {{name: answers, in: [answers], entities: [EMAIL_ADDRESS, CREDIT_CARD]}}
detectors:
  - {{name: EMPLOYEE_ID, pattern: 'E-\\d{{6}}"?'}}
"""
_BEFORE, _, _REST = CONFIG.partition("masks:\n")
_FILE = _BEFORE + _MASKS + "holds:" + _REST.partition("holds:")[2]
TEXT = "Mail jane@example.com and bob@example.org, card 4111 1111 1111 1111, jane@example.com"
SEEN = "Mail <EMAIL_ADDRESS_1> and <EMAIL_ADDRESS_2>, card <CREDIT_CARD_1>, <EMAIL_ADDRESS_1>"
TOOL: Any = {"type": "function", "function": {"name": "send_mail", "parameters": {"type": "object"}}}


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with Stack(tmp_path_factory.mktemp("placeholders"), config=_FILE) as running:
        yield running


def seen(stack: Stack) -> list[str]:
    """What the model was asked last, message by message."""
    return [message["content"] for message in stack.upstream.requests[-1].json()["messages"]]


def echo(request: Received) -> Answer:
    """A model that says what it was told last."""
    return completion(request.json()["messages"][-1]["content"])


def echo_in_pieces(size: int) -> Callable[[Received], Answer]:
    def answer(request: Received) -> Answer:
        text = request.json()["messages"][-1]["content"]
        return stream([text[at : at + size] for at in range(0, len(text), size)])

    return answer


def streamed(client: openai.OpenAI, text: str, **options: Any) -> str:
    messages: Any = [{"role": "user", "content": text}]
    chunks = client.chat.completions.create(model="llama", messages=messages, stream=True, **options)
    return "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)


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
    assert gate.reached.wait(20)
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
    assert gate.reached.wait(20)
    stack.upstream.answer_with(stream(["<EMAIL_ADDRESS_1> <EMAIL_ADDRESS_2>."]))
    assert streamed(stack.sdk("mary", "staff"), "mary@example.org") == "mary@example.org <EMAIL_ADDRESS_2>."
    gate.open()
    assert jane.result(20) == "jane@example.com <EMAIL_ADDRESS_2>."


def test_a_held_request_shows_placeholders_and_its_answer_has_the_values(stack: Stack) -> None:
    waiting = asking(stack, "cleo", f"Held: {TEXT}")
    hold = hold_of(stack, "cleo")
    shown = stack.cli("hold", "show", hold["id"]).stdout
    assert "<EMAIL_ADDRESS_2>" in shown
    assert "example.org" not in shown
    stack.upstream.answer_with(echo)
    approve(stack, hold)
    assert said(waiting.result(20)) == f"Held: {TEXT}"
    (body,) = received(stack, "Held: ")
    assert json.loads(body)["messages"][0]["content"] == f"Held: {SEEN}"


def test_what_was_approved_before_a_restart_is_restored_from_the_request_that_comes_again(
    stack: Stack,
) -> None:
    text = f"Before: {TEXT}"
    waiting = asking(stack, "dora", text)
    hold = hold_of(stack, "dora")
    stack.stop()
    with pytest.raises(openai.APIError):
        waiting.result(20)
    stack.start()
    approve(stack, hold)
    stack.upstream.answer_with(echo)
    assert said(ask(contractor(stack, "dora"), text)) == text
    assert state_of(stack, hold) == "released"
    (body,) = received(stack, "Before: ")
    assert json.loads(body)["messages"][0]["content"] == f"Before: {SEEN}"


def test_the_noise_of_another_try_changes_no_value(stack: Stack) -> None:
    waiting = asking(stack, "elsa", "Noisy: jane@example.com", metadata={"nonce": "bob@example.org"})
    hold = hold_of(stack, "elsa")
    again = asking(stack, "elsa", "Noisy: jane@example.com", metadata={"nonce": "x"})
    assert hold_of(stack, "elsa", waiting=2)["id"] == hold["id"]
    stack.upstream.answer_with(echo)
    approve(stack, hold)
    assert said(waiting.result(20)) == "Noisy: jane@example.com"
    other = hold_of(stack, "elsa", but=hold["id"])
    stack.upstream.answer_with(echo)
    approve(stack, other)
    assert said(again.result(20)) == "Noisy: jane@example.com"


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


@pytest.fixture(scope="module")
def holding(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A gateway that holds answers with an employee's number in them."""
    rule = """\
    - name: review-employees
      when: "answer.findings.EMPLOYEE_ID.count > 0"
      effect: hold
      approval: security
"""
    config = _FILE.replace("paths:\n", rule + "paths:\n")
    with Stack(tmp_path_factory.mktemp("holding"), config=config) as running:
        yield running


@pytest.mark.parametrize("is_streamed", [False, True])
def test_a_held_answer_shows_placeholders_and_every_caller_of_it_gets_the_values(
    holding: Stack, is_streamed: bool
) -> None:
    text = "Ask E-123456 of <EMAIL_ADDRESS_1>, <EMAIL_ADDRESS_2>"
    expected = "Ask E-123456 of jane@example.com, <EMAIL_ADDRESS_2>"

    def answer(request: Received) -> Answer:
        return stream(list(text)) if request.json().get("stream") else completion(text)

    def asked(client: openai.OpenAI) -> str | None:
        question = "Whom does jane@example.com ask?"
        return streamed(client, question) if is_streamed else said(ask(client, question))

    subject = f"greta{is_streamed}"
    for is_back in (False, True):
        holding.upstream.answer_with(answer)
        before = len(holding.upstream.requests)
        waiting = in_background(lambda: asked(holding.sdk(subject, "staff", max_retries=0)))
        hold = hold_of(holding, subject)
        shown = holding.cli("hold", "show", hold["id"]).stdout
        assert "jane@example.com" not in shown
        if is_back:
            holding.stop()
            with pytest.raises(openai.APIError):
                waiting.result(20)
            holding.start()
            waiting = in_background(lambda: asked(holding.sdk(subject, "staff", max_retries=0)))
            assert hold_of(holding, subject)["id"] == hold["id"]
        approve(holding, hold)
        assert waiting.result(20) == expected
        assert len(holding.upstream.requests) == before + 1
    checked = holding.cli("audit", "verify", "--config", str(holding.config_file), "--json").stdout
    assert json.loads(checked)["ok"]
