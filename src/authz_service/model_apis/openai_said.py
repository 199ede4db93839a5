"""What a person says in the place of a model, in the shapes of OpenAI's APIs."""

from __future__ import annotations

from typing import Any

from authz_service.model_apis.base import OwnAnswer, Said
from authz_service.model_apis.own_answer import events, whole
from authz_service.view.request import RequestView

_DONE = "[DONE]"
_USAGE = {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}


def said_in_chat(request: RequestView, said: Said) -> OwnAnswer:
    """A chat completion, or its chunks."""
    places = range(request.choices)
    if not request.stream:
        message = {"role": "assistant", "content": said.text}
        choices = [{"index": n, "message": message, "finish_reason": "stop"} for n in places]
        return whole(_document(request, said, "chat.completion", choices) | {"usage": _USAGE})
    delta = {"role": "assistant", "content": said.text}
    chunks = []
    for n in places:
        chunks.append([{"index": n, "delta": delta, "finish_reason": None}])
        chunks.append([{"index": n, "delta": {}, "finish_reason": "stop"}])
    return events((_document(request, said, "chat.completion.chunk", c) for c in chunks), end=_DONE)


def said_in_completions(request: RequestView, said: Said) -> OwnAnswer:
    """A completion, or its only chunk."""
    choices: list[dict[str, Any]] = [
        {"index": n, "text": said.text, "logprobs": None, "finish_reason": "stop"}
        for n in range(request.choices)
    ]
    document = _document(request, said, "text_completion", choices)
    return events([document], end=_DONE) if request.stream else whole(document | {"usage": _USAGE})


def said_in_responses(request: RequestView, said: Said) -> OwnAnswer:
    """A response, or the events that end in it."""
    part = {"type": "output_text", "text": said.text, "annotations": []}
    item = {"id": f"msg_{said.id}", "type": "message", "role": "assistant"}
    done = item | {"status": "completed", "content": [part]}
    response = _response(request, said) | {"status": "completed", "output": [done]}
    if not request.stream:
        return whole(response)
    begun = _response(request, said) | {"status": "in_progress", "output": []}
    at = {"item_id": item["id"], "output_index": 0, "content_index": 0}
    told: list[dict[str, Any]] = [
        {"type": "response.created", "response": begun},
        {
            "type": "response.output_item.added",
            "output_index": 0,
            "item": item | {"status": "in_progress", "content": []},
        },
        {"type": "response.content_part.added", **at, "part": part | {"text": ""}},
        {"type": "response.output_text.delta", **at, "delta": said.text, "logprobs": []},
        {"type": "response.output_text.done", **at, "text": said.text, "logprobs": []},
        {"type": "response.content_part.done", **at, "part": part},
        {"type": "response.output_item.done", "output_index": 0, "item": done},
        {"type": "response.completed", "response": response},
    ]
    return events(({**event, "sequence_number": n} for n, event in enumerate(told)), named=True)


def _document(request: RequestView, said: Said, kind: str, choices: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "id": f"chatcmpl-{said.id}",
        "object": kind,
        "created": said.created,
        "model": request.model,
        "choices": choices,
    }


def _response(request: RequestView, said: Said) -> dict[str, Any]:
    return {
        "id": f"resp_{said.id}",
        "object": "response",
        "created_at": said.created,
        "model": request.model,
        "error": None,
        "incomplete_details": None,
        "instructions": None,
        "metadata": {},
        "parallel_tool_calls": True,
        "temperature": None,
        "tool_choice": "auto",
        "tools": [],
        "top_p": None,
    }
