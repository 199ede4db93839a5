"""Ollama's API (POST /api/chat, /api/generate, /api/embed, /api/embeddings), whole and in lines of JSON."""

from __future__ import annotations

import json

from authz_service.framing.encoding import BodyFormat
from authz_service.model_apis.base import AnswerReader, ApiError, Operation, OwnAnswer, Said
from authz_service.model_apis.ollama_answer import OllamaAnswerReader, VectorsReader
from authz_service.model_apis.ollama_request import ROLES, OllamaReader
from authz_service.model_apis.ollama_said import said_in_ollama
from authz_service.model_apis.turns import TurnPlaces
from authz_service.view.request import Path, RequestView, Role

NAME = "ollama"


def _operation(name: str) -> Operation:
    return Operation(api=NAME, name=name, method="POST", path=f"/api/{name}")


CHAT, GENERATE, EMBED, EMBEDDINGS = map(_operation, ("chat", "generate", "embed", "embeddings"))
_CARRIERS = {EMBED.name: "input", EMBEDDINGS.name: "prompt"}
_TURNS = {
    CHAT.name: TurnPlaces(messages={"messages": ROLES}),
    GENERATE.name: TurnPlaces(texts={"system": Role.SYSTEM, "prompt": Role.USER, "suffix": Role.USER}),
    EMBED.name: TurnPlaces(texts={"input": Role.USER}),
    EMBEDDINGS.name: TurnPlaces(texts={"prompt": Role.USER}),
}


class Ollama:
    """The adapter. Answers are streamed unless a request says `"stream": false`."""

    name = NAME
    operations: tuple[Operation, ...] = (CHAT, GENERATE, EMBED, EMBEDDINGS)
    noise_roots: frozenset[str] = frozenset()
    answer_formats = frozenset({BodyFormat.JSON, BodyFormat.NDJSON})
    event_names: frozenset[str] = frozenset()
    end_of_stream: str | None = None

    def read_request(self, operation: Operation, document: object) -> RequestView:
        """The request as it is; every string of it that is not one of the API's words is a text."""
        reader = OllamaReader()
        body = reader.expect_object(document, ())
        model = reader.model_name(body)
        is_generating = operation.name not in _CARRIERS
        if operation.name == CHAT.name:
            reader.chat(body)
        elif is_generating:
            reader.generate(body)
        else:
            reader.embed(body, _CARRIERS[operation.name])
        options = body.get("options")
        parameters = reader.parameters(options) if isinstance(options, dict) else {}
        return reader.view(
            operation,
            body,
            model=model,
            stream=is_generating and reader.flag(body, "stream", default=True),
            parameters=parameters | reader.parameters(body),
        )

    def model_path(self, operation: Operation) -> Path | None:
        """`model`, at the root."""
        return ("model",)

    def turn_places(self, operation: Operation) -> TurnPlaces:
        """`messages`, or the prompt and what surrounds it."""
        return _TURNS[operation.name]

    def answer_reader(self, request: RequestView) -> AnswerReader:
        """A reader of texts, or of vectors."""
        return (
            VectorsReader()
            if request.operation in _CARRIERS
            else OllamaAnswerReader(is_chat=request.operation == CHAT.name)
        )

    def own_answer(self, request: RequestView, said: Said) -> OwnAnswer | None:
        """A message or a text, or its lines; vectors are no texts."""
        return None if request.operation in _CARRIERS else said_in_ollama(request, said)

    def error_body(self, error: ApiError) -> bytes:
        """`{"error": message, "code", ...}`, which the client raises with its message."""
        said: dict[str, object] = dict(error.details)
        if error.session is not None:
            said["session"] = error.session
        said |= {"error": error.message, "code": error.code}
        return json.dumps(said, separators=(",", ":"), ensure_ascii=False).encode()

    def error_event(self, error: ApiError) -> bytes:
        """The same object as a line."""
        return self.error_body(error) + b"\n"
