"""OpenAI's responses (POST /v1/responses), as its reference and its servers speak it."""

from __future__ import annotations

import json

from authz_service.framing.encoding import BodyFormat
from authz_service.model_apis.base import AnswerReader, ApiError, Operation, OwnAnswer, Said
from authz_service.model_apis.openai_chat_request import ROLES
from authz_service.model_apis.openai_errors import openai_error
from authz_service.model_apis.openai_responses_answer import ResponsesAnswerReader
from authz_service.model_apis.openai_responses_request import ResponsesReader
from authz_service.model_apis.openai_responses_words import EVENT_NAMES
from authz_service.model_apis.openai_said import said_in_responses
from authz_service.model_apis.turns import TurnPlaces
from authz_service.view.request import Path, RequestView, Role

NAME = "openai_responses"
RESPONSES = Operation(api=NAME, name="responses", method="POST", path="/v1/responses")
_TURNS = TurnPlaces(items={"input": ROLES}, texts={"input": Role.USER, "instructions": Role.SYSTEM})


class OpenAiResponses:
    """The adapter. What the model server keeps, or would have to look up, is refused by name."""

    name = NAME
    operations: tuple[Operation, ...] = (RESPONSES,)
    noise_roots = frozenset({"metadata"})
    answer_formats = frozenset({BodyFormat.JSON, BodyFormat.EVENT_STREAM})
    event_names = EVENT_NAMES
    end_of_stream: str | None = "[DONE]"
    """Only some servers send it; the response that is completed ends the others' streams."""

    def read_request(self, operation: Operation, document: object) -> RequestView:
        """The request as it is; every string of it that is not one of the API's words is a text."""
        reader = ResponsesReader()
        body = reader.expect_object(document, ())
        model = reader.model_name(body)
        reader.read(body)
        return reader.view(operation, body, model=model, stream=reader.flag(body, "stream"))

    def model_path(self, operation: Operation) -> Path | None:
        """`model`, at the root."""
        return ("model",)

    def turn_places(self, operation: Operation) -> TurnPlaces:
        """`input`, a text or items, and `instructions`."""
        return _TURNS

    def answer_reader(self, request: RequestView) -> AnswerReader:
        """One reader for whole responses and for streams: the first frame says which it is."""
        return ResponsesAnswerReader()

    def own_answer(self, request: RequestView, said: Said) -> OwnAnswer | None:
        """A response, or the events that end in it."""
        return said_in_responses(request, said)

    def error_body(self, error: ApiError) -> bytes:
        """OpenAI's object."""
        return openai_error(error)

    def error_event(self, error: ApiError) -> bytes:
        """An event named `error`, with its members at the root as the reference has them.

        They stand in `error` too: that is where OpenAI's SDKs look before they raise it.
        """
        event: dict[str, object] = {"type": "error", "code": error.code, "message": error.message}
        event |= {"param": None, "sequence_number": 0, **json.loads(openai_error(error))}
        data = json.dumps(event, separators=(",", ":"), ensure_ascii=False)
        return b"event: error\ndata: " + data.encode() + b"\n\n"
