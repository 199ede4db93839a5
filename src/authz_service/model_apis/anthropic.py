"""Anthropic's messages (POST /v1/messages) and token counting, as its servers speak them."""

from __future__ import annotations

from authz_service.framing.encoding import BodyFormat
from authz_service.model_apis.anthropic_answer import CountReader, MessagesAnswerReader
from authz_service.model_apis.anthropic_errors import anthropic_error, anthropic_error_event
from authz_service.model_apis.anthropic_request import ROLES, MessagesReader
from authz_service.model_apis.anthropic_said import said_in_messages
from authz_service.model_apis.base import AnswerReader, ApiError, Operation, OwnAnswer, Said
from authz_service.model_apis.turns import TurnPlaces
from authz_service.view.request import Path, RequestView, Role

NAME = "anthropic"
_BETA = frozenset({"beta"})  # the SDK's beta namespace sends it; the headers say what it asks for
_TURNS = TurnPlaces(messages={"messages": ROLES}, texts={"system": Role.SYSTEM})
MESSAGES = Operation(api=NAME, name="messages", method="POST", path="/v1/messages", query=_BETA)
COUNT_TOKENS = Operation(
    api=NAME, name="count_tokens", method="POST", path="/v1/messages/count_tokens", query=_BETA
)


class Anthropic:
    """The adapter. Content that is not text, and what could smuggle any, is refused by name."""

    name = NAME
    operations: tuple[Operation, ...] = (MESSAGES, COUNT_TOKENS)
    noise_roots = frozenset({"metadata"})
    answer_formats = frozenset({BodyFormat.JSON, BodyFormat.EVENT_STREAM})
    event_names = frozenset(
        {
            *("message_start", "content_block_start", "content_block_delta", "content_block_stop"),
            *("message_delta", "message_stop", "ping", "error"),
        }
    )
    end_of_stream: str | None = None

    def read_request(self, operation: Operation, document: object) -> RequestView:
        """The request as it is; every string of it that is not one of the API's words is a text."""
        reader = MessagesReader()
        body = reader.expect_object(document, ())
        model = reader.model_name(body)
        reader.read(body)
        return reader.view(
            operation, body, model=model, stream=reader.flag(body, "stream"), in_parts=frozenset({"system"})
        )

    def model_path(self, operation: Operation) -> Path | None:
        """`model`, at the root."""
        return ("model",)

    def turn_places(self, operation: Operation) -> TurnPlaces:
        """`messages`, and `system`."""
        return _TURNS

    def answer_reader(self, request: RequestView) -> AnswerReader:
        """One reader for whole messages and for streams: the type of the first frame says which it is."""
        return CountReader() if request.operation == COUNT_TOKENS.name else MessagesAnswerReader()

    def own_answer(self, request: RequestView, said: Said) -> OwnAnswer | None:
        """A message, or its events; of tokens nobody but the model can count anything."""
        return None if request.operation == COUNT_TOKENS.name else said_in_messages(request, said)

    def error_body(self, error: ApiError) -> bytes:
        """Anthropic's object."""
        return anthropic_error(error)

    def error_event(self, error: ApiError) -> bytes:
        """The same object as an event of that name."""
        return anthropic_error_event(error)
