"""llama.cpp's own API (POST /completion, /infill), whole and streamed, as its server speaks it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from authz_service.framing.encoding import BodyFormat
from authz_service.model_apis.answer_frame import (
    FrameTexts,
    Unnamed,
    require_each_once,
    stated_index,
    unreadable,
)
from authz_service.model_apis.base import AnswerReader, ApiError, Operation, OwnAnswer, Said
from authz_service.model_apis.llamacpp_words import ANSWER_KEYS, NATIVE_WORDS
from authz_service.model_apis.logprobs import beside, is_small
from authz_service.model_apis.openai_errors import openai_error, openai_error_event
from authz_service.model_apis.own_answer import events, whole
from authz_service.model_apis.request_reader import RequestReader
from authz_service.model_apis.request_texts import Speaker
from authz_service.model_apis.turns import TurnPlaces
from authz_service.view.answer import AnswerFrame, Echo, Form, Usage
from authz_service.view.request import Path, RequestView, Role

NAME = "llamacpp"
COMPLETION = Operation(api=NAME, name="completion", method="POST", path="/completion")
INFILL = Operation(api=NAME, name="infill", method="POST", path="/infill")

_PROMPT = Speaker(Role.USER, new_turn=True)
_AROUND = frozenset(("input_prefix", "input_suffix", "input_extra"))
_TURNS = TurnPlaces(texts=dict.fromkeys(("prompt", *sorted(_AROUND)), Role.USER))
_FREE_FORM = frozenset(("json_schema", "logit_bias", "dry_sequence_breakers", "lora"))
_UNREAD = frozenset(("tokens", "probs", "top_logprobs", "top_probs"))


class LlamaCpp:
    """The adapter. The server has one model, which a request need not name; it has its own `stop`."""

    name = NAME
    operations: tuple[Operation, ...] = (COMPLETION, INFILL)
    noise_roots: frozenset[str] = frozenset()
    answer_formats = frozenset({BodyFormat.JSON, BodyFormat.EVENT_STREAM})
    event_names: frozenset[str] = frozenset()
    end_of_stream: str | None = "[DONE]"

    def read_request(self, operation: Operation, document: object) -> RequestView:
        """The request as it is; every string of it that is not one of the API's words is a text."""
        reader = _Reader(NATIVE_WORDS)
        body = reader.expect_object(document, ())
        reader.read(body, is_infill=operation.name == INFILL.name)
        return reader.view(
            operation,
            body,
            model=reader.model_name(body) if "model" in body else "",
            stream=reader.flag(body, "stream"),
        )

    def model_path(self, operation: Operation) -> Path | None:
        """`model`, at the root, where a request has one."""
        return ("model",)

    def turn_places(self, operation: Operation) -> TurnPlaces:
        """`prompt`, and what stands around the place to fill in."""
        return _TURNS

    def answer_reader(self, request: RequestView) -> AnswerReader:
        """One reader for whole answers and for streams, which have the same shape."""
        return _AnswerReader()

    def own_answer(self, request: RequestView, said: Said) -> OwnAnswer | None:
        """A text, or an event with it and one that ends it."""
        head = {"index": 0, "model": request.model}
        if not request.stream:
            return whole(head | {"content": said.text, "stop": True, "stop_type": "eos"})
        end = {"content": "", "stop": True, "stop_type": "eos"}
        return events([head | {"content": said.text, "stop": False}, head | end])

    def error_body(self, error: ApiError) -> bytes:
        """OpenAI's object, which this server uses too."""
        return openai_error(error)

    def error_event(self, error: ApiError) -> bytes:
        """The same object as a data event."""
        return openai_error_event(error)


class _Reader(RequestReader):
    def read(self, body: Mapping[str, Any], *, is_infill: bool) -> None:
        if not is_infill and "prompt" not in body:
            self.refuse("invalid_field", ("prompt",), "a string or a list of strings was expected")
        for key, value in body.items():
            if key == "prompt":
                self.prompts(value, (key,), _PROMPT)
            elif key in _AROUND and is_infill:
                self.member(key, value, (), _PROMPT)
            elif key == "stop" and isinstance(value, list):
                for i, word in enumerate(value):
                    self.expect_text(word, (key, i))
            elif key != "model":
                self.member(key, value, (), is_free=key in _FREE_FORM)


class _AnswerReader:
    """Each prompt's text is a channel, `content/{index}`. Several prompts are answered by a list."""

    def __init__(self) -> None:
        self._frames = 0
        self._unnamed = Unnamed()

    def read(self, document: object) -> AnswerFrame:
        """The texts of the next frame."""
        texts = FrameTexts(self._frames, NATIVE_WORDS, _UNREAD)
        self._frames += 1
        if isinstance(document, list):
            told = [self._item(item, (i,), texts) for i, item in enumerate(document)]
            require_each_once(told, NATIVE_WORDS, ())
        else:
            self._item(document, (), texts)
        return texts.frame()

    def _item(self, item: object, path: Path, texts: FrameTexts) -> int:
        """Read the answer to one prompt; its index."""
        if not isinstance(item, dict) or not ("content" in item or "error" in item):
            unreadable(NATIVE_WORDS, path, "an object with content or an error was expected")
        index = stated_index(item.get("index", 0), NATIVE_WORDS, path)
        texts.closes = texts.closes or item.get("stop") is True or "error" in item
        echoes = _of_tokens(item, (*path, "tokens"))
        read = {"completion_probabilities", "tokens"} if echoes else {"completion_probabilities"}
        for key, value in item.items():
            if key == "content":
                texts.say(f"content/{index}", (*path, key), value, echoes=echoes)
            elif key in read:
                continue
            elif key in ANSWER_KEYS:
                texts.aside(value, (*path, key))
            else:
                texts.say_on(f"content/{index}/~", (*path, key), value)
        texts.end_unnamed(self._unnamed, f"content/{index}")
        texts.steady = not self._unnamed.under_way
        texts.may_vary((*path, "tokens_predicted"), item.get("tokens_predicted"), Form.COUNT)
        if echoes:
            texts.may_vary((*path, "tokens"), item["tokens"], Form.COUNTS)
        probabilities = (*path, "completion_probabilities")
        beside(item.get("completion_probabilities"), probabilities, [(*path, "content")], texts)
        if item.get("stop") is True:
            texts.end(f"content/{index}")
            prompt, said = item.get("tokens_evaluated"), item.get("tokens_predicted")
            if isinstance(prompt, int) and isinstance(said, int):
                texts.usage = Usage(prompt_tokens=prompt, completion_tokens=said)
        return index


def _of_tokens(item: Mapping[str, Any], path: Path) -> tuple[Echo, ...]:
    """The tokens of a piece, which hint at its text.

    Those of a whole answer may say more than it: what a stop word cut off.
    """
    tokens, text = item.get("tokens"), item.get("content")
    if item.get("stop") is not False or not isinstance(text, str) or not text:
        return ()
    if not isinstance(tokens, list) or not all(
        isinstance(token, int) and is_small(token) for token in tokens
    ):
        return ()
    return (Echo(0, len(text), None, (path,)),) if tokens else ()
