"""Which member of a body is its conversation, and where the new turn of that begins, by the bytes alone."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum, auto
from typing import NamedTuple

from authz_cli.outline import Json

_LISTS = ("messages", "input")
"""The members in which requests have a conversation."""


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


def conversation_in(document: Json) -> Conversation | None:
    """The conversation of a body; None for a body without one."""
    if not isinstance(document, dict):
        return None
    for member in _LISTS:
        messages = document.get(member)
        if isinstance(messages, list) and messages:
            found = [message for message in messages if isinstance(message, dict)]
            if len(found) == len(messages):
                newest = _newest([_says(message, member) for message in found])
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
