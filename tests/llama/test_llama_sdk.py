"""The official OpenAI SDK through the whole gateway to a real llama.cpp server."""

from __future__ import annotations

import json
from typing import Any

import httpx
import openai
import pytest
from tests.e2e.people import approve, ask, asking, chat, hold_of, said
from tests.e2e.stack import Stack
from tests.llama.server import API_KEY, LlamaServer
from tests.llama.tap import Exchange, Tap

KEY = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp\n-----END PRIVATE KEY-----"

# Random words could make an address some day.
WITHOUT_CHANCE: dict[str, Any] = {"temperature": 0, "max_tokens": 24}

# A model with random weights says what its grammar leaves it; the values in it are no findings as they
# stand there, or they would be masked on the way to the model.
GRAMMAR = (
    'root ::= "Très bien: write to john" [@] "example.org, or pay with 4111" four four four " today."\n'
    'four ::= " 1111"'
)
SAYS_SECRETS: dict[str, Any] = {"extra_body": {"grammar": GRAMMAR}}
SECRETS = "Très bien: write to john@example.org, or pay with 4111 1111 1111 1111 today."
MASKED = "Très bien: write to [EMAIL_ADDRESS], or pay with [CREDIT_CARD] today."

MAIL: Any = {
    "type": "function",
    "function": {
        "name": "send_mail",
        "description": "Sends a mail",
        "parameters": {
            "type": "object",
            "properties": {"to": {"type": "string", "pattern": "^john[@]example[.]org$"}},
            "required": ["to"],
        },
    },
}
# What makes a model with random weights call a tool and stop (2 ends its text): else it would talk on.
CALLS_A_TOOL: dict[str, Any] = {
    "tools": [MAIL],
    "tool_choice": "required",
    "extra_body": {"logit_bias": {"<tool_call>\n": 50, "</tool_call>": 25, "2": 100}},
}


def at_the_model(tap: Tap, text: str) -> list[Exchange]:
    """The exchanges with the model server that have `text` in the request."""
    return [exchange for exchange in tap.exchanges() if text.encode() in exchange.body]


def written(exchange: Exchange) -> str:
    """What the model server wrote in its first choice, whole or in pieces."""
    if not exchange.answer_headers["content-type"].startswith("text/event-stream"):
        return str(json.loads(exchange.answer)["choices"][0]["message"]["content"])
    events = [line.removeprefix("data: ") for line in exchange.answer.decode().split("\n\n") if line]
    choices = [choice for event in events[:-1] for choice in json.loads(event)["choices"]]
    return "".join(choice["delta"].get("content") or "" for choice in choices)


def test_an_allowed_request_is_answered_whole_with_the_bytes_of_the_model(stack: Stack, tap: Tap) -> None:
    raw = stack.sdk("alice", "staff").chat.completions.with_raw_response.create(
        model="gpt-4o", messages=[{"role": "user", "content": "Where is the river?"}], **WITHOUT_CHANCE
    )
    answer = raw.parse()
    assert (answer.choices[0].finish_reason, answer.usage and answer.usage.completion_tokens) == (
        "length",
        24,
    )
    assert answer.choices[0].message.content
    (exchange,) = at_the_model(tap, "Where is the river?")
    assert raw.content == exchange.answer
    ended = stack.session(raw.headers["x-authz-session"])["events"]
    assert "exchange.ended" in [event["kind"] for event in ended]


def test_an_allowed_request_is_streamed_to_its_end_with_usage(stack: Stack) -> None:
    chunks = list(
        stack.sdk("alice", "staff").chat.completions.create(
            model="llama",
            messages=[{"role": "user", "content": "Where is the stone?"}],
            stream=True,
            stream_options={"include_usage": True},
            **WITHOUT_CHANCE,
        )
    )
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert [c.finish_reason for chunk in chunks for c in chunk.choices if c.finish_reason] == ["length"]
    assert chunks[-1].usage
    assert chunks[-1].usage.completion_tokens == 24


def test_a_clean_stream_arrives_byte_for_byte(stack: Stack, tap: Tap) -> None:
    body = chat("Where is the gate?", **WITHOUT_CHANCE, stream=True, stream_options={"include_usage": True})
    received = stack.post(body, "staff")
    (exchange,) = at_the_model(tap, "Where is the gate?")
    assert received.content == exchange.answer
    assert received.content.endswith(b"data: [DONE]\n\n")
    assert received.headers["content-type"] == exchange.answer_headers["content-type"]


def test_the_model_gets_its_own_key_and_never_the_callers(stack: Stack, tap: Tap, llama: LlamaServer) -> None:
    refused = httpx.post(f"{llama.url}/v1/chat/completions", json=chat("Where is the key?"))
    assert refused.status_code == 401
    token = stack.token("alice", "staff")
    ask(stack.sdk(api_key=token), "Where is the key?", max_tokens=1)
    (exchange,) = at_the_model(tap, "Where is the key?")
    assert exchange.headers["authorization"] == f"Bearer {API_KEY}"
    assert token not in "".join(exchange.headers.values())


def test_a_held_request_reaches_the_model_only_when_approved(stack: Stack, tap: Tap) -> None:
    waiting = asking(stack, "carol", "Plan a bridge", max_tokens=8)
    hold = hold_of(stack, "carol")
    assert at_the_model(tap, "Plan a bridge") == []
    approve(stack, hold)
    assert said(waiting.result(20))
    assert len(at_the_model(tap, "Plan a bridge")) == 1


def test_a_denied_request_never_reaches_the_model(stack: Stack, tap: Tap) -> None:
    with pytest.raises(openai.PermissionDeniedError, match="Private keys may not be sent"):
        ask(stack.sdk("alice", "staff"), f"Is this fine? {KEY}", max_tokens=8)
    assert at_the_model(tap, "Is this fine?") == []


def test_an_answer_is_masked_whole(stack: Stack, tap: Tap) -> None:
    answer = ask(stack.sdk("alice", "staff"), "Whom shall I write to?", **SAYS_SECRETS)
    assert said(answer) == MASKED
    (exchange,) = at_the_model(tap, "Whom shall I write to?")
    assert written(exchange) == SECRETS
    assert answer.usage
    assert answer.usage.completion_tokens > 0


def test_an_answer_is_masked_while_it_streams_to_its_end_with_usage(stack: Stack, tap: Tap) -> None:
    chunks = list(
        stack.sdk("alice", "staff").chat.completions.create(
            model="llama",
            messages=[{"role": "user", "content": "Whom shall I pay?"}],
            stream=True,
            stream_options={"include_usage": True},
            **SAYS_SECRETS,
        )
    )
    pieces = [chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices]
    assert "".join(pieces) == MASKED
    (exchange,) = at_the_model(tap, "Whom shall I pay?")
    assert written(exchange) == SECRETS
    assert exchange.answer.count(b"data: ") > 20, "the model did not cut the answer into tokens"
    assert [c.finish_reason for chunk in chunks for c in chunk.choices if c.finish_reason] == ["stop"]
    assert chunks[-1].usage
    assert chunks[-1].usage.completion_tokens > 20


def test_two_choices_that_are_written_side_by_side_are_masked_each_for_itself(stack: Stack) -> None:
    said_by = {0: "", 1: ""}
    for chunk in stack.sdk("alice", "staff").chat.completions.create(
        model="llama",
        messages=[{"role": "user", "content": "Whom, twice?"}],
        n=2,
        stream=True,
        **SAYS_SECRETS,
    ):
        for choice in chunk.choices:
            said_by[choice.index] += choice.delta.content or ""
    assert said_by == {0: MASKED, 1: MASKED}


@pytest.mark.parametrize("is_streamed", [False, True])
def test_a_tool_is_called_with_its_arguments_masked(stack: Stack, tap: Tap, is_streamed: bool) -> None:
    client = stack.sdk("alice", "staff")
    question = f"Mail John ({is_streamed})"
    asked: Any = {"model": "llama", "messages": [{"role": "user", "content": question}]} | CALLS_A_TOOL
    if is_streamed:
        with client.chat.completions.stream(**asked) as stream:
            (choice,) = stream.get_final_completion().choices
    else:
        (choice,) = client.chat.completions.create(**asked).choices
    assert choice.finish_reason == "tool_calls"
    assert choice.message.tool_calls
    function = choice.message.tool_calls[0].function
    assert (function.name, json.loads(function.arguments)) == ("send_mail", {"to": "[EMAIL_ADDRESS]"})
    (exchange,) = at_the_model(tap, question)
    assert b"EMAIL_ADDRESS" not in exchange.answer


def test_what_the_model_server_refuses_is_the_sdks_error(stack: Stack) -> None:
    with pytest.raises(openai.BadRequestError, match="grammar"):
        ask(stack.sdk("alice", "staff"), "Hello", extra_body={"grammar": "root ::= ("})
