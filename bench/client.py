"""A connection that sends a request when the last was answered, and what all of a turn's have seen."""

from __future__ import annotations

import asyncio
import re
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import cast

from bench.answers import Expected, Fault
from bench.http1 import Message
from bench.plan import Shape

_TEXT = re.compile(rb'"content": ?"[^"]')
_LONGEST_MATCH = 13


@dataclass(slots=True)
class Tally:
    """What all connections of a turn share. Nothing counts before `is_counting`; times are in seconds."""

    shape: Shape
    expected: Expected
    is_counting: bool = False
    is_ending: bool = False
    seen: int = 0
    wrong: int = 0
    faults: Counter[Fault] = field(default_factory=Counter)
    an_example: bytes = b""
    latencies: list[float] = field(default_factory=list)
    first_events: list[float] = field(default_factory=list)
    first_texts: list[float] = field(default_factory=list)
    between: list[float] = field(default_factory=list)

    def is_answer(self, message: Message) -> bool:
        """Whether it is one, be it a wrong one."""
        self.seen += 1
        found = self.expected.faults(message.received)
        if found:
            self.wrong += 1
            self.faults.update(found)
            self.an_example = self.an_example or bytes(message.received[:600])
        return Fault.FAILED not in found

    def broken(self) -> None:
        """A connection broke, or did not bring its answer in time."""
        self.seen += 1
        self.wrong += 1
        self.faults[Fault.FAILED] += 1

    @property
    def has_only_failures(self) -> bool:
        """Whether waiting for an answer is of no use."""
        return bool(self.seen) and self.faults[Fault.FAILED] == self.seen


class Client(asyncio.Protocol):
    """One connection. It begins when told, and asks until the tally is ending, or `answers` times.

    `ended` is done when the last answer is in, or the connection broke.
    """

    def __init__(self, request: bytes, tally: Tally, answers: int | None = None) -> None:
        self._request = request
        self._tally = tally
        self._left = answers
        self._message = Message()
        self._sent_at = self._first_event = self._first_text = self._last_text = 0.0
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The connection is open."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop's are none by class

    def begin(self) -> None:
        """Send the first request."""
        self._send()

    def give_up(self) -> None:
        """Wait no longer for an answer that has not come."""
        if not self.ended.done():
            self._transport.abort()
            self._tally.broken()
            self.ended.set_result(None)

    def data_received(self, data: bytes) -> None:
        """More of an answer."""
        now = time.perf_counter()
        message = self._message
        before = len(message.received)
        is_whole = message.add(data)
        if not self._first_event and message.head and len(message.received) > message.head:
            self._first_event = now
        if self._tally.shape is Shape.PACED or not self._first_text:
            self._look_for_text(now, max(message.head, before - _LONGEST_MATCH + 1))
        if is_whole:
            self._count(now)
            self._send()

    def connection_lost(self, exc: Exception | None) -> None:
        """It broke, or was closed at the end."""
        if not self.ended.done():
            self._tally.broken()
            self.ended.set_result(None)

    def _look_for_text(self, now: float, start: int) -> None:
        if not self._first_event or not _TEXT.search(self._message.received, start):
            return
        if not self._first_text:
            self._first_text = now
        elif self._tally.is_counting and now > self._last_text:
            self._tally.between.append(now - self._last_text)
        self._last_text = now

    def _send(self) -> None:
        if self._tally.is_ending or self._left == 0:
            self.ended.set_result(None)
            self._transport.close()
            return
        if self._left is not None:
            self._left -= 1
        self._message = Message()
        self._first_event = self._first_text = 0.0
        self._sent_at = time.perf_counter()
        self._transport.write(self._request)

    def _count(self, now: float) -> None:
        tally = self._tally
        if tally.is_answer(self._message) and tally.is_counting:
            tally.latencies.append(now - self._sent_at)
            tally.first_events.append(self._first_event - self._sent_at)
            tally.first_texts.append((self._first_text or now) - self._sent_at)
