"""The texts of a request as its reader collects them, and the forms that their places must have."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, NoReturn

from authz_service.errors import Unreadable
from authz_service.model_apis.words import Words
from authz_service.view.request import Path, Role, TextField, TextKind

DISGUISED = "a key differs from one of the API's only in upper and lower case"


class Speaker(NamedTuple):
    """Whose texts are being read."""

    role: Role = Role.OTHER
    new_turn: bool = False


_ANSWERS = (Role.ASSISTANT, Role.OTHER)
"""Whose messages at the end ask for nothing; OTHER is a reference to one that is kept elsewhere."""

NOBODY = Speaker()
"""What surrounds the words of a conversation: parameters, schemas, names, metadata."""


class RequestTexts:
    """Collects the texts of one request, in document order.

    All methods raise `Unreadable` for what is not the dialect's, or cannot be read without doubt.
    """

    def __init__(self, words: Words) -> None:
        self.words = words
        self.texts: list[TextField] = []
        self.turn: Path = ()

    def refuse(self, code: str, path: Path, why: str) -> NoReturn:
        """Stop the request: `why` completes a sentence that begins with where it stands."""
        raise Unreadable(f"{self.words.spoken(path)}: {why}.", code=code)

    def expect_object(self, value: object, path: Path) -> dict[str, Any]:
        """`value` as an object with no key in disguise."""
        if not isinstance(value, dict):
            self.refuse("invalid_field", path, "an object was expected")
        keys = self.words.keys
        for key in value:
            if key not in keys and self.words.is_disguised(key):
                self.refuse("ambiguous_field", path, DISGUISED)
        return value

    def expect_list(self, value: object, path: Path) -> list[Any]:
        """`value` as a list."""
        if not isinstance(value, list):
            self.refuse("invalid_field", path, "a list was expected")
        return value

    def expect_text(
        self, value: object, path: Path, speaker: Speaker = NOBODY, kind: TextKind = TextKind.PLAIN
    ) -> None:
        """A string, which is a text."""
        if not isinstance(value, str):
            self.refuse("invalid_field", path, "a string was expected")
        self.add(value, path, speaker, kind)

    def newest_turn(self, roles: Sequence[Role], path: Path) -> int:
        """The index of the message with which the new turn begins, of the messages at `path` by their roles.

        It begins after the model's last answer. Answers at the end belong to it, since the caller wrote them
        for the model to go on with: otherwise an empty one there would leave nothing to judge.
        """
        begin = len(roles)
        while begin and roles[begin - 1] in _ANSWERS:
            begin -= 1
        while begin and roles[begin - 1] is not Role.ASSISTANT:
            begin -= 1
        self.turn = (*path, begin)
        return begin

    def add(self, text: str, path: Path, speaker: Speaker = NOBODY, kind: TextKind = TextKind.PLAIN) -> None:
        """A text that stands at `path`."""
        self.texts.append(TextField(path, text, speaker.role, kind, speaker.new_turn))
