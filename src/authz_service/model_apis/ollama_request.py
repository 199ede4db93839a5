"""Reads requests of Ollama's API: every text in them, and a refusal for content that is none."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from authz_service.model_apis.ollama_words import OLLAMA_WORDS
from authz_service.model_apis.request_reader import RequestReader
from authz_service.model_apis.request_texts import NOBODY, Speaker
from authz_service.view.request import Path, Role

ROLES = {"system": Role.SYSTEM, "user": Role.USER, "assistant": Role.ASSISTANT, "tool": Role.TOOL}

_PROMPT = Speaker(Role.USER, new_turn=True)
_SYSTEM = Speaker(Role.SYSTEM)
_SCHEMAS = frozenset(("parameters",))
_FREE_FORM = frozenset(("format", "options"))
"""Top-level fields in which any key and any list of numbers is ordinary."""


class OllamaReader(RequestReader):
    """The members of Ollama's requests that mean something to the API."""

    def __init__(self) -> None:
        super().__init__(OLLAMA_WORDS)

    def chat(self, body: Mapping[str, Any]) -> None:
        """`messages` and `tools`."""
        for key, value in body.items():
            if key == "messages":
                self._messages(value)
            elif key == "tools" and value is not None:
                for i, tool in enumerate(self.expect_list(value, (key,))):
                    self._tool(self.expect_object(tool, (key, i)), (key, i))
            else:
                self._other(key, value)

    def generate(self, body: Mapping[str, Any]) -> None:
        """`prompt`, `suffix` and `system`; a prompt that is absent only loads the model."""
        speakers = {"prompt": _PROMPT, "suffix": _PROMPT, "system": _SYSTEM}
        for key, value in body.items():
            if key in speakers and value is not None:
                self.expect_text(value, (key,), speakers[key])
            else:
                self._other(key, value)

    def embed(self, body: Mapping[str, Any], carrier: str) -> None:
        """One text or several under `carrier`; tokens are refused."""
        for key, value in body.items():
            if key != carrier:
                self._other(key, value)
            elif isinstance(value, list):
                for i, text in enumerate(value):
                    self.expect_text(text, (key, i), _PROMPT)
            else:
                self.expect_text(value, (key,), _PROMPT)

    def _other(self, key: str, value: object) -> None:
        if key != "model":
            self.member(key, value, (), is_free=key in _FREE_FORM)

    def _messages(self, value: object) -> None:
        messages = self.expect_list([] if value is None else value, ("messages",))
        for message, path, speaker in self.turns(messages, ROLES):
            self._message(message, path, speaker)

    def _message(self, message: Mapping[str, Any], path: Path, speaker: Speaker) -> None:
        for key, value in message.items():
            here = (*path, key)
            if key == "content" and value is not None:
                self.expect_text(value, here, speaker)
            elif key == "tool_calls":
                for i, call in enumerate(self.expect_list([] if value is None else value, here)):
                    self._tool_call(self.expect_object(call, (*here, i)), (*here, i), speaker)
            elif key != "role":
                self.member(key, value, path, speaker)

    def _tool_call(self, call: Mapping[str, Any], path: Path, speaker: Speaker) -> None:
        for key, value in call.items():
            if key != "function":
                self.member(key, value, path, speaker)
                continue
            for name, item in self.expect_object(value, (*path, key)).items():
                # Its arguments are an object, whose keys are the caller's own.
                self.member(name, item, (*path, key), speaker, is_free=name == "arguments")

    def _tool(self, tool: Mapping[str, Any], path: Path) -> None:
        for key, value in tool.items():
            if key == "function":
                self.tool(self.expect_object(value, (*path, key)), (*path, key), _SCHEMAS)
            else:
                self.member(key, value, path, NOBODY)
        if "function" not in tool:
            self.tool_name(tool.get("type"), (*path, "type"))
