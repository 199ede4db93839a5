"""One mapping of the file: each key is asked for by name, and what nobody asked for is a fault."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from typing import TypeVar

from authz_service.config.faults import Place, Report
from authz_service.config.tree import Entries, Items, Node, Scalar

T = TypeVar("T")
U = TypeVar("U")


class Refused(Exception):
    """A value is wrong; `excerpt` may show where in it. `place` is that of the value if None."""

    def __init__(self, message: str, *, place: Place | None = None, excerpt: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.place = place
        self.excerpt = excerpt


Read = Callable[[Node], T]
"""Turns a node into a value; raises `Refused`."""


@dataclass(slots=True)
class Section:
    """A mapping called `name` (dotted, as in `requests.rules[1]`), while it is read.

    A faulty value is reported and stands in by a harmless one, so that reading goes on and finds the
    other faults; nothing that was read is used when there is any fault.
    """

    node: Entries
    name: str
    report: Report
    asked: list[str] = field(default_factory=list)

    def has(self, key: str) -> bool:
        """Whether the key stands in the file."""
        return key in self.node.entries

    def place(self, key: str) -> Place:
        """Where a key's value stands; the section's own place when it has none."""
        return self.node.entries[key][1].place if self.has(key) else self.node.place

    def optional(self, key: str, read: Read[T], default: U) -> T | U:
        """The value of a key that may be left out."""
        self.asked.append(key)
        if not self.has(key):
            return default
        value = self._read(self.node.entries[key][1], read, self._below(key))
        return default if value is None else value

    def required(self, key: str, read: Read[T], stand_in: U) -> T | U:
        """The value of a key that must be there."""
        if not self.has(key):
            self.refuse(self.node.place, f"{key} is missing")
        return self.optional(key, read, stand_in)

    def section(self, key: str) -> Section | None:
        """A mapping below a key; None when it is left out or is something else."""
        return self.optional(key, lambda node: as_section(node, self._below(key), self.report), None)

    def section_or_empty(self, key: str) -> Section:
        """A mapping below a key of which every key may be left out, and so may the whole."""
        return self.section(key) or Section(Entries(self.place(key), {}), self._below(key), self.report)

    def sections(self, key: str, *, at_least_one: bool = False) -> list[Section]:
        """The mappings in a list below a key; empty when it is left out."""
        found: list[Section] = []
        items = self.required(key, as_items, None) if at_least_one else self.optional(key, as_items, ())
        if at_least_one and items == ():
            self.refuse_value(key, "must not be empty")
        for index, node in enumerate(items or ()):
            name = f"{self._below(key)}[{index}]"
            section = self._read(node, lambda node, name=name: as_section(node, name, self.report), name)  # type: ignore[misc]  # mypy cannot infer a lambda's default
            if section is not None:
                found.append(section)
        return found

    def named_sections(self, key: str) -> Iterator[tuple[str, Section]]:
        """The mappings below a key whose keys are names of the operator's choice."""
        outer = self.section(key)
        if outer is None:
            return
        for name in outer.node.entries:
            inner = outer.section(name)
            if inner is not None:
                yield name, inner

    def later(self, *keys: str) -> None:
        """Refuse keys that are known and not honoured yet."""
        for key in keys:
            self.asked.append(key)
            if self.has(key):
                self.refuse(self.node.entries[key][0], f"{key} is not supported yet")

    def close(self) -> None:
        """Refuse every key that was not asked for."""
        for key, (place, _) in self.node.entries.items():
            if key not in self.asked:
                self.refuse(place, f"unknown key {key!r}{_hint(key, self.asked)}")

    def refuse(self, place: Place, message: str, *, key: str = "", excerpt: str = "") -> None:
        """Report a fault of this section, or of what stands below `key`."""
        name = self._below(key) if key else self.name
        self.report.add(place, f"{name}: {message}" if name else message, excerpt)

    def refuse_value(self, key: str, message: str) -> None:
        """Report that the value of a key is wrong."""
        self.refuse(self.place(key), message, key=key)

    def _below(self, key: str) -> str:
        return f"{self.name}.{key}" if self.name else key

    def _read(self, node: Node, read: Read[T], name: str) -> T | None:
        try:
            return read(node)
        except Refused as refused:
            place = node.place if refused.place is None else refused.place
            self.report.add(place, f"{name}: {refused.message}", refused.excerpt)
            return None


def as_section(node: Node, name: str, report: Report) -> Section:
    """A node that must be a mapping."""
    if not isinstance(node, Entries):
        raise Refused(f"must be a mapping of keys to values, {described(node)}")
    return Section(node, name, report)


def as_items(node: Node) -> tuple[Node, ...]:
    """A node that must be a list."""
    if not isinstance(node, Items):
        raise Refused(f"must be a list, {described(node)}")
    return node.items


def described(node: Node) -> str:
    """What stands there instead, for a message; long values are not repeated."""
    match node:
        case Entries():
            return "found a mapping"
        case Items():
            return "found a list"
        case Scalar(kind="empty"):
            return "found nothing (leave the key out for its default)"
        case Scalar(kind="text"):
            return f"found {shortened(node.text)}"
        case Scalar():
            return f"found the {node.kind} {shortened(node.text)}"


def shortened(text: str) -> str:
    """A text quoted for a message, with its first 60 characters at most."""
    return repr(text if len(text) <= 60 else f"{text[:60]}...")


def _hint(key: str, known: Collection[str]) -> str:
    close = difflib.get_close_matches(key, known, n=1)
    if close:
        return f"; did you mean {close[0]!r}?"
    return f"; known are {', '.join(sorted(set(known)))}" if known else ""
