"""The Open Inference Protocol through the whole gateway."""

from __future__ import annotations

import json
from typing import Any

import httpx
from tests.e2e.people import in_background
from tests.e2e.stack import Stack
from tests.e2e.upstream_answers import SSE_TYPE, Answer, event, whole

INFER = "/v2/models/llama/versions/1/infer"
GENERATE = "/v2/models/llama/generate_stream"


def post(stack: Stack, path: str, body: Any, *groups: str) -> httpx.Response:
    headers = {"authorization": f"Bearer {stack.token('alice', *groups)}"}
    return httpx.post(f"{stack.url}{path}", json=body, headers=headers, timeout=60)


def texts(*data: str) -> dict[str, Any]:
    return {"name": "text", "shape": [len(data)], "datatype": "BYTES", "data": list(data)}


def test_tensors_of_texts_are_masked_both_ways(stack: Stack) -> None:
    outputs = [texts("Write to john@example.org"), {"name": "score", "shape": [1], "datatype": "FP32"}]
    outputs[1]["data"] = [0.5]
    stack.upstream.answer_with(whole({"model_name": "llama", "outputs": outputs}))
    answer = post(stack, INFER, {"inputs": [texts("I am jane@example.com!", "nobody")]}, "staff")
    assert answer.status_code == 200
    assert [output["data"] for output in answer.json()["outputs"]] == [["Write to [EMAIL_ADDRESS]"], [0.5]]
    seen = stack.upstream.requests[-1]
    assert (seen.path, seen.json()["inputs"][0]["data"]) == (INFER, ["I am [EMAIL_ADDRESS]!", "nobody"])


def test_generated_text_is_masked_wherever_it_was_cut(stack: Stack) -> None:
    said = "Write to john.doe@example.org, or pay with 4111 1111 1111 1111 today."
    pieces = [said[i : i + 3] for i in range(0, len(said), 3)]
    steps = tuple(event({"model_name": "llama", "text_output": piece}) for piece in pieces)
    stack.upstream.answer_with(Answer(headers=SSE_TYPE, steps=steps))
    answer = post(stack, GENERATE, {"text_input": "Tell me", "max_tokens": 9}, "staff")
    lines = [line[6:] for line in answer.text.split("\n") if line.startswith("data: ")]
    heard = "".join(json.loads(line)["text_output"] for line in lines)
    assert heard == "Write to [EMAIL_ADDRESS], or pay with [CREDIT_CARD] today."


def test_a_held_inference_goes_through_when_approved(stack: Stack) -> None:
    waiting = in_background(lambda: post(stack, INFER, {"inputs": [texts("hello")]}, "contractors"))
    hold = stack.wait_for_hold()
    assert hold["model"] == "llama"
    stack.upstream.answer_with(whole({"model_name": "llama", "outputs": [texts("there")]}))
    stack.cli("hold", "approve", hold["id"], "--digest", hold["digest"], "--yes", "--reason", "fine")
    assert waiting.result(60).json()["outputs"][0]["data"] == ["there"]


def test_tokens_other_models_and_binary_tensors_never_reach_the_model(stack: Stack) -> None:
    before = len(stack.upstream.requests)
    tokens = {"name": "input_ids", "shape": [2], "datatype": "INT64", "data": [15496, 11]}
    refused = post(stack, INFER, {"inputs": [tokens]}, "staff")
    assert (refused.status_code, refused.json()["code"]) == (400, "unsupported_content")
    other = post(stack, INFER.replace("llama", "other"), {"inputs": [texts("hi")]}, "staff")
    assert (other.status_code, other.json()["code"]) == (404, "model_not_found")
    alias = post(stack, INFER.replace("llama", "gpt-4o"), {"inputs": [texts("hi")]}, "staff")
    assert (alias.status_code, alias.json()["code"]) == (404, "model_not_found")
    headers = {
        "authorization": f"Bearer {stack.token('alice', 'staff')}",
        "content-type": "application/octet-stream",
        "inference-header-content-length": "10",
    }
    binary = httpx.post(f"{stack.url}{INFER}", content=b'{"a": 1}  hello', headers=headers, timeout=60)
    assert binary.status_code == 415
    assert len(stack.upstream.requests) == before
