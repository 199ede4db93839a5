"""The places of the texts of one response, and the texts of one of its frames by their places."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from authz_service.model_apis.answer_frame import LARGEST_INDEX, FrameTexts, unreadable
from authz_service.model_apis.logprobs import echoes_of
from authz_service.model_apis.openai_responses_runs import Runs, is_part
from authz_service.model_apis.openai_responses_words import RESPONSES_WORDS
from authz_service.view.answer import AnswerField
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


class Places:
    """What was said so far. Events name an item by its id, its index, or both."""

    def __init__(self) -> None:
        self._by_id: dict[str, int] = {}
        self._by_index: dict[int, int] = {}
        self._parts: dict[str, int] = {}
        self._items = 0
        self._open: set[str] = set()
        self._ended: set[str] = set()
        self._told: dict[str, int] = {}
        self.runs = Runs()

    def item(
        self,
        name: object,
        index: object,
        texts: FrameTexts,
        *,
        kind: object = None,
        begins: bool = False,
        is_list: bool = False,
    ) -> int:
        """The number of an item; the last one's where the event does not say which.

        `kind` is its type, where the event has it. `is_list`: the index is its place in a list, where the
        id says more.
        """
        by_id = self._by_id.get(name) if isinstance(name, str) else None
        by_index = self._by_index.get(_index(index, texts)) if index is not None else None
        if by_id is not None and by_index is not None and by_id != by_index and not is_list:
            unreadable(texts.words, ("output_index",), "it is that of another item")
        number = by_id if by_id is not None else by_index
        if number is None:
            is_told = isinstance(name, str) or index is not None or begins
            number = self._items if is_told or not self._items else self._items - 1
            self._items = max(self._items, number + 1)
        if isinstance(name, str):
            self._by_id.setdefault(name, number)
        if index is not None and not is_list:
            self._by_index.setdefault(_index(index, texts), number)
        if kind is not None:
            texts.ended += self.runs.turn(number, is_message=kind == "message", under_way=self._open)
        return number

    def part(self, number: int, where: str, index: object, texts: FrameTexts, *, begins: bool = False) -> str:
        """The place of a part of an item; of the one that began last where the event does not say which."""
        place = f"items/{number}/{where}"
        if index is not None:
            self._parts[place] = _index(index, texts)
        elif begins:
            self._parts[place] = self._parts.get(place, -1) + 1
        return f"{place}/{self._parts.setdefault(place, 0)}"

    def go_on(self, place: str, texts: FrameTexts) -> None:
        """A text goes on: it must not have ended."""
        if place in self._ended:
            unreadable(texts.words, ("delta",), "a text goes on after its end")
        self._open.add(place)
        self._told.setdefault(place, 1)

    def copy(self, place: str) -> int:
        """How often a text was told before."""
        told = self._told.get(place, 0)
        self._told[place] = told + 1
        return told

    def end(self, place: str, texts: FrameTexts) -> None:
        """Nothing more is said at a place; or below it, where it ends in a slash."""
        ended = {open_ for open_ in self._open if open_ == place or open_.startswith(_below(place))}
        self._open -= ended
        self._ended |= ended
        texts.ended.extend(sorted(place for place in ended if place not in self.runs))

    def end_item(self, number: int, texts: FrameTexts) -> None:
        """Nothing more is said in an item."""
        self.end(f"items/{number}/", texts)
        texts.ended += self.runs.end_item(number)

    def end_all(self, texts: FrameTexts) -> None:
        """Nothing more is said anywhere."""
        self.end("items/", texts)
        texts.ended += self.runs.end_all()

    def join(self, place: str, texts: FrameTexts) -> str:
        """The channel that a part's text goes on with."""
        channel = self.runs.join(place, self._open - {place})
        if channel is None:
            unreadable(texts.words, ("delta",), "a part goes on after another has begun")
        return channel


def _below(place: str) -> str:
    return place if place.endswith("/") else f"{place}/"


def _index(value: object, texts: FrameTexts) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= LARGEST_INDEX:
        why = f"a whole number from 0 to {LARGEST_INDEX} was expected"
        unreadable(texts.words, ("output_index",), why)
    return value


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
        elif isinstance(value, dict) and not value.keys() & UNREAD:
            for key, item in value.items():
                if key not in self.words.keys:
                    self.say_whole((*path, key), key, is_key=True)
                self.go_on(item, (*path, key), f"{place}/{key}", kind)
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
        place = "/".join((self._root, *map(str, inner)))
        if is_number:
            # Whoever adds strings to a number may read one text, of which no part can be masked.
            if is_part(place) or (goes_on and (len(inner) == 1 or inner[0] == "action")):
                unreadable(self.words, path, "a string was expected")
            goes_on = False
        self.tell(place, path, text, kind_of(inner), goes_on=goes_on, is_number=is_number)
