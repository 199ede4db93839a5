"""OpenAI's embeddings (POST /v1/embeddings): texts go in, and vectors come out, which hold no text."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Any

from authz_service.framing.encoding import BodyFormat
from authz_service.model_apis.answer_frame import FrameTexts, openai_usage, unreadable
from authz_service.model_apis.base import AnswerReader, ApiError, Operation, OwnAnswer, Said
from authz_service.model_apis.numbers import is_number
from authz_service.model_apis.openai_errors import openai_error, openai_error_event
from authz_service.model_apis.openai_refused import KINDS
from authz_service.model_apis.openai_words import KEYS, SELECTING, without_refusing
from authz_service.model_apis.request_reader import RequestReader
from authz_service.model_apis.request_texts import Speaker
from authz_service.model_apis.turns import TurnPlaces
from authz_service.view.answer import AnswerFrame
from authz_service.view.request import Path, RequestView, Role

NAME = "openai_embeddings"
EMBEDDINGS = Operation(api=NAME, name="embeddings", method="POST", path="/v1/embeddings")

_WORDS = without_refusing(
    "input",
    keys=KEYS | {"data", "embedding", "encoding_format", "dimensions"},
    selecting={
        **SELECTING,
        "object": frozenset({"list", "embedding"}),
        "encoding_format": frozenset({"float", "base64"}),
    },
    kinds=KINDS,
)
_INPUT = Speaker(Role.USER, new_turn=True)


class OpenAiEmbeddings:
    """The adapter. An input that is made of tokens is refused."""

    name = NAME
    operations: tuple[Operation, ...] = (EMBEDDINGS,)
    noise_roots = frozenset({"metadata"})
    answer_formats = frozenset({BodyFormat.JSON})
    event_names: frozenset[str] = frozenset()
    end_of_stream: str | None = None

    def read_request(self, operation: Operation, document: object) -> RequestView:
        """The request as it is; every string of it that is not one of the API's words is a text."""
        reader = _Reader(_WORDS)
        body = reader.expect_object(document, ())
        model = reader.model_name(body)
        reader.read(body)
        return reader.view(operation, body, model=model, stream=False)

    def model_path(self, operation: Operation) -> Path | None:
        """`model`, at the root."""
        return ("model",)

    def turn_places(self, operation: Operation) -> TurnPlaces:
        """`input`."""
        return TurnPlaces(texts={"input": Role.USER})

    def answer_reader(self, request: RequestView) -> AnswerReader:
        """A reader of the one frame that there is."""
        return _AnswerReader()

    def own_answer(self, request: RequestView, said: Said) -> OwnAnswer | None:
        """None: vectors are no texts."""
        return None

    def error_body(self, error: ApiError) -> bytes:
        """OpenAI's object."""
        return openai_error(error)

    def error_event(self, error: ApiError) -> bytes:
        """The same object as a data event."""
        return openai_error_event(error)


class _Reader(RequestReader):
    def read(self, body: Mapping[str, Any]) -> None:
        if "input" not in body:
            self.refuse("invalid_field", ("input",), "a string or a list of strings was expected")
        for key, value in body.items():
            if key == "input":
                self.prompts(value, (key,), _INPUT)
            elif key != "model":
                self.member(key, value, (), is_free=key == "metadata")


class _AnswerReader:
    def read(self, document: object) -> AnswerFrame:
        """Everything but the vectors."""
        data = document.get("data") if isinstance(document, dict) else None
        if not isinstance(document, dict) or not isinstance(data, list):
            unreadable(_WORDS, (), "a list of embeddings was expected")
        texts = FrameTexts(0, _WORDS)
        for key, value in document.items():
            if key != "data":
                texts.aside(value, (key,))
        for i, item in enumerate(data):
            self._item(item, ("data", i), texts)
        texts.usage = openai_usage(document.get("usage"))
        texts.closes = True
        return texts.frame()

    def _item(self, item: object, path: Path, texts: FrameTexts) -> None:
        if not isinstance(item, dict):
            unreadable(_WORDS, path, "an object was expected")
        for key, value in item.items():
            if key != "embedding":
                texts.aside(value, (*path, key))
            elif not _is_vector(value):
                unreadable(_WORDS, (*path, key), "a vector was expected")


def _is_vector(value: object) -> bool:
    """Numbers, or their bytes in base64 (OpenAI: little-endian floats of four bytes)."""
    if isinstance(value, list):
        return all(is_number(item) for item in value)
    if not isinstance(value, str):
        return False
    try:
        return len(base64.b64decode(value, validate=True)) % 4 == 0
    except (binascii.Error, ValueError):
        return False
