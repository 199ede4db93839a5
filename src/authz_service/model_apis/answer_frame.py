"""What the answer readers of all dialects share: collects the texts of one frame."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NoReturn

from authz_service.errors import Unreadable
from authz_service.masking.json_numbers import said_by
from authz_service.model_apis.numbers import TELLING, is_number, is_numbers
from authz_service.model_apis.words import Words
from authz_service.view.answer import AnswerField, AnswerFrame, Echo, Form, Usage, Varying
from authz_service.view.pointer import escaped
from authz_service.view.request import Path, TextKind

LARGEST_INDEX = 1023
"""The highest index of a text; each has a state of its own."""

MOST_EMPTY = 8
"""Frames in a row with nothing in the place of a text that nobody named, which may go on after them."""


def unreadable(words: Words, path: Path, why: str) -> NoReturn:
    """End the answer: `why` completes a sentence that begins with where it stands."""
    raise Unreadable(
        f"the answer cannot be read: {words.spoken(path)}: {why}", code="unreadable_answer", status=502
    )


def stated_index(value: object, words: Words, path: Path, key: str = "index") -> int:
    """`value`, under `key` of what stands at `path`, as the index of a text."""
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= LARGEST_INDEX:
        unreadable(words, (*path, key), f"a whole number from 0 to {LARGEST_INDEX} was expected")
    return value


def require_each_once(indexes: Sequence[int], words: Words, path: Path) -> None:
    """End the answer where two texts of one frame have the same index.

    Some clients show them as two, and some as one: whichever was judged, the other would not have been.
    """
    if len(set(indexes)) != len(indexes):
        unreadable(words, path, "two have the same index")


@dataclass(slots=True)
class Unnamed:
    """Texts that no dialect names and that are under way, by what they stand in (a choice, a block).

    Such a text goes on as long as each frame about the same thing says more of it. A frame without it ends
    it, and so do more than `MOST_EMPTY` in a row with nothing in its place: what nobody knows to be a text
    must not hold back what follows until the answer ends.
    """

    under_way: dict[str, dict[str, int]] = field(default_factory=dict)
    """Their channels, and how many frames had nothing in the place of each since it said something.

    Where there are none, and a frame says none, there is nothing to ask `over`.
    """

    def over(self, of: str, said: Collection[str], empty: Collection[str] = ()) -> list[str]:
        """The channels that a frame about `of` has ended. It says more on those of `said`.

        It has nothing on those of `empty` and below them.
        """
        before = self.under_way.pop(of, None)
        now = dict.fromkeys(said, 0)
        if before and empty:
            places = frozenset(empty)
            for channel, frames in before.items():
                if channel not in now and frames < MOST_EMPTY and _is_below(channel, places):
                    now[channel] = frames + 1
        if now:
            self.under_way[of] = now
        return sorted(before.keys() - now.keys()) if before else []

    def waits(self, of: str) -> bool:
        """Whether the last frame about `of` had nothing in the place of a text that may go on yet."""
        return any(self.under_way.get(of, {}).values())


def is_empty(value: object) -> bool:
    """Whether there is nothing in the place of a text: null, no character, no member."""
    return value is None or (not value and isinstance(value, str | list | dict))


def _is_below(channel: str, places: Collection[str]) -> bool:
    while channel and channel not in places:
        channel = channel.rpartition("/")[0]
    return bool(channel)


@dataclass(slots=True)
class FrameTexts:
    """The texts of frame `number`, in document order.

    `unread` are keys whose value becomes null, since it carries text in a form that is not read (tokens,
    alternatives); so does every list of numbers that nobody named.

    A reader says that a frame is `steady` where another with other words in the text that goes on would
    change nothing in what it knows, and of which values beside that it `may_vary`.
    """

    number: int
    words: Words
    unread: Collection[str] = ()
    fields: list[AnswerField] = field(default_factory=list)
    cleared: list[Path] = field(default_factory=list)
    ended: list[str] = field(default_factory=list)
    unnamed: set[str] = field(default_factory=set)
    empty: set[str] = field(default_factory=set)
    closes: bool = False
    usage: Usage | None = None
    steady: bool = False
    varies: list[Varying] = field(default_factory=list)

    def say(
        self,
        channel: str,
        path: Path,
        text: object,
        kind: TextKind = TextKind.PLAIN,
        *,
        echoes: tuple[Echo, ...] = (),
        part: str = "",
    ) -> None:
        """A piece of a channel, which must be a string; an empty one says nothing."""
        if not isinstance(text, str):
            unreadable(self.words, path, "a string was expected")
        if text:
            self.fields.append(AnswerField(channel, path, text, kind, echoes=echoes, part=part))

    def say_whole(
        self,
        path: Path,
        text: str,
        kind: TextKind = TextKind.PLAIN,
        *,
        is_key: bool = False,
        is_number: bool = False,
    ) -> None:
        """A text that is complete in this frame."""
        if text:
            self.fields.append(
                AnswerField("", path, text, kind, is_key=is_key, is_whole=True, is_number=is_number)
            )

    def say_on(self, channel: str, path: Path, value: object, kind: TextKind = TextKind.PLAIN) -> None:
        """A value that nobody named, beside a text that goes on: its strings may go on too.

        Each does on a channel below `channel`, by its keys, until `end_unnamed` ends it.
        """
        key = str(path[-1])
        below = f"{channel}/{escaped(key)}"
        if is_empty(value):
            self.empty.add(below)
        goes_on = isinstance(value, dict) or (isinstance(value, str) and not self.words.selects(key, value))
        if key in self.unread or not goes_on:
            self.aside(value, path, kind)
            return
        if key not in self.words.keys:
            self.say_whole(path, key, is_key=True)
        if isinstance(value, dict):
            for name, item in value.items():
                self.say_on(below, (*path, name), item, kind)
        elif isinstance(value, str) and value:
            # Nobody knows whether the next frame goes on with it or says another, so it is a part: it is
            # looked at for itself, and joined.
            self.unnamed.add(below)
            part = f"{below}/{self.number}/{len(self.fields)}"
            self.fields.append(AnswerField(below, path, value, kind, part=part, is_unnamed=True))

    def end_unnamed(self, unnamed: Unnamed, of: str) -> None:
        """All is said that this frame says of `of`: end the texts that nobody named and that it left out."""
        if self.unnamed or unnamed.under_way:
            self.ended.extend(unnamed.over(of, self.unnamed, self.empty))
            self.unnamed.clear()
        self.empty.clear()

    def end(self, channel: str) -> None:
        """Nothing more is said on a channel."""
        self.ended.append(channel)

    def aside(self, value: object, path: Path, kind: TextKind = TextKind.PLAIN) -> None:
        """A value with all below it whose strings, foreign keys and numbers are complete in this frame.

        Of the numbers those that are telling; of arguments every one, as of arguments that come in pieces.
        """
        key = next((step for step in reversed(path) if isinstance(step, str)), "")
        if path and isinstance(path[-1], str) and path[-1] not in self.words.keys:
            self.say_whole(path, path[-1], is_key=True)
        if value and (key in self.unread or is_numbers(value)):
            self.cleared.append(path)
        elif isinstance(value, str):
            if not self.words.selects(key, value):
                self.say_whole(path, value, kind)
        elif isinstance(value, dict):
            for name, item in value.items():
                self.aside(item, (*path, name), kind)
        elif isinstance(value, list):
            for i, item in enumerate(value):
                self.aside(item, (*path, i), kind)
        elif is_number(value) and (kind is not TextKind.PLAIN or abs(value) >= TELLING):
            self.say_whole(path, said_by(value), kind, is_number=True)

    def may_vary(self, path: Path, value: object, form: Form) -> None:
        """The value at `path` may be another of this form; nothing where it is of another itself."""
        if _HAS_FORM[form](value):
            self.varies.append(Varying(path, form))

    def frame(self) -> AnswerFrame:
        """All that was collected."""
        repeats = self.steady and not (self.closes or self.usage or self.cleared or self.ended)
        repeats = repeats and self._says_one_thing()
        return AnswerFrame(
            tuple(self.fields),
            usage=self.usage,
            cleared=tuple(self.cleared),
            ended=tuple(self.ended),
            closes=self.closes,
            repeats=repeats,
            varies=tuple(self.varies) if repeats else (),
        )

    def _says_one_thing(self) -> bool:
        """Whether one text goes on, and nothing else says its words."""
        pieces = [field for field in self.fields if not field.is_whole]
        return len(pieces) == 1 and all(echo.path is None for echo in pieces[0].echoes)


def is_count(value: object) -> bool:
    """Whether a value is a whole number that tells nothing."""
    return type(value) is int and 0 <= value < TELLING


_HAS_FORM: Mapping[Form, Callable[[object], bool]] = {
    Form.COUNT: is_count,
    Form.COUNTS: lambda value: isinstance(value, list) and bool(value) and all(map(is_count, value)),
    Form.SMALL: lambda value: is_number(value) and abs(value) < TELLING,
    Form.TEXT: lambda value: isinstance(value, str),
}


def openai_usage(value: object) -> Usage | None:
    """The tokens of OpenAI's `usage`; those of an answer that has none are zero."""
    if not isinstance(value, dict):
        return None
    prompt, completion = value.get("prompt_tokens"), value.get("completion_tokens", 0)
    if isinstance(prompt, int) and isinstance(completion, int):
        return Usage(prompt_tokens=prompt, completion_tokens=completion)
    return None
