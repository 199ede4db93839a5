"""Reads answers of Ollama's API, whole or line by line."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from authz_service.model_apis.answer_frame import FrameTexts, Unnamed, unreadable
from authz_service.model_apis.logprobs import beside
from authz_service.model_apis.numbers import is_number, is_numbers
from authz_service.model_apis.ollama_words import ANSWER_KEYS, OLLAMA_WORDS
from authz_service.view.answer import AnswerFrame, Form, Usage
from authz_service.view.request import Path, TextKind

_UNREAD = frozenset(("context", "tokens", "images", "image"))

_DURATIONS = frozenset(("total_duration", "load_duration", "prompt_eval_duration", "eval_duration"))
"""Nanoseconds, which are large numbers and tell nothing."""

_GOES_ON = frozenset(("content", "thinking", "response"))


_SAID: tuple[Path, ...] = (("message", "content"), ("response",), ("message", "thinking"), ("thinking",))
"""Where the text stands that tokens may say again."""


class OllamaAnswerReader:
    """Text goes on from line to line on channels by its key; a tool call is complete in its line.

    Clients look for the text in the message, or beside it, as they have asked. What goes on in the other of
    the two places is read too, on a channel of its own.
    """

    def __init__(self, *, is_chat: bool) -> None:
        self._frames = 0
        self._depth = 2 if is_chat else 1
        self._unnamed = Unnamed()

    def read(self, document: object) -> AnswerFrame:
        """The texts of the next frame."""
        known = {"message", "response", "done", "error"}
        if not isinstance(document, dict) or not document.keys() & known:
            unreadable(OLLAMA_WORDS, (), "a message, a response or an error was expected")
        texts = FrameTexts(self._frames, OLLAMA_WORDS, _UNREAD)
        self._frames += 1
        for key, value in document.items():
            if key == "message" and isinstance(value, dict):
                for name, item in value.items():
                    self._member(name, item, (key, name), texts)
            elif key != "logprobs":
                self._member(key, value, (key,), texts)
        texts.end_unnamed(self._unnamed, "")
        texts.steady = not self._unnamed.under_way
        texts.may_vary(("created_at",), document.get("created_at"), Form.TEXT)
        beside(document.get("logprobs"), ("logprobs",), _SAID, texts)
        self._end(document, texts)
        return texts.frame()

    def _member(self, key: str, value: object, path: Path, texts: FrameTexts) -> None:
        if key in _GOES_ON and value is not None:
            texts.say(key if len(path) == self._depth else f"~/{key}", path, value)
        elif key == "tool_calls":
            texts.aside(value, path, TextKind.ARGUMENT)
        elif len(path) == 1 and key in ANSWER_KEYS:
            if not (key in _DURATIONS and is_number(value)):
                texts.aside(value, path)
        else:
            texts.say_on("~/message" if len(path) > 1 else "~/root", path, value)

    def _end(self, document: Mapping[str, Any], texts: FrameTexts) -> None:
        if document.get("done") is not True and "error" not in document:
            return
        texts.closes = True
        for key in sorted(_GOES_ON):
            texts.end(key)
            texts.end(f"~/{key}")
        prompt, said = document.get("prompt_eval_count", 0), document.get("eval_count")
        if isinstance(prompt, int) and isinstance(said, int):
            texts.usage = Usage(prompt_tokens=prompt, completion_tokens=said)


class VectorsReader:
    """The answer of embeddings: vectors pass, and everything beside them is looked at."""

    def read(self, document: object) -> AnswerFrame:
        """What there is, complete in its frame."""
        if not isinstance(document, dict) or not document.keys() & {"embedding", "embeddings", "error"}:
            unreadable(OLLAMA_WORDS, (), "vectors or an error were expected")
        texts = FrameTexts(0, OLLAMA_WORDS, _UNREAD)
        for key, value in document.items():
            is_duration = key in _DURATIONS and is_number(value)
            if not (is_duration or (key in ("embedding", "embeddings") and _is_vectors(value))):
                texts.aside(value, (key,))
        prompt = document.get("prompt_eval_count")
        if isinstance(prompt, int):
            texts.usage = Usage(prompt_tokens=prompt, completion_tokens=0)
        texts.closes = True
        return texts.frame()


def _is_vectors(value: object) -> bool:
    rows = value if isinstance(value, list) and not is_numbers(value) else [value]
    return all(isinstance(row, list) and all(map(is_number, row)) for row in rows)
