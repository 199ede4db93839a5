"""Reads answers of Anthropic's messages, whole or streamed: each block's text on channels of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from authz_service.model_apis.answer_frame import FrameTexts, Unnamed, stated_index, unreadable
from authz_service.model_apis.anthropic_words import MESSAGES_WORDS
from authz_service.view.answer import AnswerFrame, Usage
from authz_service.view.request import Path, TextKind

_UNREAD = frozenset(("logprobs", "tokens", "token_ids", "completion_probabilities"))

_DELTAS = {
    "text_delta": ("text", TextKind.PLAIN),
    "thinking_delta": ("thinking", TextKind.PLAIN),
    "input_json_delta": ("partial_json", TextKind.JSON),
    "signature_delta": ("signature", TextKind.PLAIN),
}
"""The kinds of deltas that go on with a text: the key of the text, and how it is read."""

_GOES_ON = frozenset(("text", "thinking", "signature"))
"""Strings of a block's start that its deltas go on with."""

_KNOWN = frozenset(("text", "thinking", "redacted_thinking", "tool_use", "server_tool_use", "mcp_tool_use"))
"""Kinds of blocks in whose start nothing else goes on."""

_PROMPT = ("input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens")
"""What the tokens of a prompt are the sum of."""


class MessagesAnswerReader:
    """The frames of one answer, in order: one whole message, or the events of a stream.

    Channels are named `blocks/{index}/{key}`. Blocks of text that follow each other are parts of one, by the
    name of the first. A block that was stopped, or never began, says nothing:
    `Unreadable` (502), as for anything else that is not an answer of this dialect.
    """

    def __init__(self) -> None:
        self._frames = 0
        self._open: dict[int, set[str]] = {}
        """The channels of each block that has begun and was not stopped."""
        self._seen: set[int] = set()
        self._unnamed = Unnamed()
        self._text = ""
        """The channel of the blocks of text that follow each other, if the last block is one."""
        self._is_whole: bool | None = None
        self._prompt_tokens = 0

    def read(self, document: object) -> AnswerFrame:
        """The texts of the next frame."""
        if not isinstance(document, dict):
            unreadable(MESSAGES_WORDS, (), "an object was expected")
        texts = FrameTexts(self._frames, MESSAGES_WORDS, _UNREAD)
        self._frames += 1
        kind = document.get("type")
        self._check_form(is_whole=kind == "message")
        match kind:
            case "message":
                self._message(document, (), texts)
                texts.closes = True
            case "message_start":
                self._start(document, texts)
            case "content_block_start":
                self._block_start(document, texts)
            case "content_block_delta":
                self._block_delta(document, texts)
            case "content_block_stop":
                self._block_stop(document, texts)
            case "message_delta" | "message_stop" | "error":
                self._end(document, texts)
            case "ping":
                texts.aside(document, ())
            case _:
                unreadable(MESSAGES_WORDS, ("type",), "an event of a message was expected")
        return texts.frame()

    def _check_form(self, *, is_whole: bool) -> None:
        if self._is_whole is True or (is_whole and self._is_whole is not None):
            unreadable(MESSAGES_WORDS, (), "the message was said already, or in another form")
        self._is_whole = is_whole

    def _message(self, message: Mapping[str, Any], path: Path, texts: FrameTexts) -> None:
        """All of a message that was said at once; what its blocks say is complete in this frame."""
        for key, value in message.items():
            if key == "usage":
                self._usage(value, texts)
            if key == "content" and isinstance(value, list):
                _whole_blocks(value, (*path, key), texts)
            else:
                texts.aside(value, (*path, key))

    def _start(self, event: Mapping[str, Any], texts: FrameTexts) -> None:
        message = event.get("message")
        if not isinstance(message, dict) or message.get("content"):
            unreadable(MESSAGES_WORDS, ("message",), "a message without content was expected")
        self._message(message, ("message",), texts)
        _beside(event, "message", texts)

    def _block_start(self, event: Mapping[str, Any], texts: FrameTexts) -> None:
        index, block = stated_index(event.get("index"), MESSAGES_WORDS, ()), event.get("content_block")
        if not isinstance(block, dict) or index in self._seen:
            unreadable(MESSAGES_WORDS, ("content_block",), "a block that begins was expected")
        self._seen.add(index)
        self._begin(index, is_text=isinstance(block.get("text"), str), texts=texts)
        for key, value in block.items():
            path: Path = ("content_block", key)
            if key in _GOES_ON and value is not None:  # joined with a string even a number makes a text
                self._say(index, key, path, value, TextKind.PLAIN, texts)
            elif key == "type" or str(block.get("type")) in _KNOWN:
                texts.aside(value, path, _kind(key))
            else:
                texts.say_on(f"blocks/{index}/~", path, value, _kind(key))
        texts.end_unnamed(self._unnamed, f"blocks/{index}")
        _beside(event, "content_block", texts)

    def _begin(self, index: int, *, is_text: bool, texts: FrameTexts) -> None:
        """A block joins the texts before it, unless one of these is under way, or it is none."""
        is_used = any(self._text in channels for channels in self._open.values())
        if self._text and not is_text and not is_used:
            texts.end(self._text)
        if not is_text:
            self._text = ""
        elif not self._text or is_used:
            self._text = f"blocks/{index}/text"
        self._open[index] = {self._text} if is_text else set()

    def _block_delta(self, event: Mapping[str, Any], texts: FrameTexts) -> None:
        index, delta = stated_index(event.get("index"), MESSAGES_WORDS, ()), event.get("delta")
        if not isinstance(delta, dict) or index not in self._open:
            unreadable(MESSAGES_WORDS, ("delta",), "a piece of a block that is under way was expected")
        carrier, kind = _DELTAS.get(str(delta.get("type")), ("", TextKind.PLAIN))
        for key, value in delta.items():
            if key == carrier:
                self._say(index, key, ("delta", key), value, kind, texts)
                texts.steady = True
            elif key == "type":
                texts.aside(value, ("delta", key))
            else:
                texts.say_on(f"blocks/{index}/~", ("delta", key), value)
        texts.end_unnamed(self._unnamed, f"blocks/{index}")
        texts.steady = texts.steady and not self._unnamed.under_way
        _beside(event, "delta", texts)

    def _say(
        self, index: int, key: str, path: Path, value: object, kind: TextKind, texts: FrameTexts
    ) -> None:
        if key == "text":
            channel = next((name for name in self._open[index] if name.endswith("/text")), "")
            channel = channel or f"blocks/{index}/text"
        else:
            channel = f"blocks/{index}/{key}"
        self._open[index].add(channel)
        texts.say(channel, path, value, kind, part=f"blocks/{index}/text" if key == "text" else "")

    def _block_stop(self, event: Mapping[str, Any], texts: FrameTexts) -> None:
        index = stated_index(event.get("index"), MESSAGES_WORDS, ())
        channels = self._open.pop(index, None)
        if channels is None:
            unreadable(MESSAGES_WORDS, ("index",), "a block that is under way was expected")
        for channel in sorted(channels - {self._text}):
            texts.end(channel)
        texts.end_unnamed(self._unnamed, f"blocks/{index}")
        _beside(event, "", texts)

    def _end(self, event: Mapping[str, Any], texts: FrameTexts) -> None:
        self._usage(event.get("usage"), texts)
        texts.closes = True
        if self._text and not self._open:
            texts.end(self._text)
            self._text = ""
        texts.aside(event, ())

    def _usage(self, value: object, texts: FrameTexts) -> None:
        """A stream says the prompt's tokens at its start, and those of the answer so far at its end."""
        if not isinstance(value, dict):
            return
        if isinstance(value.get("input_tokens"), int):  # those of the prompt that no cache had
            self._prompt_tokens = sum(value[key] for key in _PROMPT if isinstance(value.get(key), int))
        completion = value.get("output_tokens")
        if isinstance(completion, int):
            texts.usage = Usage(prompt_tokens=self._prompt_tokens, completion_tokens=completion)


class CountReader:
    """The answer of token counting: nothing in it is anybody's text, and all of it is looked at."""

    def read(self, document: object) -> AnswerFrame:
        """What there is, complete in its frame."""
        texts = FrameTexts(0, MESSAGES_WORDS, _UNREAD)
        texts.aside(document, ())
        return texts.frame()


def _whole_blocks(blocks: Sequence[object], path: Path, texts: FrameTexts) -> None:
    channel = ""
    for i, block in enumerate(blocks):
        here = (*path, i)
        if not isinstance(block, dict):
            unreadable(MESSAGES_WORDS, here, "an object was expected")
        is_text = block.get("text") is not None  # joined with a string even a number makes a text
        channel = (channel or f"blocks/{i}/text") if is_text else ""
        for key, value in block.items():
            if key == "text" and is_text:
                texts.say(channel, (*here, key), value, part=f"blocks/{i}/text")
            else:
                texts.aside(value, (*here, key), _kind(key))


def _kind(key: str) -> TextKind:
    return TextKind.ARGUMENT if key == "input" else TextKind.PLAIN


def _beside(event: Mapping[str, Any], read: str, texts: FrameTexts) -> None:
    """What an event says beside its own member."""
    for key, value in event.items():
        if key != read:
            texts.aside(value, (key,))
