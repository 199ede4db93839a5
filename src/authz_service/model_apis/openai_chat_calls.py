"""The tool calls of a choice of a chat completion: names, and arguments as they come in pieces."""

from __future__ import annotations

from typing import Any

from authz_service.model_apis.answer_frame import stated_index
from authz_service.model_apis.openai_chat_choice import Call, Choice
from authz_service.model_apis.openai_chat_frame import ChatFrame, refuse
from authz_service.model_apis.openai_chat_unnamed import UnnamedTexts
from authz_service.model_apis.openai_words import CHAT_WORDS, KEYS
from authz_service.view.pointer import escaped
from authz_service.view.request import Path, TextKind


class CallReader:
    """Reads what a model calls of the `tools` of its request, and of others, whose names may go on."""

    def __init__(self, tools: frozenset[str], unnamed: UnnamedTexts) -> None:
        self._tools = tools
        self._unnamed = unnamed

    def read(self, choice: Choice, value: object, path: Path, frame: ChatFrame) -> None:
        """What a frame says of the calls in a choice's `tool_calls`."""
        if not isinstance(value, list):
            refuse(path, "a list was expected")
        for i, item in enumerate(value):
            if not isinstance(item, dict):
                refuse((*path, i), "an object was expected")
            is_placed = choice.source == "message"
            index = i
            if not is_placed or item.get("index") is not None:
                stated = stated_index(item.get("index"), CHAT_WORDS, (*path, i))
                index = i if is_placed else stated
            call = choice.calls.setdefault(index, Call())
            self._tool_call(call, f"{choice.channel}/tool_calls/{index}", item, (*path, i), frame)

    def _tool_call(
        self, call: Call, channel: str, value: dict[str, Any], path: Path, frame: ChatFrame
    ) -> None:
        for key, item in value.items():
            if key == "index" or (item is None and key in KEYS):
                continue
            if key == "id" and isinstance(item, str):
                frame.say_whole((*path, key), item)
            elif key in ("function", "custom"):
                self.read_function(call, channel, item, (*path, key), frame)
            else:
                self._unnamed.read(
                    item, (*path, key), key, f"{channel}/~/{escaped(key)}", frame, TextKind.ARGUMENT
                )

    def read_function(self, call: Call, channel: str, value: object, path: Path, frame: ChatFrame) -> None:
        """What one call calls, and what with."""
        if not isinstance(value, dict):
            refuse(path, "an object was expected")
        if value.get("name") is not None:  # before the arguments, wherever it stands: they end it
            self._name(call, channel, value["name"], (*path, "name"), frame)
        for key, item in value.items():
            if key == "name" or (item is None and key in KEYS):
                continue
            if key not in ("arguments", "input"):
                self._unnamed.read(
                    item, (*path, key), key, f"{channel}/~/{escaped(key)}", frame, TextKind.ARGUMENT
                )
                continue
            if not isinstance(item, str):
                refuse((*path, key), "a string was expected")
            if item:
                _end_name(call, channel, frame)
                kind = TextKind.JSON if key == "arguments" else TextKind.ARGUMENT
                frame.say(f"{channel}/{key}", (*path, key), item, kind)
                frame.steady += 1

    def _name(self, call: Call, channel: str, name: object, path: Path, frame: ChatFrame) -> None:
        if not isinstance(name, str):
            refuse(path, "a string was expected")
        if not name:
            return
        if name in self._tools and not call.spelled:
            call.is_named = True
            frame.say_whole(path, name)
        elif call.is_named:
            refuse(path, "a name goes on after it was complete")
        else:
            call.spelled = True
            frame.say(f"{channel}/name", path, name)


def _end_name(call: Call, channel: str, frame: ChatFrame) -> None:
    if call.spelled and not call.is_named:
        frame.ended.append(f"{channel}/name")
    call.is_named = True
