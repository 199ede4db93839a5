"""The texts of one frame of a response by their places."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from authz_service.model_apis.answer_frame import FrameTexts, unreadable
from authz_service.model_apis.logprobs import echoes_of
from authz_service.model_apis.openai_responses_places import Places
from authz_service.model_apis.openai_responses_runs import is_part
from authz_service.model_apis.openai_responses_words import RESPONSES_WORDS
from authz_service.view.answer import AnswerField
from authz_service.view.pointer import escaped
from authz_service.view.request import Path, TextKind

UNREAD = frozenset(
    (
        *("logprobs", "token_ids", "prompt_token_ids", "tokens", "encrypted_content"),
        *("partial_image_b64", "image_url", "file_data"),
    )
)
"""Text in a form that is not read here, and media: replaced by null."""

_GO_ON = frozenset(("text", "refusal", "arguments", "input", "code"))
"""Strings that the deltas go on with, where an item or a part begins with some."""

_OF_TOOLS = frozenset(("arguments", "input", "code", "action", "operation"))
"""What a tool is called with."""


def kind_of(where: tuple[object, ...]) -> TextKind:
    """How a text of an item is read, by its place in the item."""
    if where == ("arguments",):
        return TextKind.JSON
    return TextKind.ARGUMENT if where and where[0] in _OF_TOOLS else TextKind.PLAIN


def is_media(name: str) -> bool:
    """Whether the deltas of an event are sound or images, in base64."""
    return name in ("response.audio", "response.image_generation_call")


@dataclass(slots=True)
class ToldTexts(FrameTexts):
    """The texts of a frame. Within an item they are told at their places, beside it for themselves."""

    places: Places = field(default_factory=Places)
    _root: str = ""
    _above: int = 0
    _begins: bool = False

    def tell(
        self,
        place: str,
        path: Path,
        text: str,
        kind: TextKind = TextKind.PLAIN,
        *,
        goes_on: bool = False,
        logprobs: object = None,
        is_number: bool = False,
    ) -> None:
        """A text at its place: a piece of it where it `goes_on`, else all of it.

        `logprobs` stand beside it in the frame.
        """
        is_joined = is_part(place)
        copy = 0 if goes_on else self.places.copy(place)
        goes_on = goes_on or (is_joined and not copy)
        if goes_on:
            self.places.go_on(place, self)
        echoes = echoes_of(logprobs, (*path[:-1], "logprobs"), text, self) if logprobs else ()
        if echoes is None:
            self.cleared.append((*path[:-1], "logprobs"))
        channel, part = place, ""
        if is_joined:
            channel = self.places.join(place, self) if goes_on else self.places.runs.of(place)
            part = place
        self.fields.append(
            AnswerField(
                channel,
                path,
                text,
                kind,
                is_whole=not goes_on,
                copy=copy,
                echoes=echoes or (),
                part=part,
                is_number=is_number,
            )
        )

    def go_on(self, value: object, path: Path, place: str, kind: TextKind) -> None:
        """All strings of a value go on, each at its own place."""
        if isinstance(value, str) and value:
            self.tell(place, path, value, kind, goes_on=True)
        elif isinstance(value, dict):
            for key, item in value.items():
                if key in UNREAD:
                    self.aside(item, (*path, key), kind)
                    continue
                if key not in self.words.keys:
                    self.say_whole((*path, key), key, is_key=True)
                self.go_on(item, (*path, key), f"{place}/{escaped(key)}", kind)
        else:
            self.aside(value, path, kind)

    def item(self, item: Mapping[str, Any], path: Path, number: int, *, begins: bool = False) -> None:
        """All of an item, as far as it goes. Where it `begins`, its deltas go on with it."""
        root = f"items/{number}"
        for key, value in item.items():
            if key in ("content", "summary") and isinstance(value, list):
                for i, part in enumerate(value):
                    self.part(part, (*path, key, i), f"{root}/{key}/{i}", begins=begins)
            elif key == "result" and item.get("type") == "image_generation_call" and value:
                self.cleared.append((*path, key))
            else:
                self._within(root, len(path), begins=begins)
                self.aside(value, (*path, key), kind_of((key,)))
                self._within("", 0)

    def part(self, part: object, path: Path, place: str, *, begins: bool = False) -> None:
        """A part of an item, with its log probabilities."""
        if not isinstance(part, dict):
            unreadable(RESPONSES_WORDS, path, "an object was expected")
        for key, value in part.items():
            here = (*path, key)
            if key == "text" and isinstance(value, str) and value:
                logprobs = part.get("logprobs")
                self.tell(f"{place}/{key}", here, value, goes_on=begins, logprobs=logprobs)
            elif key == "logprobs" and isinstance(part.get("text"), str) and part["text"]:
                continue
            else:
                self._within(place, len(path), begins=begins)
                self.aside(value, here)
                self._within("", 0)

    def _within(self, root: str, above: int, *, begins: bool = False) -> None:
        self._root, self._above, self._begins = root, above, begins

    def say_whole(
        self,
        path: Path,
        text: str,
        kind: TextKind = TextKind.PLAIN,
        *,
        is_key: bool = False,
        is_number: bool = False,
    ) -> None:
        """A text that is complete in this frame; within an item, told at its place."""
        if is_key or not self._root or not text:
            FrameTexts.say_whole(self, path, text, kind, is_key=is_key, is_number=is_number)
            return
        inner = path[self._above :]
        goes_on = self._begins and (inner[0] in _GO_ON or inner[:2] == ("action", "commands"))
        place = "/".join((self._root, *(escaped(str(step)) for step in inner)))
        is_joined = is_part(place)
        if is_number:
            # Whoever adds strings to a number may read one text, of which no part can be masked.
            if is_joined or (goes_on and (len(inner) == 1 or inner[0] == "action")):
                unreadable(self.words, path, "a string was expected")
            goes_on = False
        elif is_joined:  # under a key that looks like the index of a part
            unreadable(self.words, path, "a list of parts was expected")
        self.tell(place, path, text, kind_of(inner), goes_on=goes_on, is_number=is_number)
