"""What was said so far in one choice of a chat completion, and where the model has turned to another text."""

from __future__ import annotations

from dataclasses import dataclass, field

from authz_service.model_apis.answer_frame import Unnamed

PROSE = {
    "content": "answer",
    "refusal": "answer",
    "reasoning_content": "thought",
    "reasoning": "thought",
}
"""The keys of prose, and what the model does there. vLLM sends its thoughts under both keys at once."""


@dataclass(slots=True)
class Call:
    """One tool call of a choice. A name is `spelled` where it is none of the request's tools."""

    spelled: bool = False
    is_named: bool = False


@dataclass(slots=True)
class Choice:
    """What was said so far in one choice.

    `speaking` are the keys of prose that the model was last heard on, `left` those that it once turned
    away from: who comes back is not taken to be complete a second time. `part` is the index of the part of
    its content that was told last.
    """

    channel: str
    source: str
    is_complete: bool = False
    speaking: frozenset[str] = frozenset()
    left: frozenset[str] = frozenset()
    calls: dict[int, Call] = field(default_factory=dict)
    call: Call | None = None
    part: int = 0
    unnamed: Unnamed = field(default_factory=Unnamed)

    def turn(self, prose: set[str]) -> list[str]:
        """The model is heard on these keys (none: it calls a tool); the channels that it turned away from."""
        if prose == self.speaking:
            return []
        if not self.speaking:
            self.speaking = frozenset(prose)
            return []
        doing = {PROSE[key] for key in prose}
        over = {key for key in self.speaking if PROSE[key] not in doing}
        news = over - self.left
        self.left |= over
        self.speaking = (self.speaking - over) | prose
        return sorted(f"{self.channel}/{key}" for key in news)
