"""An exchange as it happened: prompt, decision, wait, who decided, and the answer piece by piece.

What crossed is shown, after masking. Frames have their time from the entries; playing them is another's.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from authz_api.v1 import sessions_pb2
from authz_cli.conversation import conversation
from authz_cli.safe_text import safe_line, wrapped
from authz_cli.session_facts import (
    ACTS,
    GRANTS,
    act_line,
    decision_line,
    grant_line,
    span,
    vote_line,
)
from authz_cli.session_story import Event, Story
from authz_cli.streamed import Pieces, joined
from authz_cli.typist import Typist

_TOLD = {
    "hold.opened": "held: it waits for people",
    "hold.attached": "held: the same request waits already",
    "hold.approved": "approved",
    "hold.rejected": "rejected",
    "hold.expired": "expired: nobody decided in time",
    "hold.superseded": "superseded: nobody has to decide it any more",
    "hold.reminded": "its reviewers are reminded",
    "hold.escalated": "escalated: others may vote now",
    "hold.killed": "ended: an operator ended the request",
    "request.released": "released to the model",
    "exchange.recovered": "the process died with it; the rest is not known",
    "exchange.resumed": "another process took it up where it waited",
}


@dataclass(frozen=True, slots=True)
class Frame:
    """`text` appears `at` seconds after the request came. It is safe for a terminal."""

    at: float
    text: str


@dataclass(frozen=True, slots=True)
class Shown:
    """What of an exchange is shown."""

    prompt: bool = True
    answer: bool = True


def frames(session: sessions_pb2.Session, story: Story, *, width: int, shown: Shown) -> Iterator[Frame]:
    """The whole exchange, in order. `width` in cells."""
    events = [event for event in story.events if event.kind not in ("session.read", "session.searched")]
    if not events:
        return
    answer = _Answer(story, width) if shown.answer else None
    begin = events[0].at
    for event in events:
        at = (event.at - begin).total_seconds()
        lines = [_stamped(event.at - begin, line) for line in _told(session, event)]
        text = "".join(f"{piece}\n" for line in lines for piece in wrapped(line, max(width - 1, 20)))
        if event.kind == "request.received" and shown.prompt and story.body is not None:
            heading, body = story.body
            text += "".join(f"{line}\n" for line in (heading, *conversation(body, width=width - 1)))
        if answer is not None:
            text = answer.before(event, text)
            text += answer.piece(event)
        if text:
            yield Frame(at, text)


def paced(story: Iterable[Frame], *, speed: float, longest: float | None) -> Iterator[tuple[float, Frame]]:
    """Each frame with the seconds to wait before it; a longer wait than `longest` is cut, and said."""
    last = 0.0
    for frame in story:
        wait = max(frame.at - last, 0.0) / speed
        last = frame.at
        if longest is not None and wait > longest:
            passed = span(timedelta(seconds=wait * speed))
            text = frame.text if wait * speed < 1 else f"... {passed} later\n{frame.text}"
            yield longest, Frame(frame.at, text)
        else:
            yield wait, frame


class _Answer:
    """Types a streamed answer as its pieces come; another one is shown whole with its last piece."""

    def __init__(self, story: Story, width: int) -> None:
        body = story.answer
        self._width = width
        self._whole = body if body is not None and joined(body) is None else None
        self._left = len(story.pieces)
        self._pieces = Pieces()
        self._typist = Typist(width)
        self._masked: dict[str, int] = {}

    def before(self, event: Event, text: str) -> str:
        """Our own words never go on a line of the answer's."""
        return self._typist.end() + text if text else text

    def piece(self, event: Event) -> str:
        """What a piece of the answer adds."""
        if event.kind != "answer.released":
            return ""
        self._left -= 1
        if self._whole is not None:
            lines = conversation(self._whole, width=self._width - 1, is_answer=True)
            return "" if self._left else "".join(f"{line}\n" for line in lines)
        texts = self._pieces.feed(event.payloads.get("body", b""))
        shown = "".join(self._typist.type(place, text) for place, text in texts)
        return shown if self._left else shown + self._typist.end()


def _told(session: sessions_pb2.Session, event: Event) -> Iterator[str]:
    data = event.data
    match event.kind:
        case "request.received":
            caller = session.caller.person or session.caller.subject or "somebody"
            yield f"{caller} asks {session.model or 'no model'} by {session.method} {session.path}"
        case "request.decided":
            yield f"decided: {decision_line(event)}"
        case "hold.voted" | "hold.break_glass":
            yield f"vote: {vote_line(event)}"
        case kind if kind in ACTS:
            yield act_line(event)
        case kind if kind in GRANTS:
            yield grant_line(event)
        case "request.refused":
            yield f"refused: {data.get('code', '-')}, status {data.get('status', '-')}"
        case "request.refused_again":
            yield f"{data.get('count', '-')} more like it were refused within a minute, and counted"
        case "answer.started":
            yield f"the model answers, status {data.get('status', '-')}"
        case "answer.decided":
            yield f"the answer was judged: {decision_line(event)}"
        case "answer.refused":
            yield f"the answer was cut off: {data.get('code', '-')}"
        case "session.killed":
            yield f"ended by {event.done_by('operator') or 'an operator'}: {event.said()}"
        case "exchange.ended":
            yield f"over: {data.get('outcome', '-')}"
        case kind if kind in _TOLD:
            yield _TOLD[kind]
        case _:
            return


def _stamped(passed: timedelta, line: str) -> str:
    return safe_line(f"[{span(passed):>9}] {line}")


def started(story: Story) -> datetime | None:
    """When the exchange began."""
    return story.events[0].at if story.events else None
