"""What is wrong with an Envoy file, and where."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Fault:
    """One reason not to run a file. `code` is stable; `line` counts from 1 (0 when unknown)."""

    code: str
    path: Path
    message: str
    line: int = 0

    @property
    def where(self) -> str:
        """The place as operators write it: static_resources.clusters[0].name."""
        text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in self.path)
        return text.lstrip(".") or "the file"

    def __str__(self) -> str:
        line = f"line {self.line}: " if self.line else ""
        return f"{line}{self.where}: {self.message} ({self.code})"


@dataclass(slots=True)
class Report:
    """Collects faults, so that an operator reads all of them at once."""

    faults: list[Fault] = field(default_factory=list)

    def add(self, code: str, path: Path, message: str) -> None:
        """Note a fault."""
        self.faults.append(Fault(code, path, message))

    def __iter__(self) -> Iterator[Fault]:
        return iter(self.faults)
