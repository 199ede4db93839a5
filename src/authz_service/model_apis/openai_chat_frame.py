"""The texts of one frame of a chat completion, as they are collected."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NoReturn

from authz_service.masking.json_numbers import said_by
from authz_service.model_apis.answer_frame import unreadable
from authz_service.model_apis.openai_words import CHAT_WORDS
from authz_service.view.answer import AnswerField, Usage
from authz_service.view.request import Path, TextKind


def refuse(path: Path, why: str) -> NoReturn:
    """End the answer: `why` completes a sentence that begins with where it stands."""
    unreadable(CHAT_WORDS, path, why)


@dataclass(slots=True)
class ChatFrame:
    """What is being collected of one frame.

    `pieces` counts the texts that go on, `steady` those of them that another frame may repeat with
    other words: where reading it changes nothing in what is known of the choice.
    """

    fields: list[AnswerField] = field(default_factory=list)
    cleared: list[Path] = field(default_factory=list)
    ended: list[str] = field(default_factory=list)
    unnamed: list[str] = field(default_factory=list)
    empty: list[str] = field(default_factory=list)
    paused: list[str] = field(default_factory=list)
    closes: bool = False
    usage: Usage | None = None
    pieces: int = 0
    steady: int = 0

    def say(self, channel: str, path: Path, text: str, kind: TextKind = TextKind.PLAIN) -> None:
        """A piece of a channel; an empty one says nothing."""
        if text:
            self.pieces += 1
            self.fields.append(AnswerField(channel, path, text, kind))

    def say_part(self, channel: str, path: Path, text: str, part: str) -> None:
        """A piece of a part of a channel."""
        if text:
            self.pieces += 1
            self.fields.append(AnswerField(channel, path, text, part=part))

    def say_unnamed(self, channel: str, path: Path, text: str, part: str, kind: TextKind) -> None:
        """A text of a field that the API does not name: a part by itself."""
        if text:
            self.pieces += 1
            self.unnamed.append(channel)
            self.fields.append(AnswerField(channel, path, text, kind, part=part, is_unnamed=True))

    def say_whole(self, path: Path, text: str, *, is_key: bool = False) -> None:
        """A text that is complete in this frame."""
        if text:
            self.fields.append(AnswerField("", path, text, TextKind.PLAIN, is_key, True))

    def say_number(self, path: Path, number: float) -> None:
        """A number, complete in this frame."""
        self.fields.append(AnswerField("", path, said_by(number), is_whole=True, is_number=True))

    @property
    def repeats(self) -> bool:
        """See `AnswerFrame.repeats`."""
        return self.pieces == self.steady == 1 and not (
            self.closes or self.usage or self.cleared or self.ended or self.paused
        )
