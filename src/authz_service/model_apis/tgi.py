"""Text Generation Inference's own API (POST /generate, /generate_stream), as its documentation has it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from authz_service.framing.encoding import BodyFormat
from authz_service.model_apis.answer_frame import FrameTexts, Unnamed, unreadable
from authz_service.model_apis.base import AnswerReader, ApiError, Operation, OwnAnswer, Said
from authz_service.model_apis.logprobs import is_small
from authz_service.model_apis.openai_refused import KINDS, REFUSED
from authz_service.model_apis.own_answer import events, whole
from authz_service.model_apis.request_messages import TEXT_ONLY
from authz_service.model_apis.request_reader import RequestReader
from authz_service.model_apis.request_texts import Speaker
from authz_service.model_apis.tgi_errors import tgi_error, tgi_error_event
from authz_service.model_apis.turns import TurnPlaces
from authz_service.model_apis.words import JSON_SCHEMA_KEYS, Words, word_set
from authz_service.view.answer import AnswerField, AnswerFrame, Echo, Form, Usage
from authz_service.view.request import Path, RequestView, Role
from authz_service.view.unread import Kind

NAME = "tgi"
GENERATE = Operation(api=NAME, name="generate", method="POST", path="/generate")
GENERATE_STREAM = Operation(api=NAME, name="generate_stream", method="POST", path="/generate_stream")

_DETAILS = "the answer would repeat its text as tokens, which this gateway cannot mask"
_REFUSED = {**REFUSED, **dict.fromkeys(("decoder_input_details", "top_n_tokens"), _DETAILS)}
_KEYS = (
    JSON_SCHEMA_KEYS
    | frozenset(_REFUSED)
    | word_set("""
    adapter_id best_of best_of_sequences best_of_sequence details do_sample error error_type
    finish_reason frequency_penalty generated_text generated_tokens grammar id index input_length
    inputs logprob max_new_tokens model_id parameters prefill repetition_penalty return_full_text seed
    special stop stream temperature text token top_k top_p top_tokens truncate typical_p value watermark
    """)
)
_WORDS = Words(
    keys=_KEYS,
    selecting={
        "type": word_set("json regex json_schema string number integer boolean object array null"),
        "finish_reason": word_set("length eos_token stop_sequence"),
    },
    refused=_REFUSED,
    zero_is_off=frozenset({"top_n_tokens"}),
    kinds=KINDS,
)
_UNREAD = frozenset(("prefill", "tokens", "top_tokens"))
_ANSWER_KEYS = word_set("details error error_type generated_text id index token top_tokens")
"""What stands in an answer under another key may go on from event to event."""
_SHADOWS = ("id", "logprob")
_INPUT = Speaker(Role.USER, new_turn=True)
_IMAGE = re.compile(r"!\[\]\(\s*([a-z][a-z0-9+.-]{0,31}:[^)]*)\)", re.IGNORECASE | re.ASCII)
"""An image in a prompt: the server fetches its URL, or decodes it, where the model takes images."""


class Tgi:
    """The adapter. The server has one model, which requests do not name."""

    name = NAME
    operations: tuple[Operation, ...] = (GENERATE, GENERATE_STREAM)
    noise_roots: frozenset[str] = frozenset()
    answer_formats = frozenset({BodyFormat.JSON, BodyFormat.EVENT_STREAM})
    event_names: frozenset[str] = frozenset()
    end_of_stream: str | None = None

    def read_request(self, operation: Operation, document: object) -> RequestView:
        """The request as it is; every string of it that is not one of the API's words is a text."""
        reader = _Reader(_WORDS)
        body = reader.expect_object(document, ())
        reader.read(body)
        parameters = body.get("parameters")
        return reader.view(
            operation,
            body,
            model="",
            stream=operation.name == GENERATE_STREAM.name,
            parameters=reader.parameters(parameters) if isinstance(parameters, dict) else {},
        )

    def model_path(self, operation: Operation) -> Path | None:
        """Nowhere."""
        return None

    def turn_places(self, operation: Operation) -> TurnPlaces:
        """`inputs`."""
        return TurnPlaces(texts={"inputs": Role.USER})

    def answer_reader(self, request: RequestView) -> AnswerReader:
        """One reader for whole answers and for streams."""
        return _AnswerReader()

    def own_answer(self, request: RequestView, said: Said) -> OwnAnswer | None:
        """A text, or one token that says it all."""
        if not request.stream:
            return whole({"generated_text": said.text})
        token = {"id": 0, "text": said.text, "logprob": 0.0, "special": False}
        return events([{"index": 1, "token": token, "generated_text": said.text, "details": None}])

    def error_body(self, error: ApiError) -> bytes:
        """`{"error", "error_type"}`."""
        return tgi_error(error)

    def error_event(self, error: ApiError) -> bytes:
        """The same object as a data event."""
        return tgi_error_event(error)


class _Reader(RequestReader):
    def read(self, body: Mapping[str, Any]) -> None:
        if "inputs" not in body:
            self.refuse("invalid_field", ("inputs",), "a string was expected")
        for key, value in body.items():
            if key == "inputs":
                self.expect_text(value, (key,), _INPUT)
                self.leave_within(Kind.IMAGE, _IMAGE.findall(value), (key,), f"an image in it {TEXT_ONLY}")
            elif key == "parameters" and value is not None:
                for name, item in self.expect_object(value, (key,)).items():
                    self.member(name, item, (key,), is_free=name == "grammar")
            else:
                self.member(key, value, ())


class _AnswerReader:
    """A stream's tokens are the channel `text`; its last event says the whole of it once more."""

    def __init__(self) -> None:
        self._frames = 0
        self._is_streamed = False
        self._unnamed = Unnamed()

    def read(self, document: object) -> AnswerFrame:
        """The texts of the next frame."""
        if not isinstance(document, dict) or not document.keys() & {"generated_text", "token", "error"}:
            unreadable(_WORDS, (), "an object with a text, a token or an error was expected")
        texts = FrameTexts(self._frames, _WORDS, _UNREAD)
        self._frames += 1
        for key, value in document.items():
            if key == "token" and isinstance(value, dict):
                self._is_streamed = True
                self._token(value, (key,), texts)
            elif key == "generated_text" and isinstance(value, str) and value:
                copy = int(self._is_streamed)
                texts.fields.append(AnswerField("text", (key,), value, is_whole=True, copy=copy))
            elif key in _ANSWER_KEYS:
                texts.aside(value, (key,))
            else:
                texts.say_on("~", (key,), value)
        texts.end_unnamed(self._unnamed, "")
        texts.steady = self._is_streamed and not self._unnamed.under_way
        texts.may_vary(("index",), document.get("index"), Form.COUNT)
        whole, details = document.get("generated_text"), document.get("details")
        texts.closes = whole is not None or "error" in document
        if texts.closes:
            texts.end("text")
        if isinstance(details, dict):
            prompt, said = details.get("input_length", 0), details.get("generated_tokens")
            if isinstance(prompt, int) and isinstance(said, int):
                texts.usage = Usage(prompt_tokens=prompt, completion_tokens=said)
        return texts.frame()

    def _token(self, token: Mapping[str, Any], path: Path, texts: FrameTexts) -> None:
        """One that says nothing may be a part of a character, which its number tells."""
        said = {key for key in _SHADOWS if token.get(key) is not None}
        hinting = {key for key in said if not is_small(token[key]) or (key == "id" and not token.get("text"))}
        beside = tuple((*path, key) for key in sorted(said - hinting))
        for key, value in token.items():
            if key == "text":
                if not isinstance(value, str):
                    unreadable(_WORDS, (*path, key), "a string was expected")
                if value:
                    echoes = (Echo(0, len(value), None, beside),)
                    texts.fields.append(AnswerField("text", (*path, key), value, echoes=echoes))
                    texts.may_vary((*path, "id"), token.get("id"), Form.COUNT)
                    texts.may_vary((*path, "logprob"), token.get("logprob"), Form.SMALL)
            elif key not in _SHADOWS:
                texts.say_on("~token", (*path, key), value)
        texts.cleared.extend((*path, key) for key in sorted(hinting))
