"""Reads a request of OpenAI's responses: every text in it, and a refusal for content that is none."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from authz_service.model_apis.openai_chat_request import ROLES
from authz_service.model_apis.openai_responses_items import ITEMS, approval_requests, names_what_is_kept
from authz_service.model_apis.openai_responses_words import NOT_INCLUDED, RESPONSES_WORDS
from authz_service.model_apis.request_messages import TEXT_ONLY
from authz_service.model_apis.request_reader import RequestReader
from authz_service.model_apis.request_texts import Speaker
from authz_service.view.kept import Result
from authz_service.view.request import Path, Role, TextKind
from authz_service.view.unread import Kind

_CARRIERS = {
    "input_text": "text",
    "output_text": "text",
    "text": "text",
    "refusal": "refusal",
    "summary_text": "text",
    "reasoning_text": "text",
}
"""The types of parts that are read, and the key under which each has its text."""

_SCHEMAS = frozenset(("parameters", "format", "output_schema", "input_schema"))
_FREE_FORM = frozenset(("metadata", "text", "structured_outputs"))
"""Top-level fields in which any key and any list of numbers is ordinary."""

_PARTED = frozenset(("function_call_output", "custom_tool_call_output"))
"""Items whose output may be a list of parts."""

_USER = Speaker(Role.USER, new_turn=True)


class ResponsesReader(RequestReader):
    """The members of a responses request that mean something to the API."""

    def __init__(self) -> None:
        super().__init__(RESPONSES_WORDS)
        self._requests: frozenset[str] = frozenset()
        """Ids of the requests for approval that stand in the input."""

    def read(self, body: Mapping[str, Any]) -> None:
        """Everything but `model`, which is looked up and not text."""
        if body.get("input") is None and body.get("prompt") is None:
            self.refuse("invalid_field", ("input",), "a string or a list of items was expected")
        for key, value in body.items():
            match key:
                case "model":
                    continue
                case "input" if isinstance(value, str):
                    self.add(value, ("input",), _USER)
                case "input" if value is not None:
                    self._items(self.expect_list(value, ("input",)))
                case "instructions" if value is not None:
                    self.expect_text(value, (key,), Speaker(Role.SYSTEM))
                case "tools" if value is not None:
                    self._tools(value, (key,))
                case "include" if value is not None:
                    self._include(value)
                case _:
                    self.member(key, value, (), is_free=key in _FREE_FORM)

    def _items(self, items: list[Any]) -> None:
        roles = [self._role(item, ("input", i)) for i, item in enumerate(items)]
        newest = self.newest_turn(roles, ("input",))
        self._requests = approval_requests(items)
        for i, (item, role) in enumerate(zip(items, roles, strict=True)):
            self._item(item, ("input", i), Speaker(role, new_turn=i >= newest))

    def _role(self, value: object, path: Path) -> Role:
        item = self.expect_object(value, path)
        kind = item.get("type", "message")
        if kind == "item_reference":
            return Role.OTHER
        if not isinstance(kind, str) or kind not in ITEMS:
            self.refuse("unsupported_content", path, f"this item {TEXT_ONLY}")
        if kind == "message":
            role = item.get("role")
            if not isinstance(role, str) or role not in ROLES:
                self.refuse("unsupported_role", (*path, "role"), f"one of {', '.join(ROLES)} was expected")
            return ROLES[role]
        if kind == "mcp_approval_response":
            return Role.USER
        return Role.TOOL if kind.endswith("_output") else Role.ASSISTANT

    def _item(self, item: Mapping[str, Any], path: Path, speaker: Speaker) -> None:
        if item.get("type") == "item_reference":
            why = "a reference to an item names content that is kept elsewhere"
            self.leave_part(item, path, why, self.kind_of_part("item_reference"), speaker)
            return
        is_message = item.get("type", "message") == "message"
        names_kept = names_what_is_kept(item)
        for key, value in item.items():
            match key:
                case "type":
                    continue
                case "role" if is_message:
                    continue
                case "id" if names_kept:
                    why = "an item without a content of its own names by its id what is kept elsewhere"
                    self.leave_name(Result.ITEM, value, (*path, key), why, speaker)
                case "approval_request_id" if item.get("type") == "mcp_approval_response":
                    self._approved(value, (*path, key), speaker)
                case "encrypted_content" if value == "":
                    self.add(value, (*path, key), speaker)  # as llama-server has it: nothing is sealed
                case "content" | "summary":
                    self.parts(value, (*path, key), speaker, _CARRIERS)
                case "output" if isinstance(value, list) and item["type"] in _PARTED:
                    self.parts(value, (*path, key), speaker, _CARRIERS)
                case "arguments" if isinstance(value, str):
                    self.add(value, (*path, key), speaker, TextKind.JSON)
                case "tools":
                    self._tools(value, (*path, key))
                case _:
                    self.member(key, value, path, speaker)

    def _approved(self, value: object, path: Path, speaker: Speaker) -> None:
        """What an approval is of: it says so by an id, and is read where it stands in the same input."""
        if value is None or (isinstance(value, str) and value in self._requests):
            self.member("approval_request_id", value, path[:-1], speaker)
            return
        why = "this approves what is kept elsewhere, since the request for it is not in the input"
        self.leave_name(Result.ITEM, value, path, why, speaker)

    def _tools(self, value: object, path: Path) -> None:
        for i, item in enumerate(self.expect_list(value, path)):
            self._tool(self.expect_object(item, (*path, i)), (*path, i))

    def _tool(self, definition: Mapping[str, Any], path: Path) -> None:
        kind = definition.get("type", "function")
        if kind == "namespace":
            self._tools(definition.get("tools"), (*path, "tools"))
        if "name" in definition:
            said = {key: item for key, item in definition.items() if (kind, key) != ("namespace", "tools")}
            self.tool(said, path, _SCHEMAS)
            return
        # A tool that the server brings along itself (a search, an interpreter) has only a type.
        self.tool_name(definition.get("type"), (*path, "type"))
        for key, item in definition.items():
            if key == "container" and isinstance(item, str):
                why = "this field is not supported, since it names content that is kept elsewhere"
                self.leave(Kind.REFERENCE, item, (*path, key), why, code="unsupported_field")
                continue
            self.member(key, item, path, is_free=key in _SCHEMAS)

    def _include(self, value: object) -> None:
        for i, wanted in enumerate(self.expect_list(value, ("include",))):
            if isinstance(wanted, str) and wanted.casefold() in NOT_INCLUDED:
                reason = NOT_INCLUDED[wanted.casefold()]
                why = f"{wanted.casefold()} is not supported, since {reason}"
                self.refuse("unsupported_field", ("include", i), why)
        self.member("include", value, ())
