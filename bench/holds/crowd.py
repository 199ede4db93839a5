"""Thousands of callers, each on a connection of its own, whose requests wait for people."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import cast

from bench.http1 import Message, with_length

MARK = "case-%06d-"
"""Stands in a request's text, and says at the model whose it is."""

BODY = 4096
_CODE = re.compile(rb'"code": ?"([a-z_]+)"')
OPEN_AT_ONCE = 500
"""Connections being opened at a time: a listener's backlog is no part of what is measured."""


@dataclass(slots=True)
class Crowd:
    """Who waits for what. `answered` has the time of each answer by its number, by time.perf_counter."""

    port: int
    tokens: Sequence[str]
    answered: dict[int, float] = field(default_factory=dict)
    faults: Counter[str] = field(default_factory=Counter)
    _open: list[_Caller] = field(default_factory=list)

    async def send(self, numbers: Sequence[int]) -> float:
        """Connect a caller for each number; when all are, each sends one request, all of them at once.

        When they did, by time.perf_counter.
        """
        turns = asyncio.Semaphore(OPEN_AT_ONCE)
        callers = await asyncio.gather(*(self._connect(number, turns) for number in numbers))
        began = time.perf_counter()
        for caller in callers:
            caller.ask()
        return began

    async def _connect(self, number: int, turns: asyncio.Semaphore) -> _Caller:
        token = self.tokens[number % len(self.tokens)]
        caller = _Caller(self, number, _request(self.port, token, number))
        async with turns:
            await asyncio.get_running_loop().create_connection(lambda: caller, "127.0.0.1", self.port)
        self._open.append(caller)
        return caller

    @property
    def ended(self) -> int:
        """Callers that have their answer, right or wrong."""
        return len(self.answered) + self.faults.total()

    def leave(self) -> None:
        """Close all connections."""
        for caller in self._open:
            caller.leave()


class _Caller(asyncio.Protocol):
    """One connection with one request."""

    __slots__ = ("_crowd", "_is_over", "_message", "_number", "_request", "_transport")

    def __init__(self, crowd: Crowd, number: int, request: bytes) -> None:
        self._crowd = crowd
        self._number = number
        self._request = request
        self._message = Message()
        self._is_over = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's are none by class

    def ask(self) -> None:
        """Send the request."""
        self._transport.write(self._request)
        self._request = b""

    def data_received(self, data: bytes) -> None:
        if not self._is_over and self._message.add(data):
            self._is_over = True
            status = bytes(self._message.received[9:12]).decode("ascii", "replace")
            if status == "200":
                self._crowd.answered[self._number] = time.perf_counter()
            else:
                code = _CODE.search(self._message.body)
                self._crowd.faults[f"{status} {code[1].decode() if code else ''}".strip()] += 1
            self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._is_over:
            self._is_over = True
            self._crowd.faults["connection lost"] += 1

    def leave(self) -> None:
        """Close it, whatever was answered."""
        self._is_over = True
        self._transport.close()


def _request(port: int, token: str, number: int) -> bytes:
    head = (
        "POST /v1/chat/completions HTTP/1.1\r\n"
        f"host: 127.0.0.1:{port}\r\n"
        f"authorization: Bearer {token}\r\n"
        "content-type: application/json\r\n"
        "user-agent: bench/1\r\n"
    )
    return with_length(head.encode(), request_of(number))


def request_of(number: int) -> bytes:
    """A request of 4 KB that is no other's."""
    words = f"{MARK % number} mail m.quillfeather@example.com about invoice {number}. "
    text = words + "Please read what follows and answer in one sentence. " * 100
    document = {"model": "whole", "messages": [{"role": "user", "content": ""}]}
    room = BODY - len(json.dumps(document))
    document["messages"] = [{"role": "user", "content": text[:room]}]
    return json.dumps(document).encode()
