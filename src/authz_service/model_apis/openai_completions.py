"""OpenAI's legacy completions (POST /v1/completions), as its reference and its servers speak it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from authz_service.framing.encoding import BodyFormat
from authz_service.model_apis.answer_frame import (
    FrameTexts,
    Unnamed,
    openai_usage,
    require_each_once,
    stated_index,
    unreadable,
)
from authz_service.model_apis.base import AnswerReader, ApiError, Operation, OwnAnswer, Said
from authz_service.model_apis.logprobs import beside
from authz_service.model_apis.numbers import YEAR_5000
from authz_service.model_apis.openai_errors import openai_error, openai_error_event
from authz_service.model_apis.openai_refused import KINDS, LOG_PROBABILITIES
from authz_service.model_apis.openai_said import said_in_completions
from authz_service.model_apis.openai_words import KEYS, SELECTING, without_refusing
from authz_service.model_apis.request_reader import RequestReader
from authz_service.model_apis.request_texts import Speaker
from authz_service.model_apis.turns import TurnPlaces
from authz_service.view.answer import AnswerFrame
from authz_service.view.request import Path, RequestView, Role

NAME = "openai_completions"
COMPLETIONS = Operation(api=NAME, name="completions", method="POST", path="/v1/completions")

_TURNS = TurnPlaces(texts={"prompt": Role.USER, "suffix": Role.USER})
MAX_CHOICES = 128
_WORDS = without_refusing(
    "prompt",
    *LOG_PROBABILITIES,
    keys=KEYS,
    selecting={**SELECTING, "object": frozenset({"text_completion"})},
    kinds=KINDS,
)
_UNREAD = frozenset(("prompt_logprobs", "token_ids", "prompt_token_ids", "tokens"))
_FREE_FORM = frozenset(("logit_bias", "guided_json", "response_format", "structured_outputs", "metadata"))
_PROMPT = Speaker(Role.USER, new_turn=True)


class OpenAiCompletions:
    """The adapter. A prompt is one text or several; one that is made of tokens is refused."""

    name = NAME
    operations: tuple[Operation, ...] = (COMPLETIONS,)
    noise_roots = frozenset({"metadata", "request_id"})
    answer_formats = frozenset({BodyFormat.JSON, BodyFormat.EVENT_STREAM})
    event_names: frozenset[str] = frozenset()
    end_of_stream: str | None = "[DONE]"

    def read_request(self, operation: Operation, document: object) -> RequestView:
        """The request as it is; every string of it that is not one of the API's words is a text."""
        reader = _Reader(_WORDS)
        body = reader.expect_object(document, ())
        model = reader.model_name(body)
        reader.read(body)
        return reader.view(
            operation,
            body,
            model=model,
            stream=reader.flag(body, "stream"),
            choices=reader.count(body, "n", highest=MAX_CHOICES),
        )

    def model_path(self, operation: Operation) -> Path | None:
        """`model`, at the root."""
        return ("model",)

    def turn_places(self, operation: Operation) -> TurnPlaces:
        """`prompt`, and what is to follow the completion."""
        return _TURNS

    def answer_reader(self, request: RequestView) -> AnswerReader:
        """One reader for whole answers and for streams, which have the same shape."""
        return _AnswerReader()

    def own_answer(self, request: RequestView, said: Said) -> OwnAnswer | None:
        """A completion, or its chunks."""
        return said_in_completions(request, said)

    def error_body(self, error: ApiError) -> bytes:
        """OpenAI's object."""
        return openai_error(error)

    def error_event(self, error: ApiError) -> bytes:
        """The same object as a data event."""
        return openai_error_event(error)


class _Reader(RequestReader):
    def read(self, body: Mapping[str, Any]) -> None:
        if body.get("prompt") is None:
            # Without one a server takes its own beginning of a document; nobody has seen that.
            self.refuse("invalid_field", ("prompt",), "a string or a list of strings was expected")
        for key, value in body.items():
            if key == "prompt":
                self.prompts(value, (key,), _PROMPT)
            elif key == "suffix" and value is not None:
                self.expect_text(value, (key,), _PROMPT)
            elif key == "stop" and isinstance(value, list):
                for i, word in enumerate(value):
                    self.expect_text(word, (key, i))
            elif key != "model":
                self.member(key, value, (), is_free=key in _FREE_FORM)


class _AnswerReader:
    """Each choice's text is a channel, `choices/{index}/text`."""

    def __init__(self) -> None:
        self._frames = 0
        self._unnamed = Unnamed()

    def read(self, document: object) -> AnswerFrame:
        """The texts of the next frame."""
        if not isinstance(document, dict) or not ("choices" in document or "error" in document):
            unreadable(_WORDS, (), "an object with choices or an error was expected")
        texts = FrameTexts(self._frames, _WORDS, _UNREAD)
        self._frames += 1
        for key, value in document.items():
            if key == "choices" and isinstance(value, list):
                told = [self._choice(choice, (key, i), texts) for i, choice in enumerate(value)]
                require_each_once(told, _WORDS, (key,))
            elif not (key == "created" and isinstance(value, int) and 0 <= value < YEAR_5000):
                texts.aside(value, (key,))
        texts.usage = openai_usage(document.get("usage"))
        texts.closes = texts.closes or not document.get("choices")
        texts.steady = not self._unnamed.under_way
        return texts.frame()

    def _choice(self, choice: object, path: Path, texts: FrameTexts) -> int:
        """Read a choice; its index."""
        if not isinstance(choice, dict):
            unreadable(_WORDS, path, "an object was expected")
        index = stated_index(choice.get("index", 0), _WORDS, path)
        texts.closes = texts.closes or choice.get("finish_reason") is not None
        for key, value in choice.items():
            if key == "text" and value is not None:
                texts.say(f"choices/{index}/text", (*path, key), value)
            elif key == "finish_reason":
                texts.aside(value, (*path, key))
            elif key not in ("index", "logprobs"):
                texts.say_on(f"choices/{index}/~", (*path, key), value)
        texts.end_unnamed(self._unnamed, f"choices/{index}")
        beside(choice.get("logprobs"), (*path, "logprobs"), [(*path, "text")], texts)
        return index
