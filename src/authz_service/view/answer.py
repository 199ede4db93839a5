"""The neutral answer: the text channels of one frame (a whole body, or one event of a stream)."""

from __future__ import annotations

from dataclasses import dataclass

from authz_service.view.request import Path, TextKind


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens as the model server counted them."""

    prompt_tokens: int
    completion_tokens: int


@dataclass(frozen=True, slots=True)
class AnswerField:
    """A piece of a text channel. Pieces of one `channel` over all frames, joined, are one text."""

    channel: str
    path: Path
    text: str
    kind: TextKind = TextKind.PLAIN


@dataclass(frozen=True, slots=True)
class AnswerFrame:
    """What one frame of an answer says. `fields` has every string that carries text, in order.

    `cleared` are paths whose value must be replaced by null before the frame goes on, since it
    carries text that is not read here (logprobs: tokens, bytes, alternatives).
    """

    fields: tuple[AnswerField, ...]
    usage: Usage | None = None
    cleared: tuple[Path, ...] = ()
