"""Where a dialect's requests have what is said, and what each part of that is, by its type."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeGuard

from authz_service.view.request import Path, Role
from authz_service.view.turns import Part, PartKind, Turn

_TEXTS: Final[Mapping[str, tuple[PartKind, str]]] = {
    "text": (PartKind.TEXT, "text"),
    "input_text": (PartKind.TEXT, "text"),
    "output_text": (PartKind.TEXT, "text"),
    "refusal": (PartKind.REFUSAL, "refusal"),
    "thinking": (PartKind.REASONING, "thinking"),
    "summary_text": (PartKind.REASONING, "text"),
    "reasoning_text": (PartKind.REASONING, "text"),
}
"""The types of parts that are a text, and the key under which it stands."""

_TYPES: Final[Mapping[str, PartKind]] = {
    **dict.fromkeys(("tool_use", "server_tool_use", "mcp_tool_use"), PartKind.TOOL_CALL),
    **dict.fromkeys(("tool_result", "mcp_tool_result"), PartKind.TOOL_RESULT),
    "redacted_thinking": PartKind.REASONING,
    **dict.fromkeys(("image", "image_url", "input_image"), PartKind.MEDIA),
    **dict.fromkeys(("audio", "audio_url", "input_audio", "video", "video_url"), PartKind.MEDIA),
    **dict.fromkeys(("file", "input_file", "document"), PartKind.MEDIA),
}
"""The types of other parts; one of no known type is a field."""

_MEMBERS: Final[Mapping[str, PartKind]] = {
    **dict.fromkeys(("reasoning", "reasoning_content", "thinking"), PartKind.REASONING),
    **dict.fromkeys(("images", "audio"), PartKind.MEDIA),
    "refusal": PartKind.REFUSAL,
    "function_call": PartKind.TOOL_CALL,
}
"""What members of a message are, beside its content and its list of calls."""

_NAMES: Final = ("name", "tool_name", "call_id", "tool_call_id", "tool_use_id", "approval_request_id", "type")
"""What a call, a result or a tool is named by: the first of these that it has."""


@dataclass(frozen=True, slots=True)
class TurnPlaces:
    """Where the requests of an operation have what is said.

    `messages` are members with a list of messages, and the roles that these have; `items` likewise, of which
    each says by its type what it is; `tensors` are members with a list of tensors, and who speaks in those;
    `texts` are members with a text, several, or a list of parts, and who speaks in it. A member may be in two
    of them.
    """

    messages: Mapping[str, Mapping[str, Role]] = field(default_factory=dict)
    items: Mapping[str, Mapping[str, Role]] = field(default_factory=dict)
    texts: Mapping[str, Role] = field(default_factory=dict)
    tensors: Mapping[str, Role] = field(default_factory=dict)

    def turns(self, document: object) -> Iterator[Turn]:
        """The turns of a request that was read, in the order of the document."""
        for key, value in document.items() if isinstance(document, dict) else ():
            if isinstance(value, list) and key in self.messages:
                yield from (_message(item, (key, i), self.messages[key]) for i, item in enumerate(value))
            elif isinstance(value, list) and key in self.items:
                yield from (_item(item, (key, i), self.items[key]) for i, item in enumerate(value))
            elif key in self.tensors and are_tensors(value):
                yield from (_tensor(item, (key, i), self.tensors[key]) for i, item in enumerate(value))
            elif value is not None and key in self.texts:
                yield from _texts(value, (key,), self.texts[key])


def parts_beside(document: object, said: frozenset[str]) -> Iterator[Part]:
    """What a document has beside the members in `said`: each tool by its name, and every other member."""
    for key, value in document.items() if isinstance(document, dict) else ():
        if key in said:
            continue
        if key in ("tools", "functions") and isinstance(value, list) and value:
            yield from (Part(PartKind.TOOL, (key, i), _name(tool)) for i, tool in enumerate(value))
        else:
            yield Part(PartKind.FIELD, (key,), key)


def are_texts(value: object) -> TypeGuard[list[str]]:
    """Whether this is a list of which each item is a text, and so a turn of its own."""
    return isinstance(value, list) and bool(value) and all(isinstance(item, str) for item in value)


def are_tensors(value: object) -> TypeGuard[list[dict[str, Any]]]:
    """Whether this is a list of which each item is an object, as tensors are."""
    return isinstance(value, list) and bool(value) and all(isinstance(item, dict) for item in value)


def _texts(value: object, path: Path, speaker: Role) -> Iterator[Turn]:
    if are_texts(value):
        for i in range(len(value)):
            yield Turn((*path, i), "", speaker, (Part(PartKind.TEXT, (*path, i)),))
    else:
        yield Turn(path, "", speaker, tuple(_content(value, path)))


def _tensor(tensor: Mapping[str, Any], path: Path, speaker: Role) -> Turn:
    """One of BYTES is texts; of any other the numbers are a field, as its name, shape and type are."""
    return Turn(path, "", speaker, tuple(_tensor_parts(tensor, path)))


def _tensor_parts(tensor: Mapping[str, Any], path: Path) -> Iterator[Part]:
    for key, value in tensor.items():
        place: Path = (*path, key)
        if key != "data" or tensor.get("datatype") != "BYTES":
            yield Part(PartKind.FIELD, place, key)
            continue
        while isinstance(value, list) and len(value) == 1:  # the one text of a batch of one
            value, place = value[0], (*place, 0)
        yield Part(PartKind.TEXT, place, _name(tensor))


def _message(message: object, path: Path, roles: Mapping[str, Role]) -> Turn:
    if not isinstance(message, dict):
        return Turn(path, "", Role.OTHER, (Part(PartKind.FIELD, path),))
    role = message.get("role")
    speaker = roles.get(role, Role.OTHER) if isinstance(role, str) else Role.OTHER
    said = tuple(_members(message, path, speaker))
    return Turn(path, role if isinstance(role, str) else "", speaker, said)


def _members(message: Mapping[str, Any], path: Path, speaker: Role) -> Iterator[Part]:
    for key, value in message.items():
        here = (*path, key)
        if key == "role" and isinstance(value, str):
            continue
        if key == "content" and speaker is Role.TOOL:
            yield from _content(value, here, PartKind.TOOL_RESULT, _name(message))
        elif key == "content":
            yield from _content(value, here)
        elif key == "tool_calls" and isinstance(value, list) and value:
            yield from (Part(PartKind.TOOL_CALL, (*here, i), _name(call)) for i, call in enumerate(value))
        elif key in _MEMBERS and value:
            yield Part(_MEMBERS[key], here, _name(value))
        else:
            yield Part(PartKind.FIELD, here, key)


def _content(value: object, path: Path, kind: PartKind = PartKind.TEXT, name: str = "") -> Iterator[Part]:
    """The parts of a content; `kind` is that of its texts."""
    if isinstance(value, list) and value and all(isinstance(part, str | dict) for part in value):
        for i, part in enumerate(value):
            yield from _part(part, (*path, i), kind, name)
    elif isinstance(value, str):
        yield Part(kind, path, name)
    else:
        yield Part(PartKind.FIELD, path, str(path[-1]))


def _part(part: object, path: Path, text: PartKind, name: str) -> Iterator[Part]:
    if isinstance(part, str):
        yield Part(text, path, name)
        return
    of = part.get("type") if isinstance(part, dict) else None
    if not isinstance(part, dict) or not isinstance(of, str):
        yield Part(PartKind.FIELD, path)
        return
    kind, carrier = _TEXTS.get(of, (None, ""))
    if kind is None or not isinstance(part.get(carrier), str):
        yield Part(_TYPES.get(of, PartKind.FIELD), path, _name(part))
        return
    yield Part(text if kind is PartKind.TEXT else kind, (*path, carrier), name)
    yield from (Part(PartKind.FIELD, (*path, key), key) for key in part if key not in ("type", carrier))


def _item(item: object, path: Path, roles: Mapping[str, Role]) -> Turn:
    """An item of a response: a message, or what its type says."""
    kind = item.get("type", "message") if isinstance(item, dict) else ""
    if not isinstance(item, dict) or not isinstance(kind, str):
        return Turn(path, "", Role.OTHER, (Part(PartKind.FIELD, path),))
    if kind == "message":
        return _message({key: value for key, value in item.items() if key != "type"}, path, roles)
    if kind == "reasoning":
        return Turn(path, kind, Role.ASSISTANT, tuple(_reasoning(item, path)))
    if kind.endswith("_output") or kind == "mcp_approval_response":
        speaker = Role.USER if kind == "mcp_approval_response" else Role.TOOL
        return Turn(path, kind, speaker, (Part(PartKind.TOOL_RESULT, path, _name(item)),))
    if kind.endswith("_call") or kind in ("mcp_approval_request", "mcp_list_tools"):
        return Turn(path, kind, Role.ASSISTANT, (Part(PartKind.TOOL_CALL, path, _name(item)),))
    speaker = Role.OTHER if kind == "item_reference" else Role.ASSISTANT
    return Turn(path, kind, speaker, (Part(PartKind.FIELD, path),))


def _reasoning(item: Mapping[str, Any], path: Path) -> Iterator[Part]:
    for key, value in item.items():
        if key in ("content", "summary") and isinstance(value, list):
            yield from _content(value, (*path, key), PartKind.REASONING)
        elif key != "type":
            yield Part(PartKind.FIELD, (*path, key), key)


def _name(value: object) -> str:
    """What a call, a result or a tool is called; "" where it has no name."""
    if not isinstance(value, dict):
        return ""
    inner = next((value[key] for key in ("function", "custom") if isinstance(value.get(key), dict)), value)
    names = (inner.get(key) for key in _NAMES)
    return next((name for name in names if isinstance(name, str) and name), "")
