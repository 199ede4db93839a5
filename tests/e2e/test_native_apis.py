"""Model servers' own APIs, which have no SDK or a small one, through the whole gateway."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from huggingface_hub import InferenceClient
from huggingface_hub.errors import TextGenerationError
from tests.e2e.people import in_background
from tests.e2e.stack import Stack
from tests.e2e.upstream_answers import SSE_TYPE, Answer, whole

KEY = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp\n-----END PRIVATE KEY-----"
SAID = "Write to john.doe@example.org, or pay with 4111 1111 1111 1111 today."
MASKED = "Write to [EMAIL_ADDRESS], or pay with [CREDIT_CARD] today."


@dataclass(frozen=True, slots=True)
class Native:
    """A path, the field of its request, that of its answer, and where a stream's pieces stand."""

    path: str
    asks: str
    says: str
    piece: tuple[str, ...]
    stream_path: str
    streams: bool = False

    def request(self, text: str, **more: Any) -> dict[str, Any]:
        return {self.asks: text, **more}

    def event(self, text: str) -> bytes:
        document: Any = text
        for key in reversed(self.piece):
            document = {key: document}
        return b"data: " + json.dumps(document).encode() + b"\n\n"

    def heard(self, stream: str) -> str:
        said = []
        for line in stream.split("\n"):
            if line.startswith("data:"):
                document = json.loads(line[5:])
                for key in self.piece:
                    document = document[key]
                said.append(document)
        return "".join(said)


LLAMACPP = Native("/completion", "prompt", "content", ("content",), "/completion", streams=True)
TGI = Native("/generate", "inputs", "generated_text", ("token", "text"), "/generate_stream")
each = pytest.mark.parametrize("api", [LLAMACPP, TGI], ids=["llamacpp", "tgi"])


def post(stack: Stack, path: str, body: Any, *groups: str) -> httpx.Response:
    headers = {"authorization": f"Bearer {stack.token('alice', *groups)}"}
    return httpx.post(f"{stack.url}{path}", json=body, headers=headers, timeout=60)


@each
def test_an_answer_is_masked_both_ways(stack: Stack, api: Native) -> None:
    stack.upstream.answer_with(whole({api.says: SAID}))
    answer = post(stack, api.path, api.request("I am jane@example.com"), "staff")
    assert (answer.status_code, answer.json()[api.says]) == (200, MASKED)
    seen = stack.upstream.requests[-1]
    assert (seen.path, seen.json()[api.asks]) == (api.path, "I am [EMAIL_ADDRESS]")


@each
def test_a_stream_is_masked_wherever_it_was_cut(stack: Stack, api: Native) -> None:
    for size in (1, 7):
        events = tuple(api.event(SAID[i : i + size]) for i in range(0, len(SAID), size))
        stack.upstream.answer_with(Answer(headers=SSE_TYPE, steps=events))
        more = {"stream": True} if api.streams else {}
        answer = post(stack, api.stream_path, api.request("Tell me", **more), "staff")
        assert api.heard(answer.text) == MASKED


@each
def test_a_held_request_goes_through_when_approved(stack: Stack, api: Native) -> None:
    asked = api.request("Once upon a time")
    waiting = in_background(lambda: post(stack, api.path, asked, "contractors"))
    hold = stack.wait_for_hold()
    stack.upstream.answer_with(whole({api.says: "there was a gate."}))
    stack.cli("hold", "approve", hold["id"], "--digest", hold["digest"], "--yes", "--reason", "fine")
    assert waiting.result(60).json()[api.says] == "there was a gate."


@each
def test_a_denied_request_and_one_of_tokens_never_reach_the_model(stack: Stack, api: Native) -> None:
    before = len(stack.upstream.requests)
    denied = post(stack, api.path, api.request(f"Is this fine? {KEY}"), "staff")
    assert denied.status_code == 403
    assert "Private keys may not be sent" in denied.text
    assert post(stack, api.path, {api.asks: [15496, 11]}, "staff").status_code == 400
    assert len(stack.upstream.requests) == before


def test_the_client_of_text_generation_inference_gets_its_stream_and_its_errors(stack: Stack) -> None:
    tokens = [TGI.event(SAID[i : i + 5])[6:-2] for i in range(0, len(SAID), 5)]
    steps = [b"data:" + token.replace(b'"text"', b'"id": 7, "special": false, "text"') for token in tokens]
    stack.upstream.answer_with(Answer(headers=SSE_TYPE, steps=tuple(step + b"\n\n" for step in steps)))
    token = stack.token("alice", "staff")
    streaming = InferenceClient(model=f"{stack.url}{TGI.stream_path}", token=token)
    assert "".join(streaming.text_generation("Tell me", stream=True)) == MASKED
    whole_one = InferenceClient(model=f"{stack.url}{TGI.path}", token=token)
    with pytest.raises(TextGenerationError, match="Private keys may not be sent"):
        whole_one.text_generation(f"Is this fine? {KEY}")
