"""Reads chat completion answers, whole or streamed: every text, each on the channel that it continues."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NoReturn, TypeGuard

from authz_service.errors import Unreadable
from authz_service.masking.json_numbers import said_by
from authz_service.model_apis.answer_frame import Unnamed, escaped
from authz_service.model_apis.logprobs import beside_message
from authz_service.model_apis.openai_words import KEYS, SELECTING, selects, spoken
from authz_service.view.answer import AnswerField, AnswerFrame, Usage
from authz_service.view.request import Path, RequestView, TextKind

MAX_INDEX = 1023
"""The highest index of a choice or a tool call; each has a state of its own here."""

_PROSE = {
    "content": "answer",
    "refusal": "answer",
    "reasoning_content": "thought",
    "reasoning": "thought",
}
"""The keys of prose, and what the model does there. vLLM sends its thoughts under both keys at once."""

_CLEARED = frozenset(
    (
        *("logprobs", "prompt_logprobs", "completion_probabilities"),  # but those of a choice
        *("token_ids", "prompt_token_ids", "tokens", "hidden_states"),
        *("audio", "images", "image_url", "b64_json"),
    )
)
"""Text in a form that is not read here (tokens, bytes, alternatives, sound, images): replaced by null."""

_TELLING = 1_000_000
"""Numbers beside the choices from which on one is looked at: below are counts of tokens, and timings."""

_YEAR_5000 = 95_617_584_000
"""In seconds since the epoch, as `created` is: it tells nothing."""

_UNTOLD = KEYS - _CLEARED
"""Keys beside the choices under which a small number tells nothing, as in `usage`."""

_NUMBER = (int, float)

_COUNTS = frozenset(("index", "start_index", "end_index", "stop_reason", "matched_stop"))
"""Numbers within a choice that may stay; others could be what the model said."""


def _refuse(path: Path, why: str) -> NoReturn:
    raise Unreadable(
        f"the answer cannot be read: {spoken(path)}: {why}", code="unreadable_answer", status=502
    )


@dataclass(slots=True)
class _Call:
    """One tool call of a choice. A name is `spelled` where it is none of the request's tools."""

    spelled: bool = False
    is_named: bool = False


@dataclass(slots=True)
class _Choice:
    """What was said so far in one choice.

    `speaking` are the keys of prose that the model was last heard on, `left` those that it once turned
    away from: who comes back is not taken to be complete a second time. `part` is the index of the part of
    its content that was told last.
    """

    channel: str
    source: str
    is_complete: bool = False
    speaking: frozenset[str] = frozenset()
    left: frozenset[str] = frozenset()
    calls: dict[int, _Call] = field(default_factory=dict)
    call: _Call | None = None
    part: int = 0
    unnamed: Unnamed = field(default_factory=Unnamed)

    def turn(self, prose: set[str]) -> list[str]:
        """The model is heard on these keys (none: it calls a tool); the channels that it turned away from."""
        if prose == self.speaking:
            return []
        if not self.speaking:
            self.speaking = frozenset(prose)
            return []
        doing = {_PROSE[key] for key in prose}
        over = {key for key in self.speaking if _PROSE[key] not in doing}
        news = over - self.left
        self.left |= over
        self.speaking = (self.speaking - over) | prose
        return sorted(f"{self.channel}/{key}" for key in news)


@dataclass(slots=True)
class _Frame:
    """What is being collected of one frame.

    `pieces` counts the texts that go on, `steady` those of them that another frame may repeat with
    other words: where reading it changes nothing in what is known of the choice.
    """

    fields: list[AnswerField] = field(default_factory=list)
    cleared: list[Path] = field(default_factory=list)
    ended: list[str] = field(default_factory=list)
    unnamed: list[str] = field(default_factory=list)
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


class ChatAnswerReader:
    """The frames of one answer, in order.

    Each choice speaks either by `delta` (a piece) or by one `message` (whole), never both: the same text
    said twice would be judged as one text, cut where nobody cuts it. Channels are named
    `choices/{index}/content`, `.../tool_calls/{index}/arguments` and so on, by the indexes that the
    answer states, not by its places. `Unreadable` (502) for anything else.
    """

    def __init__(self, request: RequestView) -> None:
        self._tools = frozenset(request.tools)
        self._choices: dict[int, _Choice] = {}
        self._beside: dict[str, AnswerField] = {}
        self._parts = 0

    def read(self, document: object) -> AnswerFrame:
        """The texts of the next frame."""
        if not isinstance(document, dict):
            _refuse((), "an object was expected")
        if "choices" not in document and "error" not in document and document.get("object") != "error":
            _refuse((), "it has neither choices nor an error")
        frame = _Frame()
        for key, value in document.items():
            if key == "choices":
                self._read_choices(value, frame)
            elif isinstance(value, str) and key in KEYS:  # as below, but quicker: they come with every frame
                if value and value not in SELECTING.get(key, ()):
                    frame.fields.append(self._beside_choices(key, value))
            elif key == "created" and isinstance(value, int) and 0 <= value < _YEAR_5000:
                continue
            else:
                if key == "usage":
                    frame.usage = _usage(value)
                self._aside(value, (key,), key, frame)
        frame.closes = frame.closes or not document.get("choices")
        return AnswerFrame(
            tuple(frame.fields),
            frame.usage,
            tuple(frame.cleared),
            tuple(frame.ended),
            tuple(frame.paused),
            frame.closes,
            frame.repeats,
        )

    def _beside_choices(self, key: str, text: str) -> AnswerField:
        """A whole text at the root, which is mostly that of the last frame."""
        said = self._beside.get(key)
        if said is None or said.text != text:
            said = self._beside[key] = AnswerField("", (key,), text, TextKind.PLAIN, False, True)
        return said

    def _read_choices(self, value: object, frame: _Frame) -> None:
        if value is None:
            return
        if not isinstance(value, list):
            _refuse(("choices",), "a list was expected")
        told = {self._read_choice(item, ("choices", i), frame) for i, item in enumerate(value)}
        for choice in map(self._choices.__getitem__, told):
            said = [name for name in frame.unnamed if name.startswith(f"{choice.channel}/")]
            frame.ended.extend(choice.unnamed.over("", said))

    def _read_choice(self, value: object, path: Path, frame: _Frame) -> int:
        """Read what a frame says of one choice; its index."""
        if not isinstance(value, dict):
            _refuse(path, "an object was expected")
        index = _index(value.get("index"), path)
        if "delta" in value and "message" in value:
            _refuse(path, "it has both a delta and a message")
        source = "message" if "message" in value else "delta"
        choice = self._choices.get(index)
        if choice is None:
            choice = self._choices[index] = _Choice(f"choices/{index}", source)
        if choice.source != source or choice.is_complete:
            _refuse(path, "the choice was said already in another form, or twice")
        choice.is_complete = source == "message"
        frame.closes = frame.closes or value.get("finish_reason") is not None
        for key, item in value.items():
            if key == source:
                self._read_piece(choice, item, (*path, key), frame)
            elif key == "logprobs" and item:
                continue
            elif key != "index" and not (item is None and key in KEYS):
                self._unknown(item, (*path, key), key, f"{choice.channel}/~/{escaped(key)}", frame)
        if value.get("logprobs"):
            beside_message(value["logprobs"], (*path, "logprobs"), (*path, source), frame)
            frame.steady = 0  # they are compared with the text, so that each frame must be read
        if choice.is_complete:
            frame.steady = 0
        return index

    def _read_piece(self, choice: _Choice, value: object, path: Path, frame: _Frame) -> None:
        if value is None:
            return
        if not isinstance(value, dict):
            _refuse(path, "an object was expected")
        prose: set[str] = set()
        for key, item in value.items():
            if item is None and key in KEYS:
                continue
            if key in _PROSE and isinstance(item, str):
                if item:
                    prose.add(key)
                    frame.say(f"{choice.channel}/{key}", (*path, key), item)
                    frame.steady += 1
            elif key in _PROSE and not isinstance(item, list | dict):
                _refuse((*path, key), "a string was expected")
            elif key == "content" and isinstance(item, list) and not _is_numbers(item):
                prose.update([key] if item else ())
                for i, part in enumerate(item):
                    self._part(choice, i, part, (*path, key, i), frame)
            elif key == "tool_calls":
                self._tool_calls(choice, item, (*path, key), frame)
            elif key == "function_call":
                choice.call = choice.call or _Call()
                self._function(choice.call, f"{choice.channel}/{key}", item, (*path, key), frame)
            else:
                self._unknown(
                    item, (*path, key), key, f"{choice.channel}/~{choice.source}/{escaped(key)}", frame
                )
        if prose or value.get("tool_calls") or value.get("function_call"):
            frame.paused.extend(choice.turn(prose))

    def _part(self, choice: _Choice, index: int, value: object, path: Path, frame: _Frame) -> None:
        """A part of a content that is a list: its text goes on with the parts before it."""
        channel = f"{choice.channel}/~{choice.source}/content/{index}"
        if not isinstance(value, dict) or not isinstance(value.get("text"), str):
            self._unknown(value, path, "content", channel, frame)
            return
        if value["text"]:
            if index < choice.part:
                _refuse(path, "a part goes on after another has begun")
            choice.part = index
        content = f"{choice.channel}/content"
        frame.say_part(content, (*path, "text"), value["text"], f"{content}/{index}")
        for key, item in value.items():
            if key != "text":
                self._unknown(item, (*path, key), key, f"{channel}/{escaped(key)}", frame)

    def _tool_calls(self, choice: _Choice, value: object, path: Path, frame: _Frame) -> None:
        if not isinstance(value, list):
            _refuse(path, "a list was expected")
        for i, item in enumerate(value):
            if not isinstance(item, dict):
                _refuse((*path, i), "an object was expected")
            is_placed = choice.source == "message"
            stated = i if is_placed and item.get("index") is None else _index(item.get("index"), (*path, i))
            index = i if is_placed else stated
            call = choice.calls.setdefault(index, _Call())
            self._tool_call(call, f"{choice.channel}/tool_calls/{index}", item, (*path, i), frame)

    def _tool_call(self, call: _Call, channel: str, value: dict[str, Any], path: Path, frame: _Frame) -> None:
        for key, item in value.items():
            if key == "index" or (item is None and key in KEYS):
                continue
            if key == "id" and isinstance(item, str):
                frame.say_whole((*path, key), item)
            elif key in ("function", "custom"):
                self._function(call, channel, item, (*path, key), frame)
            else:
                self._unknown(
                    item, (*path, key), key, f"{channel}/~/{escaped(key)}", frame, TextKind.ARGUMENT
                )

    def _function(self, call: _Call, channel: str, value: object, path: Path, frame: _Frame) -> None:
        if not isinstance(value, dict):
            _refuse(path, "an object was expected")
        if value.get("name") is not None:  # before the arguments, wherever it stands: they end it
            self._name(call, channel, value["name"], (*path, "name"), frame)
        for key, item in value.items():
            if key == "name" or (item is None and key in KEYS):
                continue
            if key not in ("arguments", "input"):
                self._unknown(
                    item, (*path, key), key, f"{channel}/~/{escaped(key)}", frame, TextKind.ARGUMENT
                )
                continue
            if not isinstance(item, str):
                _refuse((*path, key), "a string was expected")
            if item:
                self._end_name(call, channel, frame)
                kind = TextKind.JSON if key == "arguments" else TextKind.ARGUMENT
                frame.say(f"{channel}/{key}", (*path, key), item, kind)
                frame.steady += 1

    def _name(self, call: _Call, channel: str, name: object, path: Path, frame: _Frame) -> None:
        if not isinstance(name, str):
            _refuse(path, "a string was expected")
        if not name:
            return
        if name in self._tools and not call.spelled:
            call.is_named = True
            frame.say_whole(path, name)
        elif call.is_named:
            _refuse(path, "a name goes on after it was complete")
        else:
            call.spelled = True
            frame.say(f"{channel}/name", path, name)

    def _end_name(self, call: _Call, channel: str, frame: _Frame) -> None:
        if call.spelled and not call.is_named:
            frame.ended.append(f"{channel}/name")
        call.is_named = True

    def _unknown(
        self,
        value: object,
        path: Path,
        key: str,
        channel: str,
        frame: _Frame,
        kind: TextKind = TextKind.PLAIN,
    ) -> None:
        """What the API does not name, within a choice: it may go on from frame to frame on its own path.

        Or each frame says another (a citation): so it is looked at for itself, and joined.
        """
        if isinstance(value, str) and value in SELECTING.get(key, ()):
            return
        self._key(path, frame)
        if value is not None and (key in _CLEARED or _is_numbers(value)):
            frame.cleared.append(path)
        elif isinstance(value, str):
            self._parts += 1
            frame.say_unnamed(channel, path, value, f"{channel}/~{self._parts}", kind)
        elif isinstance(value, dict):
            for name, item in value.items():
                self._unknown(item, (*path, name), name, f"{channel}/{escaped(name)}", frame, kind)
        elif isinstance(value, list):
            for i, item in enumerate(value):
                self._unknown(item, (*path, i), key, f"{channel}/{i}", frame, kind)
        elif _is_number(value) and not (key in _COUNTS and abs(value) < _TELLING):
            frame.cleared.append(path)

    def _aside(self, value: object, path: Path, key: str, frame: _Frame) -> None:
        """What stands beside the choices, under `key`: complete in each frame, since no client joins it."""
        self._key(path, frame)
        if value is not None and (key in _CLEARED or _is_numbers(value)):
            frame.cleared.append(path)
        elif isinstance(value, str):
            if not selects(key, value):
                frame.say_whole(path, value)
        elif isinstance(value, dict):
            for name, item in value.items():
                if not (name in _UNTOLD and type(item) is int and -_TELLING < item < _TELLING):
                    self._aside(item, (*path, name), name, frame)
        elif isinstance(value, list):
            for i, item in enumerate(value):
                self._aside(item, (*path, i), key, frame)
        elif isinstance(value, _NUMBER) and abs(value) >= _TELLING:
            frame.say_number(path, value)

    def _key(self, path: Path, frame: _Frame) -> None:
        key = path[-1]
        if isinstance(key, str) and key not in KEYS:
            frame.say_whole(path, key, is_key=True)


def _index(value: object, path: Path) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= MAX_INDEX:
        _refuse((*path, "index"), f"a whole number from 0 to {MAX_INDEX} was expected")
    return value


def _usage(value: object) -> Usage | None:
    if not isinstance(value, dict):
        return None
    prompt, completion = value.get("prompt_tokens"), value.get("completion_tokens")
    if isinstance(prompt, int) and isinstance(completion, int):
        return Usage(prompt_tokens=prompt, completion_tokens=completion)
    return None


def _is_number(value: object) -> TypeGuard[int | float]:
    return isinstance(value, _NUMBER) and not isinstance(value, bool)


def _is_numbers(value: object) -> bool:
    return isinstance(value, list) and any(_is_number(item) for item in value)
