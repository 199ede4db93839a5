"""Reads a chat completion request: every text in it, and a refusal for what carries content unread."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from authz_service.errors import Unreadable
from authz_service.model_apis.openai_refused import REFUSED, is_on
from authz_service.model_apis.openai_words import KEYS, folded, is_disguised, selects, spoken
from authz_service.view.request import Path, Role, TextField, TextKind

ROLES = {
    "system": Role.SYSTEM,
    "developer": Role.SYSTEM,
    "user": Role.USER,
    "assistant": Role.ASSISTANT,
    "tool": Role.TOOL,
    "function": Role.TOOL,
}

_DISGUISED = "a key differs from one of the API's only in upper and lower case"

_PART_TEXT = {
    "text": "text",
    "input_text": "text",
    "output_text": "text",
    "refusal": "refusal",
    "thinking": "thinking",
}
"""The types of content parts that are read, and the key under which each has its text."""

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


def refuse(code: str, path: Path, why: str) -> NoReturn:
    """Stop the request: `why` completes a sentence that begins with where it stands."""
    raise Unreadable(f"{spoken(path)}: {why}.", code=code)


def expect_object(value: object, path: Path) -> dict[str, Any]:
    """`value` as an object with no key in disguise."""
    if not isinstance(value, dict):
        refuse("invalid_field", path, "an object was expected")
    for key in value:
        if is_disguised(key):
            refuse("ambiguous_field", path, _DISGUISED)
    return value


def expect_list(value: object, path: Path) -> list[Any]:
    """`value` as a list."""
    if not isinstance(value, list):
        refuse("invalid_field", path, "a list was expected")
    return value


@dataclass(frozen=True, slots=True)
class Speaker:
    """Whose texts are being read."""

    role: Role = Role.OTHER
    new_turn: bool = False


class RequestReader:
    """Collects the texts of one request, in document order."""

    def __init__(self) -> None:
        self.texts: list[TextField] = []
        self.tools: list[str] = []

    def read(self, body: Mapping[str, Any]) -> None:
        """Everything but `model`, which is looked up and not text. Raises `Unreadable`."""
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
                    self._member(key, value, (), Speaker(), free=key in _FREE_FORM)

    def _messages(self, value: object) -> None:
        messages = expect_list(value, ("messages",))
        if not messages:
            refuse("invalid_field", ("messages",), "at least one message was expected")
        roles = [self._role(message, ("messages", i)) for i, message in enumerate(messages)]
        last_answer = max((i for i, role in enumerate(roles) if role is Role.ASSISTANT), default=-1)
        for i, (message, role) in enumerate(zip(messages, roles, strict=True)):
            self._message(message, ("messages", i), Speaker(role, new_turn=i > last_answer))

    def _role(self, message: object, path: Path) -> Role:
        role = expect_object(message, path).get("role")
        if not isinstance(role, str) or role not in ROLES:
            refuse("unsupported_role", (*path, "role"), f"one of {', '.join(ROLES)} was expected")
        return ROLES[role]

    def _message(self, message: Mapping[str, Any], path: Path, speaker: Speaker) -> None:
        for key, value in message.items():
            match key:
                case "role":
                    continue
                case "content":
                    self._content(value, (*path, key), speaker)
                case "tool_calls":
                    for i, call in enumerate(expect_list([] if value is None else value, (*path, key))):
                        self._tool_call(call, (*path, key, i), speaker)
                case "function_call":
                    if value is not None:
                        self._call(value, (*path, key), speaker)
                case _:
                    self._member(key, value, path, speaker)

    def _content(self, value: object, path: Path, speaker: Speaker) -> None:
        if value is None:
            return
        if isinstance(value, str):
            self._add(value, path, speaker)
            return
        if not isinstance(value, list):
            refuse("invalid_field", path, "a string, a list of parts or null was expected")
        for i, part in enumerate(value):
            self._part(part, (*path, i), speaker)

    def _part(self, part: object, path: Path, speaker: Speaker) -> None:
        if isinstance(part, str):
            self._add(part, path, speaker)
            return
        content = expect_object(part, path)
        kind = content.get("type")
        carrier = _PART_TEXT.get(kind) if isinstance(kind, str) else None
        if carrier is None:
            named = f"a part of type {kind}" if isinstance(kind, str) and kind in REFUSED else "this part"
            refuse("unsupported_content", path, f"{named} is not text, and this gateway judges text only")
        if not isinstance(content.get(carrier), str):
            refuse("invalid_field", (*path, carrier), "a string was expected")
        for key, value in content.items():
            if key != "type":
                self._member(key, value, path, speaker)

    def _tool_call(self, value: object, path: Path, speaker: Speaker) -> None:
        for key, item in expect_object(value, path).items():
            if key in ("function", "custom"):
                self._call(item, (*path, key), speaker)
            else:
                self._member(key, item, path, speaker)

    def _call(self, value: object, path: Path, speaker: Speaker) -> None:
        for key, item in expect_object(value, path).items():
            if key in ("arguments", "input", "name"):
                kind = TextKind.JSON if key == "arguments" else TextKind.PLAIN
                self._expect_text(item, (*path, key), speaker, kind)
            else:
                self._member(key, item, path, speaker)

    def _tools(self, value: object, root: str) -> None:
        for i, tool in enumerate(expect_list([] if value is None else value, (root,))):
            path: Path = (root, i)
            definition = expect_object(tool, path)
            if root == "functions":
                self._function(definition, path)
                continue
            for key, item in definition.items():
                if key in ("function", "custom"):
                    self._function(expect_object(item, (*path, key)), (*path, key))
                else:
                    self._member(key, item, path, Speaker())
            if not ("function" in definition or "custom" in definition):
                # A tool that the server brings along itself (a search, an interpreter) has only a type.
                self._expect_name(definition.get("type"), (*path, "type"))

    def _function(self, definition: Mapping[str, Any], path: Path) -> None:
        self._expect_name(definition.get("name"), (*path, "name"))
        for key, item in definition.items():
            if key == "description" and item is not None:
                self._expect_text(item, (*path, key), Speaker(), TextKind.PLAIN)
            else:
                self._member(key, item, path, Speaker(), free=key in ("parameters", "format"))

    def _expect_name(self, value: object, path: Path) -> None:
        if not isinstance(value, str) or not value:
            refuse("invalid_field", path, "a name was expected")
        self.tools.append(value)

    def _stop(self, value: object) -> None:
        if isinstance(value, list) and all(isinstance(word, str) for word in value):
            for i, word in enumerate(value):
                self._add(word, ("stop", i), Speaker())
        elif value is not None:
            self._expect_text(value, ("stop",), Speaker(), TextKind.PLAIN)

    def _modalities(self, value: object) -> None:
        if value is not None and any(kind != "text" for kind in expect_list(value, ("modalities",))):
            refuse("unsupported_field", ("modalities",), "this gateway judges text only")

    def _expect_text(self, value: object, path: Path, speaker: Speaker, kind: TextKind) -> None:
        if not isinstance(value, str):
            refuse("invalid_field", path, "a string was expected")
        self._add(value, path, speaker, kind)

    def _add(self, text: str, path: Path, speaker: Speaker, kind: TextKind = TextKind.PLAIN) -> None:
        self.texts.append(TextField(path, text, speaker.role, kind, speaker.new_turn))

    # What the API does not name is read generically: strings are texts, and so are keys.

    def _member(self, key: str, value: object, parent: Path, speaker: Speaker, *, free: bool = False) -> None:
        path = (*parent, key)
        if not free:
            self._check(key, value, path, parent)
        if key not in KEYS:
            self.texts.append(TextField(path, key, speaker.role, new_turn=speaker.new_turn, is_key=True))
        self._value(value, path, speaker, key, free)

    def _check(self, key: str, value: object, path: Path, parent: Path) -> None:
        known = folded(key)
        if known in REFUSED and is_on(known, value):
            if key != known:
                refuse("ambiguous_field", parent, _DISGUISED)
            refuse("unsupported_field", path, f"this field is not supported, since {REFUSED[key]}")
        is_of_message = path[0] == "messages"
        if is_of_message and key in _TEXT_OR_NULL and value is not None and not isinstance(value, str):
            refuse("invalid_field", path, "a string or null was expected")

    def _value(self, value: object, path: Path, speaker: Speaker, key: str, free: bool) -> None:
        if isinstance(value, str):
            if not selects(key, value):
                self._add(value, path, speaker)
        elif isinstance(value, dict):
            for name, item in value.items():
                self._member(name, item, path, speaker, free=free)
        elif isinstance(value, list):
            if not free and _has_number(value):
                refuse(
                    "unsupported_field",
                    path,
                    "an unknown list of numbers may be tokens, which cannot be read",
                )
            for i, item in enumerate(value):
                self._value(item, (*path, i), speaker, key, free)
        elif _is_number(value) and (len(path) > 1 or key not in KEYS):
            # Tools' schemas and documents are written into the prompt, their numbers too; and what a
            # server makes of a field that nobody knows is not known either.
            token = getattr(value, "token", repr(value))
            self.texts.append(TextField(path, token, speaker.role, new_turn=speaker.new_turn, is_number=True))


def _has_number(items: Sequence[object]) -> bool:
    return any(_is_number(item) for item in items)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
