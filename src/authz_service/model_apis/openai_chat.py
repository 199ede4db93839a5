"""OpenAI's chat completions (POST /v1/chat/completions), as its reference and its servers speak it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from authz_service.model_apis.base import AnswerReader, ApiError, Operation
from authz_service.model_apis.openai_chat_answer import ChatAnswerReader
from authz_service.model_apis.openai_chat_request import RequestReader, expect_object, refuse
from authz_service.model_apis.openai_words import SELECTING, selects
from authz_service.view.request import Path, RequestView

NAME = "openai_chat"
CHAT_COMPLETIONS = Operation(
    api=NAME, name="chat_completions", method="POST", path="/v1/chat/completions", query=frozenset()
)

MAX_CHOICES = 128
"""The most that OpenAI's reference allows for `n`."""

_ERROR_TYPES = {
    401: "authentication_error",
    403: "permission_error",
    409: "conflict_error",
    429: "rate_limit_error",
}


class OpenAiChat:
    """The adapter. Content that is not text, and what could smuggle any, is refused by name."""

    name = NAME
    operations: tuple[Operation, ...] = (CHAT_COMPLETIONS,)
    noise_roots = frozenset({"metadata", "request_id"})
    event_names: frozenset[str] = frozenset()
    end_of_stream: str | None = "[DONE]"

    def read_request(self, operation: Operation, document: object) -> RequestView:
        """The request as it is; every string of it that is not one of the API's words is a text."""
        body = expect_object(document, ())
        model = body.get("model")
        if not isinstance(model, str) or not model:
            refuse("invalid_field", ("model",), "the name of a model was expected")
        reader = RequestReader()
        if "messages" not in body:
            refuse("invalid_field", ("messages",), "a list was expected")
        reader.read(body)
        characters = sum(len(field.text) for field in reader.texts)
        return RequestView(
            api=self.name,
            operation=operation.name,
            model=model,
            stream=_stream(body.get("stream")),
            texts=tuple(reader.texts),
            tools=tuple(reader.tools),
            parameters=_parameters(body),
            token_estimate=-(-characters // 4),
            choices=_choices(body.get("n")),
        )

    def model_path(self, operation: Operation) -> Path:
        """`model`, at the root."""
        return ("model",)

    def answer_reader(self, request: RequestView) -> AnswerReader:
        """One reader for whole answers and for streams: a choice says which it is."""
        return ChatAnswerReader(request)

    def error_body(self, error: ApiError) -> bytes:
        """`{"error": {"message", "type", "param", "code", ...}}`, which SDKs raise with its message."""
        return _json({"error": _error(error)})

    def error_event(self, error: ApiError) -> bytes:
        """A data event with the same object: SDKs raise it in the middle of a stream."""
        return b"data: " + self.error_body(error) + b"\n\n"


def _stream(value: object) -> bool:
    if value is not None and not isinstance(value, bool):
        refuse("invalid_field", ("stream",), "true or false was expected")
    return value is True


def _choices(value: object) -> int:
    if value is None:
        return 1
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= MAX_CHOICES:
        refuse("invalid_field", ("n",), f"a whole number from 1 to {MAX_CHOICES} was expected")
    return value


def _parameters(body: Mapping[str, Any]) -> dict[str, object]:
    """What rules may ask about a call: numbers, booleans, and words that select."""
    return {
        key: value
        for key, value in body.items()
        if isinstance(value, bool | int | float)
        or (isinstance(value, str) and key in SELECTING and selects(key, value))
    }


def _error(error: ApiError) -> dict[str, object]:
    fallback = "server_error" if error.status >= 500 else "invalid_request_error"
    said: dict[str, object] = dict(error.details)
    if error.session is not None:
        said["session"] = error.session
    said |= {
        "message": error.message,
        "type": _ERROR_TYPES.get(error.status, fallback),
        "param": None,
        "code": error.code,
    }
    return said


def _json(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()
