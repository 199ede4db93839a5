"""OpenAI's responses, log probabilities and llama.cpp's own API, through the gateway to a real server."""

from __future__ import annotations

import json
from typing import Any

import pytest
from openai.types.responses import ResponseFunctionToolCall
from tests.e2e.people import chat
from tests.e2e.stack import Stack
from tests.llama.tap import Exchange, Tap
from tests.llama.test_llama_sdk import (
    CALLS_A_TOOL,
    GRAMMAR,
    MAIL,
    MASKED,
    SAYS_SECRETS,
    SECRETS,
    at_the_model,
)

TOKENS: dict[str, Any] = {"logprobs": True, "top_logprobs": 2}


def documents(answer: bytes) -> list[Any]:
    """What the events of a stream hold, or the one of a whole answer."""
    if answer.startswith(b"{"):
        return [json.loads(answer)]
    lines = [line.removeprefix("data: ") for line in answer.decode().split("\n")]
    return [json.loads(line) for line in lines if line.startswith("{")]


def only(tap: Tap, question: str) -> Exchange:
    """The one exchange in which this was asked."""
    (exchange,) = at_the_model(tap, question)
    return exchange


def test_a_response_is_masked_whole(stack: Stack, tap: Tap) -> None:
    client = stack.sdk("alice", "staff")
    answer = client.responses.create(model="llama", input="Whom for the record?", **SAYS_SECRETS)
    assert answer.output_text == MASKED
    assert SECRETS in only(tap, "Whom for the record?").answer.decode()
    assert answer.usage
    assert answer.usage.output_tokens > 0


def test_a_streamed_response_is_masked_in_every_telling(stack: Stack, tap: Tap) -> None:
    client = stack.sdk("alice", "staff")
    events: list[Any] = list(
        client.responses.create(model="llama", input="Whom in pieces?", stream=True, **SAYS_SECRETS)
    )
    deltas = [event.delta for event in events if event.type == "response.output_text.delta"]
    (done,) = [event.text for event in events if event.type == "response.output_text.done"]
    (item,) = [event.item for event in events if event.type == "response.output_item.done"]
    final = events[-1].response
    tellings = ["".join(deltas), done, item.content[0].text, final.output[0].content[0].text]
    assert tellings == [MASKED] * 4
    assert only(tap, "Whom in pieces?").answer.decode().count(SECRETS) == 4
    assert len(deltas) > 20


def test_a_clean_streamed_response_arrives_byte_for_byte(stack: Stack, tap: Tap) -> None:
    body = {"model": "llama", "input": "Where is the well?", "stream": True, "temperature": 0}
    received = stack.post(body | {"max_output_tokens": 12}, "staff", path="/v1/responses")
    exchange = only(tap, "Where is the well?")
    assert received.content == exchange.answer
    assert b"response.completed" in exchange.answer


@pytest.mark.parametrize("is_streamed", [False, True])
def test_a_response_calls_a_tool_with_its_arguments_masked(stack: Stack, is_streamed: bool) -> None:
    tool: Any = {"type": "function", **MAIL["function"]}
    asked: Any = CALLS_A_TOOL | {"tools": [tool], "model": "llama", "input": f"Mail Joan ({is_streamed})"}
    client = stack.sdk("alice", "staff")
    if is_streamed:
        answer: Any = list(client.responses.create(stream=True, **asked))[-1].response
    else:
        answer = client.responses.create(**asked)
    (call,) = answer.output
    assert isinstance(call, ResponseFunctionToolCall)
    assert (call.name, json.loads(call.arguments)) == ("send_mail", {"to": "[EMAIL_ADDRESS]"})


@pytest.mark.parametrize("is_streamed", [False, True])
def test_log_probabilities_are_cut_with_the_text(stack: Stack, tap: Tap, is_streamed: bool) -> None:
    question = f"Whom, and how likely ({is_streamed})?"
    body = chat(question, **TOKENS, grammar=GRAMMAR, stream=is_streamed)
    received = documents(stack.post(body, "staff").content)
    raw = documents(only(tap, question).answer)
    told = [entry for document in received for entry in entries(document)]
    assert "".join(entry["token"] for entry in told) == MASKED
    assert "".join(entry["token"] for document in raw for entry in entries(document)) == SECRETS
    for entry in told:
        if entry["bytes"] is None:
            assert entry["id"] is entry["logprob"] is entry["top_logprobs"] is None
        else:
            assert bytes(entry["bytes"]).decode() == entry["token"]
    assert 0 < len([entry for entry in told if entry["bytes"] is None]) < len(told)


def entries(document: Any) -> list[Any]:
    """The tokens of the first choice."""
    (choice,) = document["choices"]
    return list((choice.get("logprobs") or {}).get("content") or ())


def test_a_clean_stream_of_the_servers_own_api_arrives_byte_for_byte(stack: Stack, tap: Tap) -> None:
    body = {"prompt": "Where is the hill?", "n_predict": 8, "n_probs": 3, "stream": True}
    received = stack.post(body | {"temperature": 0}, "staff", path="/completion")
    exchange = only(tap, "Where is the hill?")
    assert received.content == exchange.answer
    assert b'"tokens":[' in exchange.answer
    assert b"completion_probabilities" in exchange.answer


def test_the_servers_own_tokens_are_gone_where_their_text_is(stack: Stack, tap: Tap) -> None:
    body = {"prompt": "Whom on the hill?", "n_predict": 99, "stream": True, "grammar": GRAMMAR}
    received = documents(stack.post(body, "staff", path="/completion").content)
    assert "".join(document["content"] for document in received) == MASKED
    raw = documents(only(tap, "Whom on the hill?").answer)
    for document, said in zip(received, raw, strict=True):
        if document["content"] != said["content"]:
            assert document["tokens"] is None
        elif said["content"]:
            assert document["tokens"] == said["tokens"]
