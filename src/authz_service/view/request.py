"""The neutral request: what every dialect's body says, with each text and where it stands."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

from authz_service.view.unread import Unread

Path = tuple[str | int, ...]
"""Where a value stands in a JSON document: object keys and array indexes from the root."""


class Role(StrEnum):
    """Whose words a text is; OTHER is what surrounds them (parameters, schemas, names, metadata)."""

    SYSTEM = "system"
    USER = "user"
    ASSISTANT = "assistant"
    TOOL = "tool"
    OTHER = "other"


class TextKind(StrEnum):
    """How the characters of a text mean something: PLAIN as they are; JSON through JSON's escapes.

    JSON is a string that holds a JSON document (a tool call's arguments): findings are looked for in
    its decoded strings and numbers, and edits leave it valid JSON. ARGUMENT is read as PLAIN is, and is
    what the model calls a tool with, or a part of that.
    """

    PLAIN = "plain"
    JSON = "json"
    ARGUMENT = "argument"


class TextField(NamedTuple):
    """One string of a request body. `new_turn`: it came after the last answer of the model, or is one that
    the caller began for the model to go on with.

    With `is_key` the text is the last key of `path`, not the value there: a free-form object's key says
    as much as a value does. With `is_number` the value is a JSON number (a tool's schema may carry one to
    the model) and the text its digits, a line for each way to read it; masked, all of the value becomes a
    string.

    A named tuple, since a request has hundreds: a frozen dataclass takes three times as long to make.
    """

    path: Path
    text: str
    role: Role
    kind: TextKind = TextKind.PLAIN
    new_turn: bool = False
    is_key: bool = False
    is_number: bool = False

    @property
    def is_of_newest_user_turn(self) -> bool:
        """What the user wrote last, as a value: names of fields and numbers are no text of the turn."""
        return self.new_turn and self.role is Role.USER and not (self.is_key or self.is_number)


@dataclass(frozen=True, slots=True)
class RequestView:
    """What a request asks for. `texts` has every string that carries any text, in document order.

    `unread` has what is no text, in document order; it may go on only where a rule permits its kind.
    `model` is empty where the dialect names none (see `ModelApi.read_request`). `in_parts` are top-level
    keys whose list is one text in parts, as a model server joins them (a system prompt in blocks). `turn` is
    where the first message of the new turn stands; empty for a request without messages, which is all new.
    """

    api: str
    operation: str
    model: str
    stream: bool
    texts: tuple[TextField, ...]
    tools: tuple[str, ...] = ()
    parameters: Mapping[str, object] = field(default_factory=dict)
    token_estimate: int = 0
    choices: int = 1
    in_parts: frozenset[str] = frozenset()
    unread: tuple[Unread, ...] = ()
    turn: Path = ()

    def text(self, role: Role) -> str:
        """All texts of one role, one after another, separated by newlines."""
        return "\n".join(t.text for t in self.texts if t.role is role)

    @property
    def new_turn(self) -> str:
        """The texts of the new turn, separated by newlines."""
        return "\n".join(t.text for t in self.texts if t.new_turn)
