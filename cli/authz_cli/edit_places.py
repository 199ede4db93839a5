"""Which texts of a request an editor gets: those of its turns, as the service has laid them out."""

from __future__ import annotations

from collections.abc import Iterator

from authz_api.v1 import holds_pb2
from authz_cli.edit_form import Place
from authz_cli.outline import Json, Number

_SAID = frozenset((holds_pb2.PART_KIND_TEXT, holds_pb2.PART_KIND_REASONING, holds_pb2.PART_KIND_REFUSAL))
_LABELS = frozenset(
    {"type", "id", "name", "role", "status", "call_id", "tool_call_id", "tool_use_id", "tool_name"}
    | {"approval_request_id", "item_id", "server_label", "server_name", "namespace"}
)
"""Members of a call or a result that say what it is, not what is in it."""
_WRAPPED = frozenset({"function", "custom"})
"""Members of a call that have its name and its arguments."""


def texts_of_turns(said: holds_pb2.Conversation, document: Json) -> list[tuple[Place, str]]:
    """The texts of `document` that are said in its turns, that tools are called with or have returned.

    By their places. Not among them are ids, names, media and fields, nor what is beside the turns.
    """
    return [text for turn in said.turns for part in turn.parts for text in _texts(part, document)]


def _texts(part: holds_pb2.Part, document: Json) -> Iterator[tuple[Place, str]]:
    found = _at(document, part.path)
    if found is None:
        return
    place, value = found
    if part.kind in _SAID:
        yield from _items(value, place)
    elif part.kind == holds_pb2.PART_KIND_TOOL_CALL:
        yield from _members(value, place, is_call=True)
    elif part.kind == holds_pb2.PART_KIND_TOOL_RESULT:
        yield from _members(value, place, is_call=False)


def _at(document: Json, pointer: str) -> tuple[Place, Json] | None:
    """The place that a JSON pointer (RFC 6901) names, and what stands there; None where nothing does."""
    place: Place = ()
    for step in pointer.split("/")[1:]:
        name = step.replace("~1", "/").replace("~0", "~")
        if isinstance(document, dict) and name in document:
            place, document = (*place, name), document[name]
        elif isinstance(document, list) and name.isdecimal() and int(name) < len(document):
            place, document = (*place, int(name)), document[int(name)]
        else:
            return None
    return place, document


def _items(value: Json, place: Place) -> Iterator[tuple[Place, str]]:
    """A text, or those of a list."""
    if isinstance(value, str) and not isinstance(value, Number):
        yield place, value
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _items(item, (*place, index))


def _members(value: Json, place: Place, *, is_call: bool) -> Iterator[tuple[Place, str]]:
    if not isinstance(value, dict):
        yield from _items(value, place)
        return
    for key, item in value.items():
        here = (*place, key)
        if key in _LABELS:
            continue
        if is_call and key in _WRAPPED:
            yield from _members(item, here, is_call=True)
        else:
            yield from _arguments(item, here) if is_call else _returned(item, here)


def _arguments(value: Json, place: Place) -> Iterator[tuple[Place, str]]:
    """Every text of what a tool is called with, however deep."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _arguments(item, (*place, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _arguments(item, (*place, index))
    else:
        yield from _items(value, place)


def _returned(value: Json, place: Place) -> Iterator[tuple[Place, str]]:
    """What a tool returned: a text, or parts that have one; images and files have none."""
    if isinstance(value, list):
        for index, item in enumerate(value):
            yield from _returned(item, (*place, index))
    elif isinstance(value, dict):
        yield from _items(value.get("text"), (*place, "text"))
    else:
        yield from _items(value, place)
