"""The Open Inference Protocol through the whole gateway to a real MLServer."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest
from tests.e2e.people import in_background
from tests.e2e.stack import Stack
from tests.llama.tap import Exchange, Tap

MODEL = "/v2/models/llama"
SAYS = "Write to john.doe@example.org, or pay with 4111 1111 1111 1111 today."
MASKED = "Write to [EMAIL_ADDRESS], or pay with [CREDIT_CARD] today."


def infer(stack: Stack, path: str, *texts: str, group: str = "staff") -> httpx.Response:
    """An inference over a tensor of texts."""
    tensor = {"name": "text", "shape": [len(texts)], "datatype": "BYTES", "data": list(texts)}
    headers = {"authorization": f"Bearer {stack.token('alice', group)}"}
    url = f"{stack.url}{MODEL}/{path}"
    return httpx.post(url, json={"inputs": [tensor]}, headers=headers, timeout=30)


def tensors(answer: Any) -> dict[str, list[Any]]:
    """The data of each tensor by its name."""
    return {tensor["name"]: tensor["data"] for tensor in answer["outputs"]}


def only(tap: Tap, text: str) -> Exchange:
    """The one exchange with the model server in which this was asked."""
    (exchange,) = [exchange for exchange in tap.exchanges() if text.encode() in exchange.body]
    return exchange


@pytest.mark.parametrize("path", ["infer", "versions/1/infer", "generate"])
def test_tensors_are_masked_both_ways(stack: Stack, tap: Tap, path: str) -> None:
    said = tensors(infer(stack, path, f"By {path}:", "I am jane@example.com!").json())
    assert said == {"said": [MASKED], "heard": [f"By {path}:", "I am [EMAIL_ADDRESS]!"], "score": [0.5]}
    exchange = only(tap, f"By {path}:")
    assert (exchange.path, SAYS in exchange.answer.decode()) == (f"{MODEL}/{path}", True)
    assert b"jane" not in exchange.body


@pytest.mark.parametrize("path", ["infer_stream", "generate_stream"])
def test_a_streamed_tensor_is_masked_across_its_events(stack: Stack, tap: Tap, path: str) -> None:
    answer = infer(stack, path, f"In pieces by {path}")
    events = [json.loads(line.removeprefix("data: ")) for line in answer.text.split("\n\n") if line]
    assert "".join(text for event in events for text in tensors(event)["said"]) == MASKED
    sent = only(tap, f"In pieces by {path}").answer.decode()
    assert sent.count("data: ") == len(events) > 20


def test_a_held_inference_reaches_the_server_when_it_is_approved(stack: Stack, tap: Tap) -> None:
    waiting = in_background(lambda: infer(stack, "infer", "May I?", group="contractors"))
    hold = stack.wait_for_hold()
    assert not [exchange for exchange in tap.exchanges() if b"May I?" in exchange.body]
    stack.cli("hold", "approve", hold["id"], "--digest", hold["digest"], "--yes", "--reason", "fine")
    assert tensors(waiting.result(20).json())["heard"] == ["May I?"]
    only(tap, "May I?")


def test_an_error_of_the_server_is_its_own(stack: Stack, tap: Tap) -> None:
    before = len(tap.exchanges())
    answer = infer(stack, "versions/7/infer", "Of another version")
    assert (answer.status_code, list(answer.json())) == (404, ["error"])
    assert len(tap.exchanges()) == before + 1


def test_a_denied_inference_never_reaches_the_server(stack: Stack, tap: Tap) -> None:
    before = len(tap.exchanges())
    answer = infer(stack, "infer", "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQ", group="staff")
    assert (answer.status_code, answer.json()["code"]) == (403, "request_denied")
    assert len(tap.exchanges()) == before
