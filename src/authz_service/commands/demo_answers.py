"""What the demo model says: plain functions from a chat completion request to its answer's documents.

It is no language model. It repeats what it was asked, so that a person sees what crossed the gateway, and
it knows one invented customer record, whose values are published test numbers, to show masking.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

RECORD = (
    "Customer record 4711: Erika Example, e-mail erika.example@example.com, "
    "card 4111 1111 1111 1111, IBAN DE89 3704 0044 0532 0130 00, customer since 2019."
)


class BadRequest(Exception):
    """The body is no chat completion request; the text says why."""


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A call of one of the request's tools; `arguments` is a JSON document."""

    id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class Choice:
    """One choice of the answer: words, or a tool call."""

    words: tuple[str, ...]
    call: ToolCall | None
    finish_reason: str


@dataclass(frozen=True, slots=True)
class Answer:
    """The whole answer; `envelope` is what each of its documents begins with."""

    envelope: Mapping[str, Any]
    choices: tuple[Choice, ...]
    usage: Mapping[str, int]


def answer(body: object, *, created: int) -> Answer:
    """The answer to a request, always the same for the same body. Raises `BadRequest`."""
    if not isinstance(body, dict):
        raise BadRequest("the body must be a JSON object")
    messages = body.get("messages")
    if not isinstance(messages, list) or not all(isinstance(message, dict) for message in messages):
        raise BadRequest("messages must be a list of objects")
    digest = hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()
    count = body.get("n") or 1
    if not isinstance(count, int) or not 1 <= count <= 16:
        raise BadRequest("n must be between 1 and 16")
    choices = tuple(_choice(body, messages, f"{digest[:20]}{i}", i) for i in range(count))
    prompt = sum(len(_text(message).split()) for message in messages)
    completion = sum(len(choice.words) or 1 for choice in choices)
    return Answer(
        envelope={"id": f"chatcmpl-{digest[:24]}", "created": created, "model": str(body.get("model"))},
        choices=choices,
        usage={
            "prompt_tokens": prompt,
            "completion_tokens": completion,
            "total_tokens": prompt + completion,
        },
    )


def whole(answer: Answer) -> dict[str, Any]:
    """The answer as one document."""
    choices = [
        {"index": i, "message": _message(choice), "logprobs": None, "finish_reason": choice.finish_reason}
        for i, choice in enumerate(answer.choices)
    ]
    return {"object": "chat.completion", **answer.envelope, "choices": choices, "usage": dict(answer.usage)}


def chunks(answer: Answer, *, include_usage: bool) -> Iterator[dict[str, Any]]:
    """The answer as the documents of a stream: word by word, the choices taking turns."""
    start = {"object": "chat.completion.chunk", **answer.envelope}
    turns = [_deltas(choice) for choice in answer.choices]
    for i in range(len(turns)):
        yield start | {"choices": [_piece(i, {"role": "assistant", "content": ""})]}
    for step in range(max(len(deltas) for deltas in turns)):
        for i, deltas in enumerate(turns):
            if step < len(deltas):
                yield start | {"choices": [_piece(i, deltas[step])]}
    for i, choice in enumerate(answer.choices):
        yield start | {"choices": [_piece(i, {}, choice.finish_reason)]}
    if include_usage:
        yield start | {"choices": [], "usage": dict(answer.usage)}


def _choice(body: Mapping[str, Any], messages: list[dict[str, Any]], seed: str, index: int) -> Choice:
    last = messages[-1] if messages else {}
    tools = body.get("tools")
    if tools and last.get("role") != "tool" and body.get("tool_choice") != "none":
        return Choice((), _tool_call(tools, _last_user_text(messages), f"call_{seed}"), "tool_calls")
    spoken = f"The tool said: {_text(last)}" if last.get("role") == "tool" else _reply(messages)
    if index:
        spoken += f" (This is choice {index + 1}.)"
    words = tuple(re.findall(r"\s*\S+", spoken))
    limit = body.get("max_completion_tokens") or body.get("max_tokens")
    if isinstance(limit, int) and 0 < limit < len(words):
        return Choice(words[:limit], None, "length")
    return Choice(words, None, "stop")


def _reply(messages: list[dict[str, Any]]) -> str:
    said = _last_user_text(messages)
    question = said.casefold()
    if "customer record" in question:
        return RECORD
    if "what did you receive" in question:
        return f"I received {len(messages)} message(s); the last of the user's reads: {said}"
    if counting := re.search(r"count to (\d{1,3})", question):
        return " ".join(str(number) for number in range(1, int(counting[1]) + 1))
    return f"You said: {said}"


def _tool_call(tools: object, said: str, call_id: str) -> ToolCall:
    try:
        function = tools[0]["function"]  # type: ignore[index]  # any shape at all may have been sent
        properties = dict(function.get("parameters", {}).get("properties", {}))
        arguments = {name: _argument(schema, said) for name, schema in properties.items()}
        return ToolCall(call_id, str(function["name"]), json.dumps(arguments, ensure_ascii=False))
    except (AttributeError, KeyError, IndexError, TypeError, ValueError):
        raise BadRequest("tools must be a list of function tools") from None


def _argument(schema: Mapping[str, Any], said: str) -> object:
    if schema.get("enum"):
        return next(iter(schema["enum"]))
    examples: dict[object, object] = {"integer": 1, "number": 1.5, "boolean": True, "array": [], "object": {}}
    kind = schema.get("type")
    return examples.get(kind[0] if isinstance(kind, list) else kind, said)


def _message(choice: Choice) -> dict[str, Any]:
    if choice.call is None:
        return {"role": "assistant", "content": "".join(choice.words), "refusal": None}
    function = {"name": choice.call.name, "arguments": choice.call.arguments}
    call = {"id": choice.call.id, "type": "function", "function": function}
    return {"role": "assistant", "content": None, "refusal": None, "tool_calls": [call]}


def _deltas(choice: Choice) -> list[dict[str, Any]]:
    if choice.call is None:
        return [{"content": word} for word in choice.words]
    function = {"name": choice.call.name, "arguments": ""}
    first = {"index": 0, "id": choice.call.id, "type": "function", "function": function}
    pieces = re.findall(r"(?s).{1,6}", choice.call.arguments)
    rest = [{"index": 0, "function": {"arguments": piece}} for piece in pieces]
    return [{"tool_calls": [call]} for call in (first, *rest)]


def _piece(index: int, delta: Mapping[str, Any], finish_reason: str | None = None) -> dict[str, Any]:
    return {"index": index, "delta": delta, "logprobs": None, "finish_reason": finish_reason}


def _last_user_text(messages: list[dict[str, Any]]) -> str:
    return next((_text(message) for message in reversed(messages) if message.get("role") == "user"), "")


def _text(message: Mapping[str, Any]) -> str:
    content = message.get("content")
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    return " ".join(str(part.get("text", "")) for part in parts if isinstance(part, dict))
