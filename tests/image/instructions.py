"""The Dockerfile as its instructions, in order, for a check without an engine."""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Instruction:
    """One instruction, with its continued lines joined."""

    word: str
    text: str

    @property
    def words(self) -> list[str]:
        """Its arguments, of the JSON form too."""
        return list(json.loads(self.text)) if self.text.startswith("[") else shlex.split(self.text)


@dataclass(slots=True)
class Stage:
    """What is built from one FROM on."""

    name: str
    base: str
    instructions: list[Instruction]


def stages_of(dockerfile: Path) -> list[Stage]:
    """The stages in order; raises ValueError for an instruction before the first."""
    stages: list[Stage] = []
    for instruction in _instructions(dockerfile.read_text()):
        if instruction.word == "FROM":
            base, *named = instruction.words
            stages.append(Stage(named[-1] if named else str(len(stages)), base, []))
        elif stages:
            stages[-1].instructions.append(instruction)
        else:
            raise ValueError(f"{instruction.word} before FROM")
    return stages


def _instructions(text: str) -> list[Instruction]:
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    joined = "\n".join(lines).replace("\\\n", " ")
    pairs = (line.split(None, 1) for line in joined.splitlines())
    return [Instruction(word, rest.strip()) for word, rest in pairs]
