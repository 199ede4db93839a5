"""The official OpenAI SDK, unchanged but for base_url and api_key, through the whole gateway."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import openai
import pytest
from openai.types.chat import ChatCompletion
from tests.e2e.stack import CHAT, Stack
from tests.e2e.upstream_answers import SSE_TYPE, Answer, completion, stream, whole

KEY = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp\n-----END PRIVATE KEY-----"


def messages(text: str) -> list[Any]:
    return [{"role": "user", "content": text}]


def ask(client: openai.OpenAI, text: str, **options: Any) -> ChatCompletion:
    result = client.chat.completions.create(model="llama", messages=messages(text), **options)
    assert isinstance(result, ChatCompletion)
    return result


def in_background(work: Callable[[], ChatCompletion]) -> Future[ChatCompletion]:
    return ThreadPoolExecutor(1).submit(work)


def approve(stack: Stack, hold: dict[str, Any]) -> None:
    stack.cli("hold", "approve", hold["id"], "--digest", hold["digest"], "--yes", "--reason", "fine")


def test_an_allowed_request_is_answered_and_on_record(stack: Stack) -> None:
    stack.upstream.answer_with(completion("Good day."))
    raw = stack.sdk("alice", "staff").chat.completions.with_raw_response.create(
        model="gpt-4o", messages=messages("Good morning")
    )
    answer = raw.parse()
    assert answer.choices[0].message.content == "Good day."
    seen = stack.upstream.requests[-1]
    assert seen.json() == {"messages": messages("Good morning"), "model": "llama"}
    session = stack.session(raw.headers["x-authz-session"])
    kinds = [event["kind"] for event in session["events"]]
    assert kinds == [
        "request.received",
        "request.decided",
        "request.released",
        "answer.started",
        "answer.decided",
        "answer.released",
        "exchange.ended",
        "session.read",
    ]


def test_a_held_request_waits_and_goes_through_when_approved(stack: Stack) -> None:
    client = stack.sdk("carol", "contractors", max_retries=0)
    before = len(stack.upstream.requests)
    waiting = in_background(lambda: ask(client, "Plan a party"))
    hold = stack.wait_for_hold()
    assert len(stack.upstream.requests) == before
    assert (hold["caller"]["subject"], hold["model"], hold["rule"]) == ("carol", "llama", "contractors")
    approve(stack, hold)
    assert waiting.result(60).choices[0].message.content == "Hello from upstream."
    assert len(stack.upstream.requests) == before + 1
    (now,) = [h for h in stack.holds("--all-states") if h["id"] == hold["id"]]
    assert now["state"] == "released"


def test_a_held_request_is_refused_when_rejected_with_the_reason(stack: Stack) -> None:
    client = stack.sdk("carol", "contractors")
    before = len(stack.upstream.requests)
    waiting = in_background(lambda: ask(client, "Plan a heist"))
    hold = stack.wait_for_hold()
    stack.cli("hold", "reject", hold["id"], "--reason", "Not on company time.")
    with pytest.raises(openai.PermissionDeniedError, match="Not on company time") as refused:
        waiting.result(60)
    assert refused.value.code == "request_rejected"
    assert len(stack.upstream.requests) == before
    with pytest.raises(openai.PermissionDeniedError, match="Not on company time"):
        ask(client, "Plan a heist")


def test_a_denied_request_never_reaches_the_model(stack: Stack) -> None:
    before = len(stack.upstream.requests)
    with pytest.raises(openai.PermissionDeniedError, match="Private keys may not be sent") as refused:
        ask(stack.sdk("alice", "staff"), f"Is this fine? {KEY}")
    assert refused.value.code == "request_denied"
    assert "MC4CAQ" not in str(refused.value.body)
    assert len(stack.upstream.requests) == before
    session = refused.value.response.headers["x-authz-session"]
    assert "MC4CAQ" not in json.dumps(stack.session(session))


def test_nobody_of_no_group_gets_in(stack: Stack) -> None:
    with pytest.raises(openai.PermissionDeniedError):
        ask(stack.sdk("mallory"), "Hello")


def test_a_token_that_does_not_verify_is_401_and_never_repeated(stack: Stack) -> None:
    client = stack.sdk(api_key="sk-not-a-token")
    with pytest.raises(openai.AuthenticationError) as refused:
        ask(client, "Hello")
    assert refused.value.response.headers["content-type"] == "application/json"
    assert "sk-not-a-token" not in refused.value.response.text


def test_a_review_token_does_not_open_the_gateway(stack: Stack) -> None:
    client = stack.sdk(api_key=stack.token("alice", "staff", review=True))
    with pytest.raises(openai.AuthenticationError, match="not for"):
        ask(client, "Hello")


def test_personal_data_is_masked_both_ways(stack: Stack) -> None:
    stack.upstream.answer_with(completion("Write to john@example.org or pay with 4111 1111 1111 1111."))
    answer = ask(stack.sdk("alice", "staff"), "I am jane@example.com, GB82 WEST 1234 5698 7654 32")
    assert answer.choices[0].message.content == "Write to [EMAIL_ADDRESS] or pay with [CREDIT_CARD]."
    said = stack.upstream.requests[-1].json()["messages"][0]["content"]
    assert said == "I am [EMAIL_ADDRESS], [IBAN_CODE]"


def test_a_stream_is_masked_wherever_it_was_cut(stack: Stack) -> None:
    text = "Write to john.doe@example.org, or pay with 4111 1111 1111 1111 today."
    for size in (1, 2, 3, 7):
        stack.upstream.answer_with(stream([text[i : i + size] for i in range(0, len(text), size)]))
        chunks = stack.sdk("alice", "staff").chat.completions.create(
            model="llama", messages=messages("Tell me"), stream=True
        )
        said = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
        assert said == "Write to [EMAIL_ADDRESS], or pay with [CREDIT_CARD] today."


def test_a_stream_flows_while_the_model_is_still_writing(stack: Stack) -> None:
    gate = stack.upstream.gate()
    first, *rest = stream(["Hello there, ", "friend."]).steps
    stack.upstream.answer_with(Answer(headers=SSE_TYPE, steps=(first, gate, *rest)))
    chunks = stack.sdk("alice", "staff").chat.completions.create(
        model="llama", messages=messages("Tell me"), stream=True
    )
    assert next(iter(chunks)).choices[0].delta.content == "Hello there, "
    assert gate.reached.wait(60)
    gate.open()
    assert next(c.choices[0].delta.content for c in chunks if c.choices) == "friend."


def test_an_answer_with_a_forbidden_value_is_cut_off_before_it(stack: Stack) -> None:
    gate = stack.upstream.gate()
    first, *rest = stream(["Sure: ", "the key is ", "AKIAIOSFODNN7", "EXAMPLE", " ok"]).steps
    stack.upstream.answer_with(Answer(headers=SSE_TYPE, steps=(first, gate, *rest)))
    chunks = stack.sdk("alice", "staff").chat.completions.create(
        model="llama", messages=messages("Tell me"), stream=True
    )
    said = [next(iter(chunks)).choices[0].delta.content or ""]
    gate.open()
    with pytest.raises(openai.APIError, match="The answer had a key in it"):
        said.extend(chunk.choices[0].delta.content or "" for chunk in chunks)
    assert said[0] == "Sure: "
    assert "AKIA" not in "".join(said)


def test_a_whole_answer_with_a_forbidden_value_is_403(stack: Stack) -> None:
    stack.upstream.answer_with(completion("The key is AKIAIOSFODNN7EXAMPLE"))
    with pytest.raises(openai.PermissionDeniedError, match="The answer had a key in it"):
        ask(stack.sdk("alice", "staff", max_retries=0), "Tell me")


TOOL: Any = {
    "type": "function",
    "function": {
        "name": "send_mail",
        "description": "Sends a mail",
        "parameters": {"type": "object", "properties": {"to": {"type": "string"}}},
    },
}


def test_tool_calls_pass_with_their_arguments_masked_and_valid(stack: Stack) -> None:
    arguments = json.dumps({"to": "john@example.org", "card": 4111111111111111, "n": 1})
    call = {"id": "call_1", "type": "function", "function": {"name": "send_mail", "arguments": arguments}}
    stack.upstream.answer_with(completion(None, tool_calls=[call]))
    answer = ask(stack.sdk("alice", "staff"), "Mail John", tools=[TOOL])
    calls = answer.choices[0].message.tool_calls
    assert calls
    function = calls[0].function  # type: ignore[union-attr]  # the call is of type function
    assert json.loads(function.arguments) == {"to": "[EMAIL_ADDRESS]", "card": "[CREDIT_CARD]", "n": 1}


def test_streamed_tool_calls_are_masked_across_their_pieces(stack: Stack) -> None:
    arguments = '{"to": "john\\u0040example.org", "n": 1}'
    head = {
        "index": 0,
        "id": "call_1",
        "type": "function",
        "function": {"name": "send_mail", "arguments": ""},
    }
    pieces = [{"tool_calls": [head]}]
    pieces += [{"tool_calls": [{"index": 0, "function": {"arguments": c}}]} for c in arguments]
    stack.upstream.answer_with(stream(pieces))
    chunks = stack.sdk("alice", "staff").chat.completions.create(
        model="llama", messages=messages("Mail John"), tools=[TOOL], stream=True
    )
    said = ""
    for chunk in chunks:
        for call in chunk.choices[0].delta.tool_calls or [] if chunk.choices else []:
            said += (call.function and call.function.arguments) or ""
    assert json.loads(said) == {"to": "[EMAIL_ADDRESS]", "n": 1}


def test_two_choices_are_masked_each_for_itself(stack: Stack) -> None:
    texts = ["Ask john@example.org", "Ask jane@example.com"]
    choices = [
        {"index": i, "message": {"role": "assistant", "content": t}, "finish_reason": "stop"}
        for i, t in enumerate(texts)
    ]
    stack.upstream.answer_with(
        whole({"id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": choices})
    )
    answer = ask(stack.sdk("alice", "staff"), "Whom?", n=2)
    assert [c.message.content for c in answer.choices] == ["Ask [EMAIL_ADDRESS]"] * 2


def test_models_are_listed_from_the_configuration(stack: Stack) -> None:
    before = len(stack.upstream.requests)
    assert [model.id for model in stack.sdk("alice", "staff").models.list()] == ["llama", "gpt-4o"]
    assert len(stack.upstream.requests) == before


def test_an_unknown_model_is_not_found(stack: Stack) -> None:
    with pytest.raises(openai.NotFoundError):
        stack.sdk("alice", "staff").chat.completions.create(model="nope", messages=messages("Hi"))


def test_a_path_that_nothing_owns_is_refused_and_a_listed_one_passes(stack: Stack) -> None:
    before = len(stack.upstream.requests)
    assert stack.post(CHAT, "staff", path="/v1/images/generations").status_code == 404
    assert len(stack.upstream.requests) == before


def test_many_identical_requests_wait_on_one_hold_and_one_goes_through(stack: Stack) -> None:
    client = stack.sdk("dave", "contractors", max_retries=0)
    before = len(stack.upstream.requests)
    done = threading.Semaphore(0)
    pool = ThreadPoolExecutor(3)

    def one() -> ChatCompletion:
        try:
            return ask(client, "The same for all")
        finally:
            done.release()

    waiting = [pool.submit(one) for _ in range(3)]
    first = stack.wait_for_hold(waiting=3)
    approve(stack, first)
    assert done.acquire(timeout=60)
    second = stack.wait_for_hold(waiting=2)
    assert second["id"] != first["id"]
    assert len(stack.upstream.requests) == before + 1
    stack.cli("hold", "reject", second["id"], "--reason", "once is enough")
    outcomes = [f.exception(60) is None for f in waiting]
    assert sorted(outcomes) == [False, False, True]
    assert len(stack.upstream.requests) == before + 1
