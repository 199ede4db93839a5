"""The neutral answer: the text channels of one frame (a whole body, or one event of a stream)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

from authz_service.view.kept import Kept
from authz_service.view.request import Path, TextKind


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens as the model server counted them."""

    prompt_tokens: int
    completion_tokens: int


class Echo(NamedTuple):
    """What says characters [start, end) of a piece once more, in another place of the same frame.

    The string at `path`, if there is one, is just those characters, and is cut as they are. The values
    at `shadows` become null as soon as anything of them is cut: tokens, bytes, alternatives.
    """

    start: int
    end: int
    path: Path | None = None
    shadows: tuple[Path, ...] = ()


class AnswerField(NamedTuple):
    """A piece of a text channel. Pieces of one `channel` over all frames, joined, are one text.

    With `is_key` the text is the last key of `path`, not the value there. With `is_whole` the text is
    complete as it is: it goes on with no channel, whatever `channel` says. With `is_number` the value is a
    JSON number and the whole text what its readers have of it, as in `TextField`.

    A whole text with a `copy` from 1 on tells once more what `channel` told: what is found in it counts
    only where there is more of it than in any other telling. Each further telling has a number of its own.

    Where a channel joins several texts, `part` is the name of one. Where it differs from that of the piece
    before it, another part of the channel begins, which some readers join with those before it, and others
    don't. A part does not go on after another has begun; as a whole text it may be told once more.

    `is_unnamed`: the dialect does not say that this is a text that goes on. It is joined with what came
    before on its channel, as long as that does not hold back too many frames.
    """

    channel: str
    path: Path
    text: str
    kind: TextKind = TextKind.PLAIN
    is_key: bool = False
    is_whole: bool = False
    copy: int = 0
    echoes: tuple[Echo, ...] = ()
    part: str = ""
    is_unnamed: bool = False
    is_number: bool = False


class Form(Enum):
    """What a value is that may differ from frame to frame, and says nothing or is looked at by itself."""

    COUNT = "a whole number from 0 to 999,999"
    COUNTS = "a list of some of these, which is not empty"
    SMALL = "a number below a million, in either direction"
    TEXT = "a string, which is a whole text"


class Varying(NamedTuple):
    """A value that may be another of its form."""

    path: Path
    form: Form


class AnswerFrame(NamedTuple):
    """What one frame of an answer says. `fields` has every string that carries text, in order.

    `cleared` are paths whose value must be replaced by null before the frame goes on, since it
    carries text that is not read here (logprobs: tokens, bytes, alternatives).

    `ended` are channels that are complete with this frame: the reader yields nothing more on them, so
    nothing of them needs to be held back. `paused` are channels that the model has turned away from
    (its reasoning, when the answer begins): what waits for them need not keep other texts waiting.
    Both may be ignored; what comes after then waits longer. `closes`: the frame says that a choice is
    finished, or sums up; it stays behind all text that came before it.

    `repeats`: besides whole texts it says one thing, a value. A next frame that is the same document but
    for that string, not empty, need not be read: it says the same but for that, and nothing that comes
    later would be read otherwise. So it is where what `varies` differs as well; a text among that is another
    whole text then, and what shadows the string does so as far as the string goes. A reader that cannot
    promise this leaves it False.

    `kept` is what the model server keeps, as far as this frame is the first to name it.
    """

    fields: tuple[AnswerField, ...]
    usage: Usage | None = None
    cleared: tuple[Path, ...] = ()
    ended: tuple[str, ...] = ()
    paused: tuple[str, ...] = ()
    closes: bool = False
    repeats: bool = False
    kept: tuple[Kept, ...] = ()
    varies: tuple[Varying, ...] = ()
