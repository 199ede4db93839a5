"""Ollama's own client, unchanged but for its host and a header with the key, through the whole gateway."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import ollama
import pytest
from tests.e2e.people import in_background
from tests.e2e.stack import Stack
from tests.e2e.upstream_answers import Answer, whole

KEY = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp\n-----END PRIVATE KEY-----"
SAID = "Write to john.doe@example.org, or pay with 4111 1111 1111 1111 today."
MASKED = "Write to [EMAIL_ADDRESS], or pay with [CREDIT_CARD] today."
HEAD = {"model": "llama", "created_at": "2026-01-01T00:00:00Z"}
Clients = Callable[..., ollama.Client]
NDJSON_TYPE = (("content-type", "application/x-ndjson"),)
COUNTS = {"done": True, "done_reason": "stop", "total_duration": 5191566416, "eval_count": 9}


@pytest.fixture
def client() -> Iterator[Clients]:
    """Makes clients, and closes them."""
    with ExitStack() as open_clients:

        def make(stack: Stack, subject: str, *groups: str) -> ollama.Client:
            headers = {"authorization": f"Bearer {stack.token(subject, *groups)}"}
            made = ollama.Client(host=stack.url, headers=headers)
            open_clients.callback(made.close)
            return made

        yield make


def ask(text: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": text}]


def message(content: str, **more: Any) -> dict[str, Any]:
    return {**HEAD, "message": {"role": "assistant", "content": content, **more}}


def lines(*documents: dict[str, Any]) -> Answer:
    steps = tuple(json.dumps(document).encode() + b"\n" for document in documents)
    return Answer(headers=NDJSON_TYPE, steps=steps)


def test_a_whole_answer_is_masked_both_ways(stack: Stack, client: Clients) -> None:
    stack.upstream.answer_with(whole(message(SAID) | COUNTS))
    answer = client(stack, "alice", "staff").chat(model="llama", messages=ask("I am jane@example.com"))
    assert answer.message.content == MASKED
    assert answer.total_duration == 5191566416
    seen = stack.upstream.requests[-1]
    assert (seen.path, seen.json()["messages"][0]["content"]) == ("/api/chat", "I am [EMAIL_ADDRESS]")


def test_a_stream_is_masked_wherever_it_was_cut(stack: Stack, client: Clients) -> None:
    for size in (1, 3, 8):
        pieces = [message(SAID[i : i + size]) | {"done": False} for i in range(0, len(SAID), size)]
        stack.upstream.answer_with(lines(*pieces, message("") | COUNTS))
        chunks = client(stack, "alice", "staff").chat(model="llama", messages=ask("Tell me"), stream=True)
        assert "".join(chunk.message.content or "" for chunk in chunks) == MASKED


def test_what_is_generated_is_masked_and_its_tokens_are_cleared(stack: Stack, client: Clients) -> None:
    pieces = [{**HEAD, "response": piece, "done": False} for piece in ("Ask john@exam", "ple.org", " now")]
    end = {**HEAD, "response": "", "context": [1, 2, 3]} | COUNTS
    stack.upstream.answer_with(lines(*pieces, end))
    chunks = list(client(stack, "alice", "staff").generate(model="llama", prompt="Tell me", stream=True))
    assert "".join(chunk.response or "" for chunk in chunks) == "Ask [EMAIL_ADDRESS] now"
    assert chunks[-1].context is None


def test_a_tool_call_is_masked(stack: Stack, client: Clients) -> None:
    call = {"function": {"name": "send_mail", "arguments": {"to": "john@example.org", "n": 1}}}
    stack.upstream.answer_with(whole(message("", tool_calls=[call]) | COUNTS))
    answer = client(stack, "alice", "staff").chat(model="llama", messages=ask("Mail John"))
    assert answer.message.tool_calls
    assert answer.message.tool_calls[0].function.arguments == {"to": "[EMAIL_ADDRESS]", "n": 1}


def test_a_held_request_goes_through_when_approved(stack: Stack, client: Clients) -> None:
    carol = client(stack, "carol", "contractors")
    waiting = in_background(lambda: carol.chat(model="llama", messages=ask("Plan a picnic")))
    hold = stack.wait_for_hold()
    stack.upstream.answer_with(whole(message("Cake.") | COUNTS))
    stack.cli("hold", "approve", hold["id"], "--digest", hold["digest"], "--yes", "--reason", "fine")
    assert waiting.result(60).message.content == "Cake."


def test_refusals_are_the_clients_own_error_and_never_reach_the_model(stack: Stack, client: Clients) -> None:
    before = len(stack.upstream.requests)
    alice = client(stack, "alice", "staff")
    with pytest.raises(ollama.ResponseError, match="Private keys may not be sent") as denied:
        alice.chat(model="llama", messages=ask(f"Is this fine? {KEY}"))
    assert denied.value.status_code == 403
    with pytest.raises(ollama.ResponseError, match="media"):
        alice.chat(model="llama", messages=[{"role": "user", "content": "x", "images": [b"png"]}])
    assert len(stack.upstream.requests) == before


def test_a_stream_with_a_forbidden_value_is_cut_off_before_it(stack: Stack, client: Clients) -> None:
    pieces = [message(piece) | {"done": False} for piece in ("Sure: ", "AKIAIOSFODNN7", "EXAMPLE", " ok")]
    gate = stack.upstream.gate()
    first, *rest = lines(*pieces, message("") | COUNTS).steps
    stack.upstream.answer_with(Answer(headers=NDJSON_TYPE, steps=(first, gate, *rest)))
    alice = client(stack, "alice", "staff")
    chunks = iter(alice.chat(model="llama", messages=ask("Tell me"), stream=True))
    said = [next(chunks).message.content or ""]
    gate.open()
    with pytest.raises(ollama.ResponseError, match="The answer had a key in it"):
        said.extend(chunk.message.content or "" for chunk in chunks)
    assert "AKIA" not in "".join(said)


def test_embeddings_are_made_of_masked_texts(stack: Stack, client: Clients) -> None:
    stack.upstream.answer_with(whole({"model": "llama", "embeddings": [[0.5, -0.25]]}))
    answer = client(stack, "alice", "staff").embed(model="llama", input=["I am jane@example.com"])
    assert answer.embeddings == [[0.5, -0.25]]
    assert stack.upstream.requests[-1].json()["input"] == ["I am [EMAIL_ADDRESS]"]
