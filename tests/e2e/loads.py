"""Requests in a loop, short ones and streams, and what came of each while something befell the gateway."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial

from tests.e2e.people import PATIENCE, chat, until
from tests.e2e.plain import Plain, staff
from tests.e2e.raw_client import RawClient
from tests.e2e.stack import Stack
from tests.e2e.upstream_answers import Answer, Received, plausible, stream

HANGS = 90.0
"""Seconds without a byte after which a request counts as one that hangs."""
WORDS = ["One ", "word ", "after ", "the ", "other, ", "and ", "an ", "end."]
PAUSE = 0.05
"""Seconds between the words of a stream."""
REST = 0.03
"""Seconds between an answer and the next request; without them a load takes all there is of the machine."""
HANGING = "hangs"
CUT = "cut"
WHOLE = "whole"
LARGE = 150_000
"""Bytes of a large request: more than Envoy can send again."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one request: `whole`, `cut`, `hangs`, or the refusal's status and code."""

    is_stream: bool
    came_to: str
    began: float
    session: str = ""
    said: str = ""
    ended: float = field(default_factory=time.monotonic)

    @property
    def took(self) -> float:
        """Seconds until something had come of it."""
        return self.ended - self.began


@dataclass(slots=True)
class Load:
    """Requests under way, and the outcomes of those that ended."""

    outcomes: list[Outcome] = field(default_factory=list)
    stopping: threading.Event = field(default_factory=threading.Event)

    @property
    def count(self) -> int:
        """How many have ended."""
        return len(self.outcomes)

    def go_on(self, more: int = 20, *, within: float = PATIENCE) -> None:
        """Wait until so many more have ended."""
        wanted = self.count + more
        until(lambda: self.count >= wanted, f"{more} more answers", within=within)

    @property
    def failures(self) -> list[Outcome]:
        """What failed."""
        return [found for found in self.outcomes if found.came_to != WHOLE]


@contextmanager
def load_on(stack: Stack, *, short: int = 3, streams: int = 3, large: int = 0) -> Iterator[Load]:
    """As many clients of each kind, each asking again when it was answered, until the context ends.

    At the end each has got its last answer.
    """
    stack.upstream.otherwise = paced
    load, caller = Load(), staff(stack, "loader")
    clients = [
        threading.Thread(target=_ask_on, args=(caller, load, is_stream, size), daemon=True)
        for is_stream, size in (*[(False, 0)] * short, *[(True, 0)] * streams, *[(False, LARGE)] * large)
    ]
    for client in clients:
        client.start()
    try:
        load.go_on(2 * len(clients))
        yield load
    finally:
        load.stopping.set()
        for client in clients:
            client.join(2 * HANGS)
        stack.upstream.otherwise = plausible


def paced(request: Received) -> Answer:
    """What is answered otherwise; a stream takes its time."""
    if b'"stream": true' not in request.body:
        return plausible(request)
    answer = stream(WORDS)
    steps = [part for step in answer.steps for part in (step, PAUSE)]
    return Answer(headers=answer.headers, steps=steps)


def _ask_on(caller: Plain, load: Load, is_stream: bool, size: int) -> None:
    while not load.stopping.is_set():
        began = time.monotonic()
        load.outcomes.append(_asked(caller, is_stream=is_stream, size=size, began=began))
        load.stopping.wait(REST)


def _asked(caller: Plain, *, is_stream: bool, size: int, began: float) -> Outcome:
    outcome = partial(Outcome, is_stream, began=began)
    body = json.dumps(chat("Go on" + " and on" * (size // 7), stream=is_stream)).encode()
    try:
        with RawClient(caller.stack.url, timeout=HANGS) as client:
            client.send(caller.head(size=len(body)) + body)
            reply = client.reply()
    except TimeoutError:
        return outcome(came_to=HANGING)
    except (OSError, AssertionError) as error:
        return outcome(came_to=type(error).__name__, said=str(error))
    session, text = reply.header("x-authz-session") or "", reply.body.decode()
    if reply.status != 200:
        return outcome(came_to=" ".join(map(str, reply.refusal)), session=session, said=text)
    is_all = text.rstrip().endswith("data: [DONE]") and "end." in text if is_stream else "Hello" in text
    return outcome(came_to=WHOLE if reply.is_whole and is_all else CUT, session=session, said=text)
