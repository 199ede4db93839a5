"""Which member of a body is its conversation, and where the new turn of that begins.

The service says so of a hold; of a session's bodies it is found here by the same rule.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum, auto
from typing import NamedTuple

from authz_cli.outline import Json

_LISTS = ("messages", "input")
"""The members in which requests have a conversation."""


class Turn(NamedTuple):
    """The new turn begins with the message `begin` of the list `member`."""

    member: str
    begin: int


class Conversation(NamedTuple):
    """The messages of the list `member`, of which those from `newest` on are the new turn."""

    member: str
    messages: list[dict[str, Json]]
    newest: int


class _Says(Enum):
    """The model's ANSWER, a REFERENCE to a message that is kept elsewhere, or what the caller ASKS."""

    ANSWER = auto()
    REFERENCE = auto()
    ASKS = auto()


def turn_at(pointer: str) -> Turn | None:
    """Of a JSON pointer to the first message of the new turn; None for any other text."""
    member, _, index = pointer.removeprefix("/").partition("/")
    return Turn(member, int(index)) if member in _LISTS and index.isdecimal() else None


def conversation_in(document: Json, turn: Turn | None = None) -> Conversation | None:
    """The conversation of a body, that of `turn` where it is known; None for a body without one."""
    if not isinstance(document, dict):
        return None
    for member in _LISTS if turn is None else (turn.member,):
        messages = document.get(member)
        if isinstance(messages, list) and messages:
            found = [message for message in messages if isinstance(message, dict)]
            if len(found) == len(messages):
                newest = (
                    _newest([_says(message, member) for message in found]) if turn is None else turn.begin
                )
                return Conversation(member, found, newest)
    return None


def _newest(said: Sequence[_Says]) -> int:
    """After the last answer, but for those that the caller put at the end for the model to go on with."""
    asked = max((i for i, says in enumerate(said) if says is _Says.ASKS), default=0)
    return max((i + 1 for i, says in enumerate(said[:asked]) if says is _Says.ANSWER), default=0)


def _says(message: dict[str, Json], member: str) -> _Says:
    kind = message.get("type", "message")
    if member == "input" and isinstance(kind, str) and kind != "message":
        if kind == "item_reference":
            return _Says.REFERENCE
        is_asking = kind.endswith("_output") or kind == "mcp_approval_response"
        return _Says.ASKS if is_asking else _Says.ANSWER
    return _Says.ANSWER if message.get("role") == "assistant" else _Says.ASKS
