"""OpenAI's legacy completions and embeddings, with its SDK, through the whole gateway."""

from __future__ import annotations

import base64
import json
import struct
from typing import Any

import openai
import pytest
from tests.e2e.people import in_background
from tests.e2e.stack import Stack
from tests.e2e.upstream_answers import SSE_TYPE, Answer, event, whole

KEY = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp\n-----END PRIVATE KEY-----"
HEAD = {"id": "cmpl-1", "object": "text_completion", "created": 1, "model": "llama"}


def choice(text: str, index: int = 0, finish: str | None = None) -> dict[str, Any]:
    return {"index": index, "text": text, "logprobs": None, "finish_reason": finish}


def completed(*texts: str) -> Answer:
    choices = [choice(text, index, "stop") for index, text in enumerate(texts)]
    usage = {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}
    return whole(HEAD | {"choices": choices, "usage": usage})


def streamed(text: str, size: int) -> Answer:
    pieces = [choice(text[i : i + size]) for i in range(0, len(text), size)]
    events = [event(HEAD | {"choices": [piece]}) for piece in (*pieces, choice("", finish="stop"))]
    return Answer(headers=SSE_TYPE, steps=(*events, b"data: [DONE]\n\n"))


def test_a_completion_is_masked_both_ways(stack: Stack) -> None:
    stack.upstream.answer_with(completed("Ask john@example.org.", "Or nobody."))
    prompt = ["I am jane@example.com", "and so am I"]
    answer = stack.sdk("alice", "staff").completions.create(model="llama", prompt=prompt)
    assert [said.text for said in answer.choices] == ["Ask [EMAIL_ADDRESS].", "Or nobody."]
    seen = stack.upstream.requests[-1]
    assert seen.path == "/v1/completions"
    assert seen.json()["prompt"] == ["I am [EMAIL_ADDRESS]", "and so am I"]


def test_a_streamed_completion_is_masked_wherever_it_was_cut(stack: Stack) -> None:
    text = "Write to john.doe@example.org, or pay with 4111 1111 1111 1111 today."
    for size in (1, 3, 8):
        stack.upstream.answer_with(streamed(text, size))
        chunks = stack.sdk("alice", "staff").completions.create(model="llama", prompt="Tell me", stream=True)
        said = "".join(chunk.choices[0].text for chunk in chunks)
        assert said == "Write to [EMAIL_ADDRESS], or pay with [CREDIT_CARD] today."


def test_a_held_completion_goes_through_when_approved(stack: Stack) -> None:
    client = stack.sdk("carol", "contractors", max_retries=0)
    waiting = in_background(lambda: client.completions.create(model="llama", prompt="Once upon a time"))
    hold = stack.wait_for_hold()
    stack.upstream.answer_with(completed("there was a gate."))
    stack.cli("hold", "approve", hold["id"], "--digest", hold["digest"], "--yes", "--reason", "fine")
    assert waiting.result(60).choices[0].text == "there was a gate."


def test_a_denied_completion_and_a_prompt_of_tokens_never_reach_the_model(stack: Stack) -> None:
    before = len(stack.upstream.requests)
    client = stack.sdk("alice", "staff", max_retries=0)
    with pytest.raises(openai.PermissionDeniedError, match="Private keys may not be sent"):
        client.completions.create(model="llama", prompt=f"Is this fine? {KEY}")
    with pytest.raises(openai.BadRequestError, match="tokens cannot be read"):
        client.completions.create(model="llama", prompt=[15496, 11])
    with pytest.raises(openai.BadRequestError, match="tokens cannot be read"):
        client.embeddings.create(model="llama", input=[[15496, 11]])
    assert len(stack.upstream.requests) == before


def test_embeddings_are_made_of_masked_texts(stack: Stack) -> None:
    vector = [0.5, -0.25]
    for packed in (False, True):
        value = base64.b64encode(struct.pack("<2f", *vector)).decode() if packed else vector
        item = {"object": "embedding", "index": 0, "embedding": value}
        usage = {"prompt_tokens": 2, "total_tokens": 2}
        stack.upstream.answer_with(whole({"object": "list", "data": [item], "model": "m", "usage": usage}))
        options: Any = {} if packed else {"encoding_format": "float"}
        answer = stack.sdk("alice", "staff").embeddings.create(
            model="llama", input=["I am jane@example.com"], **options
        )
        assert answer.data[0].embedding == vector
        assert json.loads(stack.upstream.requests[-1].body)["input"] == ["I am [EMAIL_ADDRESS]"]
