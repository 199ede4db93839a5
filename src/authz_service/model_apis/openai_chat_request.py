"""Reads a chat completion request: every text in it, and a refusal for what carries content unread."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from authz_service.model_apis.openai_words import CHAT_WORDS
from authz_service.model_apis.request_reader import RequestReader
from authz_service.model_apis.request_texts import NOBODY, Speaker
from authz_service.view.request import Path, Role, TextKind

ROLES = {
    "system": Role.SYSTEM,
    "developer": Role.SYSTEM,
    "user": Role.USER,
    "assistant": Role.ASSISTANT,
    "tool": Role.TOOL,
    "function": Role.TOOL,
}

_PART_TEXT = {
    "text": "text",
    "input_text": "text",
    "output_text": "text",
    "refusal": "refusal",
    "thinking": "thinking",
}
"""The types of content parts that are read, and the key under which each has its text."""

_SCHEMAS = frozenset(("parameters", "format"))
"""Where a function or a custom tool describes what it takes."""

_FREE_FORM = frozenset(
    (
        *("metadata", "logit_bias", "response_format", "guided_json", "structured_outputs"),
        *("stop_token_ids", "allowed_token_ids"),
    )
)
"""Top-level fields in which any key and any array of numbers is ordinary."""

_TEXT_OR_NULL = frozenset(
    ("name", "refusal", "reasoning", "reasoning_content", "thinking", "tool_call_id", "id", "text")
)


class ChatRequestReader(RequestReader):
    """The members of a chat completion request that mean something to the API."""

    prose = _TEXT_OR_NULL

    def __init__(self) -> None:
        super().__init__(CHAT_WORDS)

    def read(self, body: Mapping[str, Any]) -> None:
        """Everything but `model`, which is looked up and not text."""
        if "messages" not in body:
            self.refuse("invalid_field", ("messages",), "a list was expected")
        for key, value in body.items():
            match key:
                case "model":
                    continue
                case "messages":
                    self._messages(value)
                case "tools" | "functions":
                    self._tools(value, key)
                case "stop":
                    self._stop(value)
                case "modalities":
                    self._modalities(value)
                case _:
                    self.member(key, value, (), is_free=key in _FREE_FORM)

    def _messages(self, value: object) -> None:
        messages = self.expect_list(value, ("messages",))
        if not messages:
            self.refuse("invalid_field", ("messages",), "at least one message was expected")
        for message, path, speaker in self.turns(messages, ROLES):
            self._message(message, path, speaker)

    def _message(self, message: Mapping[str, Any], path: Path, speaker: Speaker) -> None:
        for key, value in message.items():
            match key:
                case "role":
                    continue
                case "content":
                    self.parts(value, (*path, key), speaker, _PART_TEXT)
                case "tool_calls":
                    calls = self.expect_list([] if value is None else value, (*path, key))
                    for i, call in enumerate(calls):
                        self._tool_call(call, (*path, key, i), speaker)
                case "function_call":
                    if value is not None:
                        self._call(value, (*path, key), speaker)
                case _:
                    self.member(key, value, path, speaker)

    def _tool_call(self, value: object, path: Path, speaker: Speaker) -> None:
        for key, item in self.expect_object(value, path).items():
            if key in ("function", "custom"):
                self._call(item, (*path, key), speaker)
            else:
                self.member(key, item, path, speaker)

    def _call(self, value: object, path: Path, speaker: Speaker) -> None:
        for key, item in self.expect_object(value, path).items():
            if key in ("arguments", "input", "name"):
                kind = TextKind.JSON if key == "arguments" else TextKind.PLAIN
                self.expect_text(item, (*path, key), speaker, kind)
            else:
                self.member(key, item, path, speaker)

    def _tools(self, value: object, root: str) -> None:
        for i, item in enumerate(self.expect_list([] if value is None else value, (root,))):
            path: Path = (root, i)
            definition = self.expect_object(item, path)
            if root == "functions":
                self.tool(definition, path, _SCHEMAS)
            else:
                self._tool(definition, path)

    def _tool(self, definition: Mapping[str, Any], path: Path) -> None:
        for key, item in definition.items():
            if key in ("function", "custom"):
                self.tool(self.expect_object(item, (*path, key)), (*path, key), _SCHEMAS)
            else:
                self.member(key, item, path)
        if not ("function" in definition or "custom" in definition):
            # A tool that the server brings along itself (a search, an interpreter) has only a type.
            self.tool_name(definition.get("type"), (*path, "type"))

    def _stop(self, value: object) -> None:
        if isinstance(value, list) and all(isinstance(word, str) for word in value):
            for i, word in enumerate(value):
                self.add(word, ("stop", i))
        elif value is not None:
            self.expect_text(value, ("stop",), NOBODY)

    def _modalities(self, value: object) -> None:
        if value is not None and any(kind != "text" for kind in self.expect_list(value, ("modalities",))):
            self.refuse("unsupported_field", ("modalities",), "this gateway judges text only")
