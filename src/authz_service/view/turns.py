"""The turns of a request as people read it: who speaks in each, and of what it is made."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

from authz_service.view.request import Path, Role


class PartKind(StrEnum):
    """What a part is. FIELD is whatever else a body says: a parameter, an id, a part of no known type."""

    TEXT = "text"
    REASONING = "reasoning"
    REFUSAL = "refusal"
    TOOL_CALL = "tool_call"
    TOOL_RESULT = "tool_result"
    MEDIA = "media"
    TOOL = "tool"
    FIELD = "field"


class Part(NamedTuple):
    """The value at `path`, with all below it. `name`: of the tool, of the call of a result, of the field."""

    kind: PartKind
    path: Path
    name: str = ""


class Turn(NamedTuple):
    """What one speaker says at `path`. `role` is the body's own word for them, "" where it has none.

    Every value below `path` is in one of the parts, but for the role, and the types that the kinds stand for.
    """

    path: Path
    role: str
    speaker: Role
    parts: tuple[Part, ...]
