"""Reads chat completion answers, whole or streamed: every text, each on the channel that it continues."""

from __future__ import annotations

from authz_service.model_apis.answer_frame import require_each_once, stated_index
from authz_service.model_apis.logprobs import beside_message
from authz_service.model_apis.numbers import YEAR_5000, is_numbers
from authz_service.model_apis.openai_chat_calls import CallReader
from authz_service.model_apis.openai_chat_choice import PROSE, Call, Choice
from authz_service.model_apis.openai_chat_frame import ChatFrame, refuse
from authz_service.model_apis.openai_chat_unnamed import UnnamedTexts, read_aside
from authz_service.model_apis.openai_words import CHAT_WORDS, KEYS, SELECTING
from authz_service.view.answer import AnswerField, AnswerFrame, Form, Usage, Varying
from authz_service.view.pointer import escaped
from authz_service.view.request import Path, RequestView, TextKind

_OBFUSCATED = (Varying(("obfuscation",), Form.TEXT),)
"""What hides how long a text is from those who see no more than the length of events."""


class ChatAnswerReader:
    """The frames of one answer, in order.

    Each choice speaks either by `delta` (a piece) or by one `message` (whole), never both: the same text
    said twice would be judged as one text, cut where nobody cuts it. Channels are named
    `choices/{index}/content`, `.../tool_calls/{index}/arguments` and so on, by the indexes that the
    answer states, not by its places. `Unreadable` (502) for anything else.
    """

    def __init__(self, request: RequestView) -> None:
        self._choices: dict[int, Choice] = {}
        self._beside: dict[str, AnswerField] = {}
        self._unnamed = UnnamedTexts()
        self._calls = CallReader(frozenset(request.tools), self._unnamed)

    def read(self, document: object) -> AnswerFrame:
        """The texts of the next frame."""
        if not isinstance(document, dict):
            refuse((), "an object was expected")
        if "choices" not in document and "error" not in document and document.get("object") != "error":
            refuse((), "it has neither choices nor an error")
        frame = ChatFrame()
        for key, value in document.items():
            if key == "choices":
                self._read_choices(value, frame)
            elif isinstance(value, str) and key in KEYS:  # as below, but quicker: they come with every frame
                if value and value not in SELECTING.get(key, ()):
                    frame.fields.append(self._beside_choices(key, value))
            elif key == "created" and isinstance(value, int) and 0 <= value < YEAR_5000:
                continue
            else:
                if key == "usage":
                    frame.usage = _usage(value)
                read_aside(value, (key,), key, frame)
        frame.closes = frame.closes or not document.get("choices")
        return AnswerFrame(
            tuple(frame.fields),
            frame.usage,
            tuple(frame.cleared),
            tuple(frame.ended),
            tuple(frame.paused),
            frame.closes,
            frame.repeats,
            varies=_OBFUSCATED if isinstance(document.get("obfuscation"), str) else (),
        )

    def _beside_choices(self, key: str, text: str) -> AnswerField:
        """A whole text at the root, which is mostly that of the last frame."""
        said = self._beside.get(key)
        if said is None or said.text != text:
            said = self._beside[key] = AnswerField("", (key,), text, TextKind.PLAIN, False, True)
        return said

    def _read_choices(self, value: object, frame: ChatFrame) -> None:
        if value is None:
            return
        if not isinstance(value, list):
            refuse(("choices",), "a list was expected")
        waits = False
        for i, item in enumerate(value):
            choice = self._read_choice(item, ("choices", i), frame)
            if frame.unnamed or choice.unnamed.under_way:
                frame.ended.extend(choice.unnamed.over("", frame.unnamed, frame.empty))
                waits = waits or choice.unnamed.waits("")
                frame.unnamed.clear()
                frame.empty.clear()
        if len(value) > 1:
            require_each_once([item["index"] for item in value], CHAT_WORDS, ("choices",))
        if waits:
            frame.steady = 0  # how many frames it waits is to be counted

    def _read_choice(self, value: object, path: Path, frame: ChatFrame) -> Choice:
        """Read what a frame says of one choice."""
        if not isinstance(value, dict):
            refuse(path, "an object was expected")
        index = stated_index(value.get("index"), CHAT_WORDS, path)
        if "delta" in value and "message" in value:
            refuse(path, "it has both a delta and a message")
        source = "message" if "message" in value else "delta"
        choice = self._choices.get(index)
        if choice is None:
            choice = self._choices[index] = Choice(f"choices/{index}", source)
        if choice.source != source or choice.is_complete:
            refuse(path, "the choice was said already in another form, or twice")
        choice.is_complete = source == "message"
        frame.closes = frame.closes or value.get("finish_reason") is not None
        for key, item in value.items():
            if key == source:
                self._read_piece(choice, item, (*path, key), frame)
            elif key == "logprobs" and item:
                continue
            elif key != "index" and not (item is None and key in KEYS):
                self._unnamed.read(item, (*path, key), key, f"{choice.channel}/~/{escaped(key)}", frame)
        if value.get("logprobs"):
            beside_message(value["logprobs"], (*path, "logprobs"), (*path, source), frame)
            frame.steady = 0  # they are compared with the text, so that each frame must be read
        if choice.is_complete:
            frame.steady = 0
        return choice

    def _read_piece(self, choice: Choice, value: object, path: Path, frame: ChatFrame) -> None:
        if value is None:
            return
        if not isinstance(value, dict):
            refuse(path, "an object was expected")
        prose: set[str] = set()
        for key, item in value.items():
            if item is None and key in KEYS:
                continue
            if key in PROSE and isinstance(item, str):
                if item:
                    prose.add(key)
                    frame.say(f"{choice.channel}/{key}", (*path, key), item)
                    frame.steady += 1
            elif key in PROSE and not isinstance(item, list | dict):
                refuse((*path, key), "a string was expected")
            elif key == "content" and isinstance(item, list) and not is_numbers(item):
                prose.update([key] if item else ())
                for i, part in enumerate(item):
                    self._part(choice, i, part, (*path, key, i), frame)
            elif key == "tool_calls":
                self._calls.read(choice, item, (*path, key), frame)
            elif key == "function_call":
                choice.call = choice.call or Call()
                self._calls.read_function(choice.call, f"{choice.channel}/{key}", item, (*path, key), frame)
            else:
                self._unnamed.read(
                    item, (*path, key), key, f"{choice.channel}/~{choice.source}/{escaped(key)}", frame
                )
        if prose or value.get("tool_calls") or value.get("function_call"):
            frame.paused.extend(choice.turn(prose))

    def _part(self, choice: Choice, index: int, value: object, path: Path, frame: ChatFrame) -> None:
        """A part of a content that is a list: its text goes on with the parts before it."""
        channel = f"{choice.channel}/~{choice.source}/content/{index}"
        if not isinstance(value, dict) or not isinstance(value.get("text"), str):
            self._unnamed.read(value, path, "content", channel, frame)
            return
        if value["text"]:
            if index < choice.part:
                refuse(path, "a part goes on after another has begun")
            choice.part = index
        content = f"{choice.channel}/content"
        frame.say_part(content, (*path, "text"), value["text"], f"{content}/{index}")
        for key, item in value.items():
            if key != "text":
                self._unnamed.read(item, (*path, key), key, f"{channel}/{escaped(key)}", frame)


def _usage(value: object) -> Usage | None:
    if not isinstance(value, dict):
        return None
    prompt, completion = value.get("prompt_tokens"), value.get("completion_tokens")
    if isinstance(prompt, int) and isinstance(completion, int):
        return Usage(prompt_tokens=prompt, completion_tokens=completion)
    return None
