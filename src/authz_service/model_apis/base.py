"""The seam for model APIs: what an adapter tells about its dialect. It never masks, decides or does I/O."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from authz_service.framing.encoding import BodyFormat, RequestFormat
from authz_service.model_apis.turns import TurnPlaces
from authz_service.view.answer import AnswerFrame
from authz_service.view.request import Path, RequestView


@dataclass(frozen=True, slots=True)
class Operation:
    """One method and path that an adapter owns. `query` names the parameters that may pass.

    A path is compared exactly, letter by letter. `{model}` in it stands for one segment that names the
    model; the operation of a request has the path that was asked for, and the name in `model`. It is
    empty for all others. `{version}` after it stands for a number. `takes` is how its request is framed.
    """

    api: str
    name: str
    method: str
    path: str
    query: frozenset[str] = frozenset()
    model: str = ""
    takes: RequestFormat = RequestFormat.JSON


@dataclass(frozen=True, slots=True)
class ApiError:
    """An error to be said in the dialect's own shape. `message` is safe to show to the caller."""

    status: int
    code: str
    message: str
    session: str | None = None
    details: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Said:
    """What somebody says in the place of the model. `id` has letters and digits; `created` is in seconds."""

    text: str
    id: str
    created: int


@dataclass(frozen=True, slots=True)
class OwnAnswer:
    """A whole answer in a dialect: its content type, and its body, which may be a whole stream."""

    content_type: str
    body: bytes


class AnswerReader(Protocol):
    """Reads the frames of one answer in order; it keeps what it must remember between them."""

    def read(self, document: object) -> AnswerFrame:
        """The texts of the next frame; raises `Unreadable` for what is no answer of this dialect."""
        ...


class ModelApi(Protocol):
    """One dialect: what is mine, where the text is, how to say this."""

    name: str
    operations: tuple[Operation, ...]
    noise_roots: frozenset[str]
    """Top-level keys under which the configuration may name noise (see `holds.noise`)."""
    answer_formats: frozenset[BodyFormat]
    """How its answers are framed; an answer in another format ends there."""
    event_names: frozenset[str]
    """SSE event names that may cross to the client."""
    end_of_stream: str | None
    """The data of the SSE event that ends a stream (`[DONE]`); None when only its end does."""

    def read_request(self, operation: Operation, document: object) -> RequestView:
        """Everything the body asks and says; raises `Unreadable` when it is not this operation's.

        `document` is what `read_json` gives, or a `Form` where the operation takes one.

        `model` of the view is the name that the request gives, in its body or its path; empty where the
        dialect names none, which stands for the only model that the configuration has.
        """
        ...

    def model_path(self, operation: Operation) -> Path | None:
        """Where the body names its model, so that an alias can be replaced by the model's name.

        None where the body does not: then an alias is refused, since the model server would see it.
        """
        ...

    def turn_places(self, operation: Operation) -> TurnPlaces:
        """Where its requests have the turns of a conversation, or what is said in the place of one."""
        ...

    def answer_reader(self, request: RequestView) -> AnswerReader:
        """A reader for the answer to this very request (`operation` says which), whole or streamed."""
        ...

    def own_answer(self, request: RequestView, said: Said) -> OwnAnswer | None:
        """An answer to `request` that says this, as its model would: streamed where the request asks for it.

        None where the operation's answers are no texts.
        """
        ...

    def error_body(self, error: ApiError) -> bytes:
        """A whole JSON body that the dialect's own SDK understands as an error."""
        ...

    def error_event(self, error: ApiError) -> bytes:
        """The bytes that end a started stream with an error, in the framing of its streams.

        An SSE event with its blank line, or an NDJSON line with its line feed: all of it may follow
        directly upon any frame that was complete.
        """
        ...
