"""YAML 1.2 as a tree that knows where each value stands.

Stricter than YAML: no duplicate keys, no tags, anchors or directives, one document, keys are text.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, ScalarNode, SequenceNode

from authz_service.config.faults import Place, Report

LONGEST_FILE: Final = 1024 * 1024
"""Characters of one file."""
_DEEPEST: Final = 20

_CORE: Final = "tag:yaml.org,2002:"
_TYPES: Final = frozenset({"map", "seq", "str", "int", "float", "bool", "null", "timestamp"})
_KINDS: Final = {"str": "text", "int": "number", "float": "number", "bool": "boolean", "null": "empty"}


@dataclass(frozen=True, slots=True)
class Scalar:
    """A single value; `kind` is text, number, boolean, empty, or YAML's name of another type.

    `text` is the value as text, with the quotes and escapes of YAML resolved.
    """

    place: Place
    text: str
    kind: str


@dataclass(frozen=True, slots=True)
class Items:
    """A list."""

    place: Place
    items: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Entries:
    """A mapping; keys are unique."""

    place: Place
    entries: dict[str, tuple[Place, Node]]


Node = Scalar | Items | Entries


def read_tree(text: str, report: Report) -> Node | None:
    """The tree of a file's only document; None when it cannot be read, with the faults reported."""
    start = Place(1, 1)
    if len(text) > LONGEST_FILE:
        report.add(start, f"the file is longer than {LONGEST_FILE} characters")
        return None
    for number, line in enumerate(text.splitlines(), start=1):
        if line.startswith("%"):
            # `%YAML 1.1` would turn yes, no, on and off into booleans.
            report.add(Place(number, 1), "YAML directives are not read; remove this line")
            return None
    try:
        # The safe loader: the round-trip one marks folds in a text with control characters.
        node = YAML(typ="safe", pure=True).compose(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = Place(mark.line + 1, mark.column + 1) if mark is not None else start
        report.add(place, f"not YAML: {' '.join(str(error.problem or error.context).split())}")
        return None
    except (YAMLError, ValueError, RecursionError):
        report.add(start, "not YAML: a character that YAML does not allow, or nested too deeply")
        return None
    if node is None:
        report.add(start, "the file is empty")
        return None
    return _converted(node, report, 0)


def _converted(node: Any, report: Report, depth: int) -> Node:
    place = Place(node.start_mark.line + 1, node.start_mark.column + 1)
    if depth > _DEEPEST:
        report.add(place, "nested too deeply")
        return Scalar(place, "", "empty")
    if str(node.tag).removeprefix(_CORE) not in _TYPES:
        report.add(place, f"YAML tags are not read: {node.tag}")
    if node.anchor is not None:
        # An alias can repeat what it is part of, without end.
        report.add(place, "YAML anchors and aliases are not read; write the value out")
        return Scalar(place, "", "empty")
    match node:
        case MappingNode():
            return Entries(place, dict(_entries(node, report, depth)))
        case SequenceNode():
            return Items(place, tuple(_converted(item, report, depth + 1) for item in node.value))
        case ScalarNode():
            kind = str(node.tag).removeprefix(_CORE)
            return Scalar(place, node.value, _KINDS.get(kind, kind))
        case _:
            raise TypeError(f"a YAML node of an unknown class: {type(node).__name__}")


def _entries(node: Any, report: Report, depth: int) -> Iterator[tuple[str, tuple[Place, Node]]]:
    seen: dict[str, Place] = {}
    for key_node, value_node in node.value:
        place = Place(key_node.start_mark.line + 1, key_node.start_mark.column + 1)
        if not isinstance(key_node, ScalarNode):
            report.add(place, "a key must be text")
            continue
        key = key_node.value
        if key in seen:
            report.add(place, f"{key!r} stands here twice; it is at line {seen[key].line} already")
            continue
        seen[key] = place
        yield key, (place, _converted(value_node, report, depth + 1))
