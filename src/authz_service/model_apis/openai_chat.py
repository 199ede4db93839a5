"""OpenAI's chat completions (POST /v1/chat/completions), as its reference and its servers speak it."""

from __future__ import annotations

from authz_service.framing.encoding import BodyFormat
from authz_service.model_apis.base import AnswerReader, ApiError, Operation, OwnAnswer, Said
from authz_service.model_apis.openai_chat_answer import ChatAnswerReader
from authz_service.model_apis.openai_chat_request import ROLES, ChatRequestReader
from authz_service.model_apis.openai_errors import openai_error, openai_error_event
from authz_service.model_apis.openai_said import said_in_chat
from authz_service.model_apis.turns import TurnPlaces
from authz_service.view.request import Path, RequestView

NAME = "openai_chat"
CHAT_COMPLETIONS = Operation(
    api=NAME, name="chat_completions", method="POST", path="/v1/chat/completions", query=frozenset()
)

_TURNS = TurnPlaces(messages={"messages": ROLES})
MAX_CHOICES = 128
"""The most that OpenAI's reference allows for `n`."""


class OpenAiChat:
    """The adapter. Content that is not text, and what could smuggle any, is refused by name."""

    name = NAME
    operations: tuple[Operation, ...] = (CHAT_COMPLETIONS,)
    noise_roots = frozenset({"metadata", "request_id"})
    answer_formats = frozenset({BodyFormat.JSON, BodyFormat.EVENT_STREAM})
    event_names: frozenset[str] = frozenset()
    end_of_stream: str | None = "[DONE]"

    def read_request(self, operation: Operation, document: object) -> RequestView:
        """The request as it is; every string of it that is not one of the API's words is a text."""
        reader = ChatRequestReader()
        body = reader.expect_object(document, ())
        model = reader.model_name(body)
        reader.read(body)
        return reader.view(
            operation,
            body,
            model=model,
            stream=reader.flag(body, "stream"),
            choices=reader.count(body, "n", highest=MAX_CHOICES),
            in_parts=frozenset({"prediction"}),
        )

    def model_path(self, operation: Operation) -> Path | None:
        """`model`, at the root."""
        return ("model",)

    def turn_places(self, operation: Operation) -> TurnPlaces:
        """`messages`."""
        return _TURNS

    def answer_reader(self, request: RequestView) -> AnswerReader:
        """One reader for whole answers and for streams: a choice says which it is."""
        return ChatAnswerReader(request)

    def own_answer(self, request: RequestView, said: Said) -> OwnAnswer | None:
        """A completion, or its chunks."""
        return said_in_chat(request, said)

    def error_body(self, error: ApiError) -> bytes:
        """OpenAI's object."""
        return openai_error(error)

    def error_event(self, error: ApiError) -> bytes:
        """The same object as a data event."""
        return openai_error_event(error)
