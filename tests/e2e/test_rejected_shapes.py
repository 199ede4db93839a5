"""A reviewer's reason reaches the caller in the error shape of each model API, streamed and whole."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import httpx
import pytest
from tests.e2e.people import in_background, until
from tests.e2e.stack import Stack
from tests.e2e.test_held_answers import HELD_ANSWERS
from tests.e2e.test_sdk_anthropic import message as of_anthropics
from tests.e2e.test_sdk_anthropic import streamed as in_anthropics
from tests.e2e.test_sdk_anthropic import text as block
from tests.e2e.test_sdk_ollama import COUNTS, HEAD, lines
from tests.e2e.test_sdk_ollama import message as of_ollamas
from tests.e2e.test_sdk_responses import message as item
from tests.e2e.test_sdk_responses import response
from tests.e2e.test_sdk_responses import streamed as in_responses
from tests.e2e.upstream_answers import SSE_TYPE, Answer, Received, completion, event, stream, whole

from authz_api.v1.holds_pb2 import HOLD_STATE_PENDING, ListHoldsRequest
from authz_cli.hold_client import connect
from authz_cli.options import Target

SECRET = "Ask E-123456 about it"
REASON = 'Names "nobody" should read:\nnot even \u00e4, \u2028 or </script>'
Shape = dict[str, Any]


def openais(session: str, told: Mapping[str, Any]) -> Shape:
    error = {"type": "permission_error", "param": None, "code": "request_rejected", "session": session}
    return {"error": {**error, **told}}


def anthropics(session: str, told: Mapping[str, Any]) -> Shape:
    error = {"type": "permission_error", "code": "request_rejected", **told}
    return {"type": "error", "error": error, "request_id": session}


def tgis(session: str, told: Mapping[str, Any]) -> Shape:
    return {**told, "error": told["message"], "error_type": "request_rejected", "session": session}


def plain(session: str, told: Mapping[str, Any]) -> Shape:
    """As Ollama and the Open Inference Protocol have it."""
    return {**told, "error": told["message"], "code": "request_rejected", "session": session}


def piece(document: Mapping[str, Any]) -> Answer:
    return Answer(headers=SSE_TYPE, steps=(event(document),))


@dataclass(frozen=True)
class Api:
    """A way to ask, what the model answers to it, and how errors are said."""

    path: str
    body: Mapping[str, Any]
    answer: Answer
    shape: Any


CHAT: dict[str, Any] = {"model": "llama", "messages": [{"role": "user", "content": "Who knows?"}]}
MESSAGES = CHAT | {"max_tokens": 64}
PROMPT: dict[str, Any] = {"model": "llama", "prompt": "Who knows?"}
TENSOR = {"name": "text", "shape": [1], "datatype": "BYTES", "data": ["Who knows?"]}
OUTPUT = {"model_name": "llama", "outputs": [TENSOR | {"data": [SECRET]}]}
CHOICE = {"index": 0, "text": SECRET, "finish_reason": "stop", "logprobs": None}
COMPLETED = {"id": "c", "object": "text_completion", "created": 1, "model": "llama", "choices": [CHOICE]}
GENERATED = {**HEAD, "response": SECRET, **COUNTS}
TOKEN = {"token": {"id": 7, "text": SECRET, "logprob": -0.5, "special": False}}
APIS = {
    "chat": Api("/v1/chat/completions", CHAT, completion(SECRET), openais),
    "chat-streamed": Api("/v1/chat/completions", CHAT | {"stream": True}, stream([SECRET]), openais),
    "completions": Api("/v1/completions", PROMPT, whole(COMPLETED), openais),
    "completions-streamed": Api("/v1/completions", PROMPT | {"stream": True}, piece(COMPLETED), openais),
    "responses": Api("/v1/responses", {"model": "llama", "input": "Who?"}, response(item(SECRET)), openais),
    "responses-streamed": Api(
        "/v1/responses",
        {"model": "llama", "input": "Who?", "stream": True},
        in_responses(SECRET, 5),
        openais,
    ),
    "anthropic": Api("/v1/messages", MESSAGES, of_anthropics(block(SECRET)), anthropics),
    "anthropic-streamed": Api(
        "/v1/messages", MESSAGES | {"stream": True}, in_anthropics(SECRET, 5), anthropics
    ),
    "ollama": Api("/api/chat", CHAT | {"stream": False}, whole(of_ollamas(SECRET) | COUNTS), plain),
    "ollama-streamed": Api(
        "/api/chat",
        CHAT | {"stream": True},
        lines(of_ollamas(SECRET) | {"done": False}, of_ollamas("") | COUNTS),
        plain,
    ),
    "ollama-generate": Api("/api/generate", PROMPT | {"stream": False}, whole(GENERATED), plain),
    "tgi": Api("/generate", {"inputs": "Who?"}, whole({"generated_text": SECRET}), tgis),
    "tgi-streamed": Api("/generate_stream", {"inputs": "Who?"}, piece(TOKEN), tgis),
    "llamacpp": Api("/completion", {"prompt": "Who?"}, whole({"content": SECRET, "stop": True}), openais),
    "llamacpp-streamed": Api(
        "/completion", {"prompt": "Who?", "stream": True}, piece({"content": SECRET, "stop": True}), openais
    ),
    "inference": Api("/v2/models/llama/infer", {"inputs": [TENSOR]}, whole(OUTPUT), plain),
    "inference-generated": Api(
        "/v2/models/llama/generate",
        {"text_input": "Who?"},
        whole({"model_name": "llama", "text_output": SECRET}),
        plain,
    ),
    "inference-streamed": Api(
        "/v2/models/llama/generate_stream",
        {"text_input": "Who?"},
        piece({"model_name": "llama", "text_output": SECRET}),
        plain,
    ),
}


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A gateway that holds what contractors ask, and answers with an employee's number in them."""
    with Stack(tmp_path_factory.mktemp("shapes"), config=HELD_ANSWERS) as running:
        answers = {(api.path, bool(api.body.get("stream"))): api.answer for api in APIS.values()}

        def answer(request: Received) -> Answer:
            return answers[request.path, bool(request.json().get("stream"))]

        running.upstream.otherwise = answer
        yield running


def rejected(stack: Stack, group: str) -> dict[str, tuple[httpx.Response, str]]:
    """All are asked at once, each by a caller of its own, and rejected: what each is told, and its hold."""

    def post(name: str, api: Api) -> httpx.Response:
        headers = {"authorization": f"Bearer {stack.token(f'{group}-{name}', group)}"}
        return httpx.post(f"{stack.url}{api.path}", json=api.body, headers=headers, timeout=60)

    waiting = {name: in_background(partial(post, name, api)) for name, api in APIS.items()}
    target = Target(server=None, ca=None, token=None, data_dir=stack.data, is_data_dir_named=True)
    holds: dict[str, str] = {}
    with connect(target) as client:
        pending = ListHoldsRequest(states=[HOLD_STATE_PENDING], page_size=200)

        def all_wait() -> bool:
            early = {name: reply.result().text for name, reply in waiting.items() if reply.done()}
            assert early == {}, "these were not held"
            found = [hold for hold, _ in client.holds(pending) if hold.caller.subject.startswith(f"{group}-")]
            holds.update({hold.caller.subject.removeprefix(f"{group}-"): hold.id for hold in found})
            return len(holds) == len(APIS)

        until(all_wait, "a hold of each")
        for name in holds:
            shown = client.hold(holds[name]).hold
            assert shown.source == "127.0.0.1"
            client.reject(shown.id, digest=shown.digest, reason=REASON)
    return {name: (reply.result(60), holds[name]) for name, reply in waiting.items()}


@pytest.mark.parametrize(("group", "what"), [("contractors", "request"), ("staff", "answer")])
def test_the_reason_of_a_rejection_is_said_in_the_shape_of_every_api(
    stack: Stack, group: str, what: str
) -> None:
    """Nothing of a held answer has gone out, so that a stream's refusal is a whole error too."""
    verb = "rejected this request" if what == "request" else "withheld the answer to this request"
    rule = "contractors" if what == "request" else "review-employees"
    for name, (reply, hold) in rejected(stack, group).items():
        message = f"A reviewer {verb} (hold {hold}): {REASON}"
        told = {"message": message, "hold": hold, "rule": rule}
        wanted = APIS[name].shape(reply.headers["x-authz-session"], told)
        if APIS[name].shape in (tgis, plain):
            del wanted["message"]
        assert (reply.status_code, reply.json()) == (403, wanted), name
        assert reply.headers["content-type"] == "application/json", name
        assert reply.headers["x-should-retry"] == "false", name
        assert SECRET not in reply.text, name
        assert json.dumps(SECRET) not in reply.text, name
