"""Reads answers of OpenAI's responses, whole or streamed: each text on a channel named by its place."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from authz_service.model_apis.answer_frame import LARGEST_INDEX, Unnamed, unreadable
from authz_service.model_apis.numbers import YEAR_5000
from authz_service.model_apis.openai_responses_places import Places
from authz_service.model_apis.openai_responses_told import UNREAD, ToldTexts, is_media, kind_of
from authz_service.model_apis.openai_responses_words import EVENT_KEYS, RESPONSES_WORDS
from authz_service.view.answer import AnswerFrame, Form, Usage
from authz_service.view.kept import Kept, Result
from authz_service.view.pointer import escaped
from authz_service.view.request import Path, TextKind

_TEXTS: Mapping[str, tuple[str, str]] = {
    "response.output_text": ("content", "text"),
    "response.refusal": ("content", "refusal"),
    "response.reasoning_text": ("content", "text"),
    "response.reasoning_summary_text": ("summary", "text"),
    "response.function_call_arguments": ("", "arguments"),
    "response.mcp_call_arguments": ("", "arguments"),
    "response.custom_tool_call_input": ("", "input"),
    "response.code_interpreter_call_code": ("", "code"),
    "response.shell_call_command": ("action/commands", "command"),
}
"""What streams in deltas: where in its item the text stands, and its key in the event that ends it."""

_PARTS = {
    "response.content_part": "content",
    "response.reasoning_part": "content",
    "response.reasoning_summary_part": "summary",
}
_INDEXES = {"content": "content_index", "summary": "summary_index", "action/commands": "command_index"}

_WHOLE = frozenset(
    f"response.{state}" for state in ("created", "queued", "in_progress", "completed", "incomplete", "failed")
)
_LAST = frozenset(("response.completed", "response.incomplete", "response.failed", "error"))
MOST_KEPT = 1000
"""Results of one answer whose names are told; whatever has a name beyond them is nobody's."""
_TIMES = frozenset(("created_at", "completed_at", "failed_at"))


class ResponsesAnswerReader:
    """The frames of one answer, in order: one whole response, or the events of a stream.

    A stream tells most texts several times: in deltas, at the end of a part, of an item, and of the
    response. Each telling is read for itself. Channels are named `items/{number}/{path in the item}`.
    `Unreadable` (502) for what is no answer of this dialect.
    """

    def __init__(self) -> None:
        self._frames = 0
        self._places = Places()
        self._unnamed = Unnamed()
        self._kept: dict[Kept, bool] = {}
        """What the server keeps by the names that were told, and whether a frame has told it before this."""
        self._is_new = False
        self._is_over = False

    def read(self, document: object) -> AnswerFrame:
        """The texts of the next frame."""
        if not isinstance(document, dict) or self._is_over:
            unreadable(RESPONSES_WORDS, (), "one response was expected, or an event of one")
        texts = ToldTexts(self._frames, RESPONSES_WORDS, UNREAD, places=self._places)
        self._frames += 1
        kind = document.get("type")
        if isinstance(kind, str):
            self._event(kind, document, texts)
        elif document.get("object") == "response" and self._frames == 1:
            self._is_over = True
            self._response(document, (), texts)
        elif document.get("error"):
            self._aside(document, texts)
            texts.closes = True
        else:
            unreadable(RESPONSES_WORDS, (), "a response was expected, or an event of one")
        if texts.closes:
            self._places.end_all(texts)
        frame = texts.frame()
        return frame._replace(kept=self._new()) if self._is_new else frame

    def _keep(self, result: Result, value: object) -> None:
        """The server keeps what it names so: by an id, or by an object that has one."""
        said = value.get("id") if isinstance(value, dict) else value
        if isinstance(said, str) and said and len(self._kept) < MOST_KEPT:
            self._is_new = not self._kept.setdefault(Kept(result, said), False) or self._is_new

    def _new(self) -> tuple[Kept, ...]:
        new = tuple(kept for kept, is_told in self._kept.items() if not is_told)
        self._kept = dict.fromkeys(self._kept, True)
        self._is_new = False
        return new

    def _event(self, kind: str, event: Mapping[str, Any], texts: ToldTexts) -> None:
        name, _, what = kind.rpartition(".")
        texts.closes = kind in _LAST
        if kind in _WHOLE and isinstance(event.get("response"), dict):
            self._response(event["response"], ("response",), texts)
            self._aside(event, texts, "response")
        elif name == "response.output_item" and isinstance(event.get("item"), dict):
            item = event["item"]
            begins = what == "added"
            number = self._places.item(
                item.get("id"), event.get("output_index"), texts, kind=item.get("type"), begins=begins
            )
            texts.item(item, ("item",), number, begins=begins)
            self._keep(Result.ITEM, item.get("id"))
            if what == "done":
                self._places.end_item(number, texts)
            self._beside(event, texts, number, "item")
            if what == "done":
                texts.end_unnamed(self._unnamed, f"items/{number}")
        elif name in _PARTS and isinstance(event.get("part"), dict):
            self._part(_PARTS[name], what, event, texts)
        elif name in _TEXTS:
            self._text(*_TEXTS[name], what, event, texts)
        elif what == "delta":
            self._delta(name, event, texts)
        else:
            self._aside(event, texts)

    def _response(self, response: Mapping[str, Any], path: Path, texts: ToldTexts) -> None:
        self._keep(Result.RESPONSE, response.get("id"))
        self._keep(Result.CONVERSATION, response.get("conversation"))
        for key, value in response.items():
            if key == "output" and isinstance(value, list):
                for i, item in enumerate(value):
                    if not isinstance(item, dict):
                        unreadable(RESPONSES_WORDS, (*path, key, i), "an object was expected")
                    number = self._places.item(item.get("id"), i, texts, kind=item.get("type"), is_list=True)
                    texts.item(item, (*path, key, i), number)
                    self._keep(Result.ITEM, item.get("id"))
                    if texts.closes or not path:
                        self._places.end(f"items/{number}/", texts)
            elif not (key in _TIMES and isinstance(value, int | float) and 0 <= value < YEAR_5000):
                texts.aside(value, (*path, key))
        texts.usage = _usage(response.get("usage"))
        texts.closes = texts.closes or not path

    def _part(self, where: str, what: str, event: Mapping[str, Any], texts: ToldTexts) -> None:
        number = self._places.item(event.get("item_id"), event.get("output_index"), texts)
        index = event.get(_INDEXES[where])
        place = self._places.part(number, where, index, texts, begins=what == "added")
        texts.part(event["part"], ("part",), place, begins=what == "added")
        if what == "done":
            self._places.end(f"{place}/", texts)
        self._beside(event, texts, number, "part")

    def _text(self, where: str, key: str, what: str, event: Mapping[str, Any], texts: ToldTexts) -> None:
        number = self._places.item(event.get("item_id"), event.get("output_index"), texts)
        if where:
            place = self._places.part(number, where, event.get(_INDEXES[where]), texts)
            place = place if key == "command" else f"{place}/{key}"
        else:
            place = f"items/{number}/{key}"
        said = key if what in ("done", "added") else "delta"
        value = event.get(said)
        if value is not None and not isinstance(value, str):
            unreadable(RESPONSES_WORDS, (said,), "a string was expected")
        if what == "done":
            self._places.end(place, texts)
        if value:
            kind = kind_of((where.partition("/")[0] or key,))
            begins = what != "done"
            texts.tell(place, (said,), value, kind, goes_on=begins, logprobs=event.get("logprobs"))
        elif event.get("logprobs"):
            texts.cleared.append(("logprobs",))
        self._beside(event, texts, number, said, "logprobs")
        if what == "delta":
            texts.steady = not self._unnamed.under_way
            texts.may_vary(("sequence_number",), event.get("sequence_number"), Form.COUNT)
            texts.may_vary(("obfuscation",), event.get("obfuscation"), Form.TEXT)

    def _delta(self, name: str, event: Mapping[str, Any], texts: ToldTexts) -> None:
        """Of a kind that nobody named, or of several texts: each goes on by its place in the event."""
        number = self._places.item(event.get("item_id"), event.get("output_index"), texts)
        indexes = [f"{escaped(key)}={value}" for key, value in sorted(event.items()) if _is_index(key, value)]
        value = event.get("delta")
        if is_media(name) and value is not None:
            texts.cleared.append(("delta",))
        else:
            kind = TextKind.ARGUMENT if "_call" in name else TextKind.PLAIN
            place = "/".join((f"items/{number}/~", escaped(name), *indexes))
            texts.go_on(value, ("delta",), place, kind)
        self._beside(event, texts, number, "delta")

    def _beside(self, event: Mapping[str, Any], texts: ToldTexts, number: int, *read: str) -> None:
        """What an event says beside a text or an item: the next event about the item may go on with it."""
        for key, value in event.items():
            if key in read or (key == "type" and isinstance(value, str) and _is_known(value)):
                continue
            if key in EVENT_KEYS:
                texts.aside(value, (key,))
            else:
                texts.say_on(f"items/{number}/~~", (key,), value)
        texts.end_unnamed(self._unnamed, f"items/{number}")

    def _aside(self, event: Mapping[str, Any], texts: ToldTexts, *read: str) -> None:
        for key, value in event.items():
            if key not in read and not (key == "type" and isinstance(value, str) and _is_known(value)):
                texts.aside(value, (key,))


def _is_known(kind: str) -> bool:
    return RESPONSES_WORDS.selects("type", kind)


def _is_index(key: str, value: object) -> bool:
    is_index = isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= LARGEST_INDEX
    return is_index and key.endswith("_index") and key != "output_index"


def _usage(value: object) -> Usage | None:
    if not isinstance(value, dict):
        return None
    prompt, completion = value.get("input_tokens"), value.get("output_tokens")
    if isinstance(prompt, int) and isinstance(completion, int):
        return Usage(prompt_tokens=prompt, completion_tokens=completion)
    return None
