"""Reads a request of Anthropic's messages: every text in it, and a refusal for content that is none."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from authz_service.model_apis.anthropic_words import MESSAGES_WORDS
from authz_service.model_apis.request_messages import TEXT_ONLY
from authz_service.model_apis.request_reader import RequestReader
from authz_service.model_apis.request_texts import NOBODY, Speaker
from authz_service.view.request import Path, Role
from authz_service.view.unread import Kind

ROLES = {"system": Role.SYSTEM, "user": Role.USER, "assistant": Role.ASSISTANT}

_SYSTEM = Speaker(Role.SYSTEM)
_CARRIERS = {"text": "text", "thinking": "thinking"}
"""The types of blocks that are a text, and the key under which it stands."""

_TOOL_USES = frozenset(("tool_use", "server_tool_use", "mcp_tool_use"))
_TOOL_RESULTS = frozenset(("tool_result", "mcp_tool_result"))
_SCHEMAS = frozenset(("input_schema", "input_examples"))
_FREE_FORM = frozenset(("metadata", "output_config"))
"""Top-level fields in which any key and any list of numbers is ordinary."""

_BLOCKS = {"image": Kind.IMAGE, "redacted_thinking": Kind.ENCRYPTED, "container_upload": Kind.REFERENCE}
"""The types of blocks that a rule may permit."""


class MessagesReader(RequestReader):
    """The members of a messages request that mean something to the API."""

    def __init__(self) -> None:
        super().__init__(MESSAGES_WORDS)

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
                case "system":
                    self._content(value, ("system",), _SYSTEM)
                case "tools":
                    for i, tool in enumerate(self.expect_list(value, ("tools",))):
                        self.tool(self.expect_object(tool, ("tools", i)), ("tools", i), _SCHEMAS)
                case "stop_sequences":
                    for i, word in enumerate(self.expect_list(value, ("stop_sequences",))):
                        self.expect_text(word, ("stop_sequences", i))
                case _:
                    self.member(key, value, (), is_free=key in _FREE_FORM)

    def _messages(self, value: object) -> None:
        messages = self.expect_list(value, ("messages",))
        if not messages:
            self.refuse("invalid_field", ("messages",), "at least one message was expected")
        for message, path, speaker in self.turns(messages, ROLES):
            for key, item in message.items():
                if key == "content":
                    self._content(item, (*path, key), speaker)
                elif key != "role":
                    self.member(key, item, path, speaker)

    def _content(self, value: object, path: Path, speaker: Speaker) -> None:
        if isinstance(value, str):
            self.add(value, path, speaker)
            return
        if not isinstance(value, list):
            self.refuse("invalid_field", path, "a string or a list of blocks was expected")
        for i, block in enumerate(value):
            self._block(self.expect_object(block, (*path, i)), (*path, i), speaker)

    def _block(self, block: Mapping[str, Any], path: Path, speaker: Speaker) -> None:
        kind = block.get("type")
        if not isinstance(kind, str):
            self.refuse("unsupported_content", path, f"this block {TEXT_ONLY}")
        if kind in _CARRIERS:
            self.expect_carrier(block, path, _CARRIERS[kind], _CARRIERS)
            self._members(block, path, speaker)
        else:
            self._other_block(kind, block, path, speaker)
            self.expect_no_text(block, path, _CARRIERS)

    def _other_block(self, kind: str, block: Mapping[str, Any], path: Path, speaker: Speaker) -> None:
        if kind in _TOOL_USES:
            self._tool_use(block, path, speaker)
        elif kind in _TOOL_RESULTS:
            self._nested(block, path, Speaker(Role.TOOL, speaker.new_turn))
        elif kind == "search_result":
            self._nested(block, path, speaker)
        elif kind == "document":
            self._document(block, path, speaker)
        else:
            self.leave_part(block, path, f"{self._named(kind)} {TEXT_ONLY}", _BLOCKS.get(kind), speaker)

    def _named(self, kind: str) -> str:
        is_known = kind in self.words.refused or kind == "redacted_thinking"
        return f"a block of type {kind}" if is_known else "this block"

    def _tool_use(self, block: Mapping[str, Any], path: Path, speaker: Speaker) -> None:
        for key, item in block.items():
            if key == "input":
                self._input(item, (*path, key), speaker)
            elif key == "name":
                self.expect_text(item, (*path, key), speaker)
            elif key != "type":
                self.member(key, item, path, speaker)

    def _input(self, value: object, path: Path, speaker: Speaker) -> None:
        if not isinstance(value, dict):
            self.refuse("invalid_field", path, "an object was expected")
        for key, item in value.items():
            self.member(key, item, path, speaker, is_free=True)

    def _nested(self, block: Mapping[str, Any], path: Path, speaker: Speaker) -> None:
        """A block with blocks in its `content`."""
        for key, item in block.items():
            if key == "content" and item is not None:
                self._content(item, (*path, key), speaker)
            elif key != "type":
                self.member(key, item, path, speaker)

    def _document(self, block: Mapping[str, Any], path: Path, speaker: Speaker) -> None:
        here = (*path, "source")
        source = self.expect_object(block.get("source"), here)
        match source.get("type"):
            case "text":
                if not isinstance(source.get("data"), str):
                    self.refuse("invalid_field", (*here, "data"), "a string was expected")
                self._members(source, here, speaker)
            case "content":
                self._nested(source, here, speaker)
            case _:
                self.leave_part(
                    source, here, f"a document from such a source {TEXT_ONLY}", Kind.FILE, speaker
                )
        for key, item in block.items():
            if key not in ("type", "source"):
                self.member(key, item, path, speaker)

    def _members(self, block: Mapping[str, Any], path: Path, speaker: Speaker = NOBODY) -> None:
        for key, item in block.items():
            if key != "type":
                self.member(key, item, path, speaker)
