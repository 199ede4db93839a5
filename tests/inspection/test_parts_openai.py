"""A value that is split over the parts of an answer of OpenAI's APIs is masked in each telling of them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from openai.types.responses import Response

from authz_service.errors import Unreadable
from authz_service.inspection.answer import answer_pipe
from authz_service.masking.detectors import build_scanner
from authz_service.model_apis.base import ModelApi
from authz_service.model_apis.openai_chat import OpenAiChat
from authz_service.model_apis.openai_responses import OpenAiResponses
from authz_service.view.request import RequestView

SCANNER = build_scanner(["CREDIT_CARD", "EMAIL_ADDRESS", "PRIVATE_KEY"])
JSON, SSE = "application/json", "text/event-stream"
Messages = Sequence[Sequence[str] | None]
"""The parts of each message; None is the call of a tool."""

CASES = pytest.mark.parametrize(
    ("messages", "expected"),
    [
        ([["Pay with 4111 1111", " 1111 1111 now."]], [["Pay with [CREDIT_CARD]", " now."]]),
        ([["4111 ", "1111 ", "1111 ", "1111"]], [["[CREDIT_CARD]", "", "", ""]]),
        ([["x1", "4111 1111 1111 1111"]], [["x1", "[CREDIT_CARD]"]]),
        (
            [["to jane@example.co"], ["m or bob@example.org"]],
            [["to [EMAIL_ADDRESS]"], [" or [EMAIL_ADDRESS]"]],
        ),
        (
            [["a -----BEGIN PRIVATE KEY-----\nMII", "J\n-----END PRIVATE KEY----- b", "c"]],
            [["a [PRIVATE_KEY]", " b", "c"]],
        ),
        ([["jane@"], None, ["example.com"]], [["jane@"], None, ["example.com"]]),
        ([None, ["one", "two"]], [None, ["one", "two"]]),
    ],
)


def released(
    api: ModelApi, data: bytes, content_type: str, size: int = 10_000
) -> tuple[bytes, dict[str, int]]:
    pipe = answer_pipe(
        api=api,
        request=RequestView(api.name, "", "llama", True, ()),
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


def _item(number: int, parts: Sequence[str] | None) -> dict[str, Any]:
    if parts is None:
        call = {"call_id": "c", "name": "find", "arguments": "{}"}
        return {"id": f"i{number}", "type": "function_call", "status": "completed", **call}
    content = [{"type": "output_text", "text": text, "annotations": []} for text in parts]
    return {"id": f"i{number}", "type": "message", "role": "assistant", "status": "completed"} | {
        "content": content
    }


def response(messages: Messages) -> dict[str, Any]:
    output = [_item(number, parts) for number, parts in enumerate(messages)]
    beside = {"parallel_tool_calls": True, "tool_choice": "auto", "tools": [], "created_at": 1, "model": "m"}
    return {"id": "r", "object": "response", "output": output, **beside}


def events(messages: Messages, *, deltas: bool = True) -> Iterator[dict[str, Any]]:
    """All that OpenAI's own server says of a response: each text in deltas and four times more."""
    for number, parts in enumerate(messages):
        item = _item(number, parts)
        begun = item | ({"content": []} if parts is not None else {})
        yield {"type": "response.output_item.added", "output_index": number, "item": begun}
        for index, part in enumerate(item.get("content", ())):
            place = {"item_id": item["id"], "output_index": number, "content_index": index}
            yield {"type": "response.content_part.added", **place, "part": part | {"text": ""}}
            for char in part["text"] if deltas else "":
                yield {"type": "response.output_text.delta", **place, "delta": char}
            yield {"type": "response.output_text.done", **place, "text": part["text"]}
            yield {"type": "response.content_part.done", **place, "part": part}
        yield {"type": "response.output_item.done", "output_index": number, "item": item}
    yield {"type": "response.completed", "response": response(messages)}


def encoded(documents: Iterator[dict[str, Any]]) -> bytes:
    return b"".join(f"event: {e['type']}\ndata: {json.dumps(e)}\n\n".encode() for e in documents)


def heard(data: bytes) -> list[dict[str, Any]]:
    return [json.loads(line[6:]) for line in data.decode().split("\n") if line.startswith("data: ")]


def _texts(output: Sequence[dict[str, Any]]) -> list[list[str] | None]:
    return [[part["text"] for part in item["content"]] if "content" in item else None for item in output]


def tellings(read: Sequence[dict[str, Any]]) -> list[Messages]:
    """What each kind of event says of all texts."""
    items = [e["item"] for e in read if e["type"] == "response.output_item.done"]
    told: dict[str, list[list[str] | None]] = {
        kind: [None if "content" not in item else [""] * len(item["content"]) for item in items]
        for kind in ("response.output_text.delta", "response.output_text.done", "response.content_part.done")
    }
    for e in read:
        texts = told.get(e["type"])
        if texts is not None:
            said = texts[e["output_index"]]
            assert said is not None
            said[e["content_index"]] += e.get("delta") or e.get("text") or e.get("part", {}).get("text", "")
    return [*told.values(), _texts(items), _texts(read[-1]["response"]["output"])]


@CASES
def test_a_whole_response_is_masked_as_its_readers_join_it(messages: Messages, expected: Messages) -> None:
    out, _ = released(OpenAiResponses(), json.dumps(response(messages)).encode(), JSON)
    said = Response.model_validate_json(out)
    assert _texts(json.loads(out)["output"]) == expected
    assert said.output_text == "".join("".join(parts) for parts in expected if parts is not None)


@CASES
@pytest.mark.parametrize("size", [1, 300, 100_000])
def test_each_telling_of_a_stream_is_masked_as_its_readers_join_it(
    messages: Messages, expected: Messages, size: int
) -> None:
    out, _ = released(OpenAiResponses(), encoded(events(messages)), SSE, size)
    assert tellings(heard(out)) == [expected] * 5


@CASES
def test_a_stream_without_deltas_is_masked_in_each_telling(messages: Messages, expected: Messages) -> None:
    out, _ = released(OpenAiResponses(), encoded(events(messages, deltas=False)), SSE)
    assert tellings(heard(out))[1:] == [expected] * 4


def test_it_counts_once() -> None:
    stream = encoded(events([["mail jane@example.com with 4111 1111", " 1111 1111 now."]]))
    assert released(OpenAiResponses(), stream, SSE)[1] == {"CREDIT_CARD": 1, "EMAIL_ADDRESS": 1}


def test_where_nothing_is_found_every_byte_stays() -> None:
    data = encoded(events([["One,", " and"], None, ["two 4111 1111"], ["three 4"]]))
    for size in (1, 7, 10_000):
        assert released(OpenAiResponses(), data, SSE, size)[0] == data


def test_a_part_that_is_told_again_in_other_words_is_refused_where_it_had_a_share() -> None:
    documents = list(events([["Pay with 4111 1111", " 1111 1111 now."]]))
    for change, is_refused in (("Pay with 4111 1111 ", False), (" Pay with 4111 1111", True)):
        documents[-1]["response"]["output"][0]["content"][0]["text"] = change
        if not is_refused:
            out, _ = released(OpenAiResponses(), encoded(iter(documents)), SSE)
            assert b"1111" not in out
            continue
        with pytest.raises(Unreadable, match="not as it was"):
            released(OpenAiResponses(), encoded(iter(documents)), SSE)


def test_messages_that_are_under_way_at_a_time_are_texts_of_their_own() -> None:
    added = [{"type": "response.output_item.added", "output_index": n, "item": _item(n, ())} for n in (0, 1)]
    said = [
        {"type": "response.output_text.delta", "output_index": n % 2, "content_index": 0, "delta": text}
        for n, text in enumerate(["4111 11", "a", "11 1111", "b", " 1111.", "c"])
    ]
    read = heard(released(OpenAiResponses(), encoded(iter([*added, *said])), SSE)[0])
    spoken = ["".join(e["delta"] for e in read if "delta" in e and e["output_index"] == n) for n in (0, 1)]
    assert spoken == ["[CREDIT_CARD].", "abc"]


def _chat(source: str, parts: Sequence[str]) -> dict[str, Any]:
    content = [{"type": "text", "text": text} for text in parts]
    return {"choices": [{"index": 0, source: {"role": "assistant", "content": content}}]}


CHAT_CASES = [(case[0][0], case[1][0]) for case in CASES.args[1] if len(case[0]) == 1]


@pytest.mark.parametrize(("parts", "expected"), CHAT_CASES)
def test_the_parts_of_a_chat_answer_are_one_text(parts: Sequence[str], expected: Sequence[str]) -> None:
    out, _ = released(OpenAiChat(), json.dumps(_chat("message", parts)).encode(), JSON)
    content = json.loads(out)["choices"][0]["message"]["content"]
    assert [part["text"] for part in content] == expected


@pytest.mark.parametrize(("parts", "expected"), CHAT_CASES)
@pytest.mark.parametrize("size", [1, 100, 10_000])
def test_the_parts_of_a_streamed_chat_answer_are_one_text(
    parts: Sequence[str], expected: Sequence[str], size: int
) -> None:
    frames = [
        _chat("delta", [*("" for _ in range(index)), char])
        for index, text in enumerate(parts)
        for char in text
    ]
    data = b"".join(b"data: %s\n\n" % json.dumps(frame).encode() for frame in frames)
    spoken = [""] * len(parts)
    for frame in heard(released(OpenAiChat(), data, SSE, size)[0]):
        for index, part in enumerate(frame["choices"][0]["delta"]["content"]):
            spoken[index] += part["text"]
    assert spoken == expected
