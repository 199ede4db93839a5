"""What is wrong with a file: every fault, each with its place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from authz_service.errors import Misconfigured


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """A position in the file; both count from 1."""

    line: int
    column: int


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong. `excerpt` is a line of an expression or pattern, with a line whose caret
    points into it below; empty where the file's own line says enough."""

    place: Place
    message: str
    excerpt: str = ""

    def text(self, source: str) -> str:
        """The fault as an operator reads it: `file:line:column: message`."""
        lines = [f"{source}:{self.place.line}:{self.place.column}: {self.message}"]
        lines += [f"    {line}" for line in self.excerpt.splitlines()]
        return "\n".join(lines)


class BadConfiguration(Misconfigured):
    """A configuration file was refused; `faults` has all that is wrong with it, by line."""

    def __init__(self, source: str, faults: Sequence[Fault]) -> None:
        self.source = source
        self.faults = tuple(sorted(faults, key=lambda fault: fault.place))
        super().__init__("\n".join(fault.text(source) for fault in self.faults), code="bad_configuration")


@dataclass(slots=True)
class Report:
    """Collects faults while a file is read, so that one reading finds them all."""

    faults: list[Fault] = field(default_factory=list)

    def add(self, place: Place, message: str, excerpt: str = "") -> None:
        """Note one more fault."""
        self.faults.append(Fault(place, message, excerpt))


def with_caret(line: str, column: int) -> str:
    """A line of text and below it a caret at `column` (from 1); tabs keep their width."""
    before = "".join("\t" if character == "\t" else " " for character in line[: column - 1])
    return f"{line}\n{before.ljust(column - 1)}^"
