"""The other dialects that a real llama.cpp server speaks, through the whole gateway."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import anthropic
import httpx
import pytest
from tests.e2e.stack import Stack
from tests.llama.tap import Exchange, Tap
from tests.llama.test_llama_sdk import GRAMMAR, MASKED, SECRETS

WITHOUT_CHANCE = {"temperature": 0}


def of(tap: Tap, path: str, text: str) -> Exchange:
    (found,) = [e for e in tap.exchanges() if e.path == path and text.encode() in e.body]
    return found


def post(stack: Stack, path: str, body: dict[str, Any]) -> httpx.Response:
    headers = {"authorization": f"Bearer {stack.token('alice', 'staff')}"}
    answer = httpx.post(f"{stack.url}{path}", json=body, headers=headers, timeout=60)
    assert answer.status_code == 200, answer.text
    return answer


def events(stream: str) -> list[Any]:
    lines = [line.removeprefix("data: ") for line in stream.split("\n") if line.startswith("data: ")]
    return [json.loads(line) for line in lines if line != "[DONE]"]


@pytest.fixture
def client(stack: Stack) -> Iterator[anthropic.Anthropic]:
    key = stack.token("alice", "staff")
    with anthropic.Anthropic(base_url=stack.url, api_key=key, max_retries=0) as found:
        yield found


def test_anthropics_sdk_gets_a_whole_message_with_its_tokens(client: anthropic.Anthropic, tap: Tap) -> None:
    answer = client.messages.create(
        model="llama",
        max_tokens=8,
        messages=[{"role": "user", "content": "Name a river"}],
        extra_body=WITHOUT_CHANCE,
    )
    assert (answer.stop_reason, answer.usage.output_tokens) == ("max_tokens", 8)
    assert json.loads(of(tap, "/v1/messages", "Name a river").answer)["content"][0]["text"]


def test_anthropics_sdk_gets_a_stream_that_is_that_of_the_model(
    client: anthropic.Anthropic, tap: Tap
) -> None:
    with client.messages.stream(
        model="llama",
        max_tokens=8,
        messages=[{"role": "user", "content": "Name a stone"}],
        extra_body=WITHOUT_CHANCE,
    ) as stream:
        said = "".join(stream.text_stream)
        final = stream.get_final_message()
    assert (final.stop_reason, final.usage.output_tokens) == ("max_tokens", 8)
    written = events(of(tap, "/v1/messages", "Name a stone").answer.decode())
    deltas = [event["delta"]["text"] for event in written if event["type"] == "content_block_delta"]
    assert said == "".join(deltas)


def test_tokens_are_counted_of_what_the_model_would_read(client: anthropic.Anthropic, tap: Tap) -> None:
    said: Any = [{"role": "user", "content": "Count for jane@example.com"}]
    counted = client.messages.count_tokens(model="llama", messages=said)
    assert counted.input_tokens > 0
    assert b"jane@example.com" not in of(tap, "/v1/messages/count_tokens", "Count for").body


@pytest.mark.parametrize(("path", "says"), [("/v1/completions", "text"), ("/completion", "content")])
def test_a_completion_is_masked_whole_and_streamed(stack: Stack, tap: Tap, path: str, says: str) -> None:
    body = {"model": "llama", "prompt": f"Whom shall {says} go to?", "temperature": 0, "grammar": GRAMMAR}
    limit = {"max_tokens": 200} if path.startswith("/v1") else {"n_predict": 200}
    whole = post(stack, path, body | limit).json()
    assert (whole["choices"][0] if path.startswith("/v1") else whole)[says] == MASKED
    body["prompt"] = f"To whom shall {says} go?"
    streamed = events(post(stack, path, body | limit | {"stream": True}).text)
    said = [(event["choices"][0] if path.startswith("/v1") else event)[says] for event in streamed]
    assert "".join(said) == MASKED
    written = events(of(tap, path, "To whom shall").answer.decode())
    raw = [(event["choices"][0] if path.startswith("/v1") else event)[says] for event in written]
    assert "".join(raw) == SECRETS
