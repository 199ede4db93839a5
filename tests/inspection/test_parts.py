"""A value that is split over the parts of one answer is masked, whole or streamed, as a client joins them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from authz_service.inspection.answer import answer_pipe
from authz_service.masking.detectors import build_scanner
from authz_service.model_apis.anthropic import Anthropic
from authz_service.view.request import RequestView

SCANNER = build_scanner(["CREDIT_CARD", "EMAIL_ADDRESS"])
TOOL: dict[str, Any] = {"type": "tool_use", "id": "t", "name": "find", "input": {}}


def released(data: bytes, content_type: str, size: int = 10_000) -> tuple[bytes, dict[str, int]]:
    pipe = answer_pipe(
        api=Anthropic(),
        request=RequestView("anthropic", "messages", "llama", True, ()),
        content_type=content_type,
        scanner=SCANNER,
        masked_entities=SCANNER.entities,
        max_body=1 << 20,
        max_depth=64,
    )
    steps = [pipe.feed(data[at : at + size]) for at in range(0, len(data), size)] + [pipe.finish()]
    found: dict[str, int] = {}
    for step in steps:
        for entity, count in step.found.items():
            found[entity] = found.get(entity, 0) + count
    return b"".join(step.release for step in steps), found


def _events(blocks: Sequence[str | None]) -> Iterator[dict[str, Any]]:
    yield {"type": "message_start", "message": {"type": "message", "role": "assistant", "content": []}}
    for index, text in enumerate(blocks):
        block = TOOL if text is None else {"type": "text", "text": ""}
        yield {"type": "content_block_start", "index": index, "content_block": block}
        for char in text or "":
            delta = {"type": "text_delta", "text": char}
            yield {"type": "content_block_delta", "index": index, "delta": delta}
        yield {"type": "content_block_stop", "index": index}
    yield {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 9}}
    yield {"type": "message_stop"}


def stream(blocks: Sequence[str | None]) -> bytes:
    """The events of a message; None is a tool call."""
    return b"".join(f"event: {e['type']}\ndata: {json.dumps(e)}\n\n".encode() for e in _events(blocks))


def streamed(blocks: Sequence[str | None], size: int = 10_000) -> list[str]:
    """What a client hears of each block."""
    out, _ = released(stream(blocks), "text/event-stream", size)
    heard = [""] * len(blocks)
    for line in out.decode().split("\n"):
        event = json.loads(line.removeprefix("data: ")) if line.startswith("data: ") else {}
        if event.get("type") == "content_block_delta":
            heard[event["index"]] += event["delta"]["text"]
    return heard


def whole(blocks: Sequence[str | None]) -> list[str]:
    content = [TOOL if text is None else {"type": "text", "text": text} for text in blocks]
    message = {"type": "message", "role": "assistant", "content": content}
    out, _ = released(json.dumps(message).encode(), "application/json")
    return [block.get("text", "") for block in json.loads(out)["content"]]


@pytest.mark.parametrize(
    ("blocks", "expected"),
    [
        (["Pay with 4111 1111", " 1111 1111 now."], ["Pay with [CREDIT_CARD]", " now."]),
        (["4111 ", "1111 ", "1111 ", "1111"], ["[CREDIT_CARD]", "", "", ""]),
        (["x1", "4111 1111 1111 1111"], ["x1", "[CREDIT_CARD]"]),
        (["jane@example.co", "m!"], ["[EMAIL_ADDRESS]", "!"]),
        (["jane@", None, "example.com"], ["jane@", "", "example.com"]),
        ([None, "Write to jane@", "example.com"], ["", "Write to [EMAIL_ADDRESS]", ""]),
        (["one", "two"], ["one", "two"]),
    ],
)
def test_blocks_of_text_that_follow_each_other_are_one_text(
    blocks: list[str | None], expected: list[str]
) -> None:
    assert whole(blocks) == expected
    for size in (1, 50, 10_000):
        assert streamed(blocks, size) == expected


def test_it_counts_once() -> None:
    blocks = ["Pay with 4111 1111", " 1111 1111 now."]
    assert released(stream(blocks), "text/event-stream")[1] == {"CREDIT_CARD": 1}


def test_where_nothing_is_found_every_byte_stays() -> None:
    data = stream(["One,", " and", None, "two 4111 1111"])
    for size in (1, 7, 10_000):
        assert released(data, "text/event-stream", size)[0] == data


def test_blocks_that_are_under_way_at_a_time_are_texts_of_their_own() -> None:
    starts = [
        {"type": "content_block_start", "index": n, "content_block": {"type": "text", "text": ""}}
        for n in (0, 1)
    ]
    deltas = [
        {"type": "content_block_delta", "index": n % 2, "delta": {"type": "text_delta", "text": text}}
        for n, text in enumerate(["4111 11", "a", "11 1111", "b", " 1111.", "c"])
    ]
    message: dict[str, Any] = {"type": "message_start", "message": {"type": "message", "content": []}}
    data = b"".join(f"data: {json.dumps(e)}\n\n".encode() for e in (message, *starts, *deltas))
    out = released(data, "text/event-stream")[0].decode()
    heard = [json.loads(line[6:]) for line in out.split("\n") if line.startswith("data: ")]
    said = ["".join(e["delta"]["text"] for e in heard if e.get("delta") and e["index"] == n) for n in (0, 1)]
    assert said == ["[CREDIT_CARD].", "abc"]
