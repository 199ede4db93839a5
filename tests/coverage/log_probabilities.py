"""Whole answers that say their text a second time, in tokens: both must say the same when values are gone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from tests.fuzz.documents import Place, value_at
from tests.inspection.dialects.tokens import agree, entries, lists


@dataclass(frozen=True, slots=True)
class Tokened:
    """An answer of a text, where the text stands in it, and where its tokens do."""

    answer: Callable[[str], dict[str, Any]]
    text: Place
    tokens: Place

    def read(self, answer: Any) -> str:
        """The text; fails where the tokens say anything else."""
        said = str(value_at(answer, self.text))
        agree(value_at(answer, self.tokens), said)
        return said


def _choice(**said: Any) -> dict[str, Any]:
    return {"choices": [{"index": 0, "finish_reason": "stop", **said}]}


def _chat(text: str) -> dict[str, Any]:
    message = {"role": "assistant", "content": text}
    return _choice(message=message, logprobs={"content": entries(text)})


def _response(text: str) -> dict[str, Any]:
    part = {"type": "output_text", "text": text, "annotations": [], "logprobs": entries(text)}
    item = {"type": "message", "id": "i", "role": "assistant", "status": "completed", "content": [part]}
    return {"id": "r", "object": "response", "status": "completed", "output": [item]}


def _ollama(text: str) -> dict[str, Any]:
    message = {"role": "assistant", "content": text}
    return {"model": "llama", "message": message, "logprobs": entries(text), "done": True}


_FIRST = ("choices", 0)
_PART = ("output", 0, "content", 0)

TOKENED: Mapping[str, Tokened] = {
    "/v1/chat/completions": Tokened(
        _chat, Place((*_FIRST, "message", "content")), Place((*_FIRST, "logprobs", "content"))
    ),
    "/v1/completions": Tokened(
        lambda text: _choice(text=text, logprobs=lists(text)),
        Place((*_FIRST, "text")),
        Place((*_FIRST, "logprobs")),
    ),
    "/v1/responses": Tokened(_response, Place((*_PART, "text")), Place((*_PART, "logprobs"))),
    "/api/chat": Tokened(_ollama, Place(("message", "content")), Place(("logprobs",))),
    "/completion": Tokened(
        lambda text: {"content": text, "completion_probabilities": entries(text)},
        Place(("content",)),
        Place(("completion_probabilities",)),
    ),
}
