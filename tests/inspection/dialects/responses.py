"""OpenAI's responses: items one after another, each told in deltas, at its end, and with the response."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

from tests.inspection.dialects.base import Dialect, Said, documents, event

from authz_service.model_apis.openai_responses import OpenAiResponses

_HEAD = {"id": "resp_1", "object": "response", "created_at": 1795234399, "model": "llama"}
_INDEXES = ("output_index", "content_index", "summary_index", "sequence_number")
_EVENTS = {
    "thought": ("response.reasoning_text", "content_index", "text"),
    "summary": ("response.reasoning_summary_text", "summary_index", "text"),
    "text": ("response.output_text", "content_index", "text"),
    "input": ("response.custom_tool_call_input", "", "input"),
    "arguments": ("response.function_call_arguments", "", "arguments"),
}


def _item(name: str, number: int, text: str) -> dict[str, Any]:
    named: dict[str, Any] = {"id": f"item_{number}", "status": "completed"}
    call: dict[str, Any] = named | {"call_id": f"call_{number}", "name": "send_mail"}
    match name:
        case "thought":
            part: dict[str, Any] = {"type": "reasoning_text", "text": text}
            return named | {"type": "reasoning", "summary": [], "content": [part]}
        case "summary":
            part = {"type": "summary_text", "text": text}
            return named | {"type": "reasoning", "summary": [part], "encrypted_content": None}
        case "text":
            part = {"type": "output_text", "text": text, "annotations": [], "logprobs": []}
            return named | {"type": "message", "role": "assistant", "content": [part]}
        case "input":
            return call | {"type": "custom_tool_call", "input": text}
        case _:
            return call | {"type": "function_call", "arguments": text}


def _part(item: Mapping[str, Any]) -> Any:
    return next(iter([*item.get("content", ()), *item.get("summary", ())]), None)


def _said(name: str, number: int, texts: Sequence[str]) -> Iterator[dict[str, Any]]:
    """All that is told of one item."""
    kind, index, key = _EVENTS[name]
    here: dict[str, Any] = {"item_id": f"item_{number}", "output_index": number}
    here |= {index: 0} if index else {}
    empty, whole = _item(name, number, ""), _item(name, number, "".join(texts))
    kept: dict[str, Any] = (
        {"content": []} if "content" in empty else {"summary": []} if "summary" in empty else {}
    )
    yield {"type": "response.output_item.added", "output_index": number, "item": empty | kept}
    part = "reasoning_summary_part" if name == "summary" else "content_part"
    if _part(empty):
        yield {"type": f"response.{part}.added", **here, "part": _part(empty)}
    for text in texts:
        yield {"type": f"{kind}.delta", **here, "delta": text}
    yield {"type": f"{kind}.done", **here, key: "".join(texts)}
    if _part(whole):
        yield {"type": f"response.{part}.done", **here, "part": _part(whole)}
    yield {"type": "response.output_item.done", "output_index": number, "item": whole}


def _events(pieces: Sequence[Said]) -> Iterator[dict[str, Any]]:
    yield {"type": "response.created", "response": _HEAD | {"status": "in_progress", "output": []}}
    output = []
    for number, (name, said) in enumerate(groupby(pieces, key=lambda piece: piece[0])):
        texts = [text for _, text in said]
        output.append(_item(name, number, "".join(texts)))
        yield from _said(name, number, texts)
    usage = {"input_tokens": 3, "output_tokens": 9, "total_tokens": 12}
    done = _HEAD | {"status": "completed", "output": output, "usage": usage}
    yield {"type": "response.completed", "response": done}


def tell(pieces: Sequence[Said]) -> bytes:
    """A response of items; pieces of one text that follow each other are one item."""
    told = ({**document, "sequence_number": i} for i, document in enumerate(_events(pieces)))
    return b"".join(event(document, document["type"]) for document in told)


def tell_barely(pieces: Sequence[Said]) -> bytes:
    """The same as llama-server tells it: without indexes, and with fewer events."""
    told = (
        {key: value for key, value in document.items() if key not in _INDEXES}
        for document in _events(pieces)
        if not document["type"].endswith(("arguments.done", "input.done"))
    )
    return b"".join(event(document, document["type"]) for document in told)


def hear(stream: bytes) -> Mapping[str, str]:
    """Each text as its deltas say it; whatever else tells it must say the same."""
    texts = dict.fromkeys(RESPONSES.fields, "")
    parts: dict[str, str] = {}
    for document in documents(stream):
        kind, _, what = document["type"].rpartition(".")
        for name, (named, _, key) in _EVENTS.items():
            if kind == named and what == "delta":
                texts[name] += document["delta"]
                parts[document["item_id"]] = parts.get(document["item_id"], "") + document["delta"]
            elif kind == named:
                assert document[key] == parts.get(document["item_id"], "")
        if kind == "response.output_item" and what == "done":
            assert _text(document["item"]) == parts.get(document["item"]["id"], "")
        elif document["type"] == "response.completed":
            said = {item["id"]: _text(item) for item in document["response"]["output"]}
            assert {name: text for name, text in said.items() if text} == {
                name: text for name, text in parts.items() if text
            }
    return texts


def _text(item: Mapping[str, Any]) -> str:
    part = _part(item)
    return str(part["text"] if part else item.get("arguments", item.get("input")))


_FIELDS = ("thought", "summary", "text", "input", "arguments")
RESPONSES = Dialect(OpenAiResponses(), "responses", _FIELDS, tell, hear, arguments="arguments", in_turn=True)
BARE_RESPONSES = Dialect(
    OpenAiResponses(), "bare_responses", _FIELDS, tell_barely, hear, arguments="arguments", in_turn=True
)
