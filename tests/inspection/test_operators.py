"""Masks by operator: whole texts, streams of any cut, tool arguments and requests say the same."""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest

from authz_service.inspection.answer import answer_pipe
from authz_service.inspection.request import inspect_request
from authz_service.masking.detectors import build_scanner
from authz_service.masking.operators import Masks, drop, keyed_hash, partial
from authz_service.model_apis.openai_chat import CHAT_COMPLETIONS, OpenAiChat

SCANNER = build_scanner()
HASHED = keyed_hash(bytes(32))
MASKS = Masks(
    {"CREDIT_CARD": partial, "EMAIL_ADDRESS": HASHED, "US_SSN": drop, "PRIVATE_KEY": partial, "JWT": HASHED}
)
PEM = "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkq\n-----END PRIVATE KEY-----"
JANE = HASHED("EMAIL_ADDRESS", "jane@example.com")


def streamed(kit: Any, pieces: list[str]) -> tuple[str, dict[str, int]]:
    pipe = answer_pipe(
        api=OpenAiChat(), request=kit.request, content_type="text/event-stream", scanner=SCANNER,
        masked_entities=MASKS, max_body=1_000_000, max_depth=16,
    )  # fmt: skip
    step = kit.run(pipe, [kit.sse([kit.chunk(kit.delta(content=piece)) for piece in pieces])])
    return str(kit.heard(step.data).get((0, "content"), "")), dict(step.masked)


def requested(*messages: dict[str, Any]) -> Any:
    inspection = inspect_request(
        json.dumps({"model": "llama", "messages": messages}).encode(), api=OpenAiChat(),
        operation=CHAT_COMPLETIONS, scanner=SCANNER, masked_entities=MASKS, models={"llama": "llama"},
        noise=(), max_depth=16,
    )  # fmt: skip
    return json.loads(inspection.forward)["messages"], inspection


@pytest.mark.parametrize(
    ("text", "expected", "counts"),
    [
        ("pay 4111 1111 1111 1111 now", "pay [CREDIT_CARD:1111] now", {"CREDIT_CARD": 1}),
        ("to jane@example.com, JANE@example.com.", f"to {JANE}, {JANE}.", {"EMAIL_ADDRESS": 2}),
        ("to jane%40example.com.", f"to {JANE}.", {"EMAIL_ADDRESS": 1}),
        ("ssn 536-22-8726 ok 536-22-8727", "ssn  ok ", {"US_SSN": 2}),
        (f"key {PEM} end", "key [PRIVATE_KEY] end", {"PRIVATE_KEY": 1}),
        ("no 10.0.0.1", "no 10.0.0.1", {}),
    ],
)
def test_any_cut_says_what_the_operators_make_of_the_whole(
    kit: Any, text: str, expected: str, counts: dict[str, int]
) -> None:
    said, inspection = requested({"role": "user", "content": text})
    assert said[0]["content"] == expected
    assert inspection.masked == counts
    assert streamed(kit, list(text)) == (expected, counts)
    for begin, end in itertools.combinations(range(0, len(text), 3), 2):
        assert streamed(kit, [text[:begin], text[begin:end], text[end:]]) == (expected, counts)


def test_tool_arguments_stay_json_with_the_values_that_they_say(kit: Any) -> None:
    arguments = r'{"to": "j\u0061ne@example.com", "card": 4111111111111111, "ssn": "536-22-8726", "n": 1}'
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": arguments}}
    said, _ = requested({"role": "assistant", "tool_calls": [call]})
    told = json.loads(said[0]["tool_calls"][0]["function"]["arguments"])
    assert told == {"to": JANE, "card": "[CREDIT_CARD:1111]", "ssn": "", "n": 1}


def test_a_value_in_two_parts_is_replaced_once(kit: Any) -> None:
    parts = [{"type": "text", "text": text} for text in ("to jane@exa", "mple.com now")]
    said, inspection = requested({"role": "user", "content": parts})
    assert [part["text"] for part in said[0]["content"]] == [f"to {JANE}", " now"]
    assert inspection.masked == {"EMAIL_ADDRESS": 1}


def test_what_reviewers_see_shows_types_only(kit: Any) -> None:
    _, inspection = requested({"role": "user", "content": "4111 1111 1111 1111, jane@example.com, 10.0.0.1"})
    (message,) = json.loads(inspection.redacted)["messages"]
    assert message["content"] == "[CREDIT_CARD], [EMAIL_ADDRESS], [IP_ADDRESS]"
