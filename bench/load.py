"""The load: keep-alive connections that send a request when the last was answered, in their own process.

`python -m bench.load` reads a `Job` as JSON from its input and writes its `Measured`. The programs'
CPU time is read at both ends of the same window in which answers are counted.
"""

from __future__ import annotations

import asyncio
import dataclasses
import json
import re
import sys
import time
from dataclasses import dataclass, field
from typing import cast

from bench.http1 import Message, with_length
from bench.plan import Shape
from bench.processes import cpu_seconds
from bench.traffic import GIVEAWAY, PLACEHOLDER, SAW_ADDRESS, SAW_NONE, request_body
from bench.turn import Job, Measured

_FIRST_TEXT = re.compile(rb'"content":"[^"]')
LAST_ANSWER_SECONDS = 20.0


@dataclass(slots=True)
class Tally:
    """What all connections of a turn share. Nothing counts before `is_counting`."""

    expected: tuple[bytes, ...]
    forbidden: tuple[bytes, ...]
    is_counting: bool = False
    is_ending: bool = False
    wrong: int = 0
    an_example: bytes = b""
    latencies: list[float] = field(default_factory=list)
    first_events: list[float] = field(default_factory=list)
    first_texts: list[float] = field(default_factory=list)

    def check(self, message: Message) -> bool:
        """Whether an answer is what it should be."""
        received = message.received
        is_right = (
            received.startswith(b"HTTP/1.1 200")
            and all(part in received for part in self.expected)
            and not any(part in received for part in self.forbidden)
        )
        if not is_right:
            self.wrong += 1
            self.an_example = self.an_example or bytes(received[:600])
        return is_right


class Client(asyncio.Protocol):
    """One connection. `ended` is done when the tally is ending and the last answer is in, or it broke."""

    def __init__(self, request: bytes, tally: Tally) -> None:
        self._request = request
        self._tally = tally
        self._message = Message()
        self._sent_at = self._first_event = self._first_text = 0.0
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The connection is open: begin."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop's are none by class
        self._send()

    def data_received(self, data: bytes) -> None:
        """More of an answer."""
        now = time.perf_counter()
        message = self._message
        is_whole = message.add(data)
        if not self._first_event and message.head and len(message.received) > message.head:
            self._first_event = now
        if self._first_event and not self._first_text and _FIRST_TEXT.search(message.received, message.head):
            self._first_text = now
        if is_whole:
            self._count(now)
            self._send()

    def connection_lost(self, exc: Exception | None) -> None:
        """It broke, or was closed at the end."""
        if not self.ended.done():
            self._tally.wrong += 1
            self.ended.set_result(None)

    def _send(self) -> None:
        if self._tally.is_ending:
            self.ended.set_result(None)
            self._transport.close()
            return
        self._message = Message()
        self._first_event = self._first_text = 0.0
        self._sent_at = time.perf_counter()
        self._transport.write(self._request)

    def _count(self, now: float) -> None:
        tally = self._tally
        if tally.check(self._message) and tally.is_counting:
            tally.latencies.append(now - self._sent_at)
            tally.first_events.append(self._first_event - self._sent_at)
            tally.first_texts.append((self._first_text or now) - self._sent_at)


async def run(job: Job) -> Measured:
    """Give the load, and say what came of it; raises `ValueError` when nothing right came."""
    tally = _tally(job)
    request = _request(job)
    loop = asyncio.get_running_loop()
    clients: list[Client] = []
    for _ in range(job.connections):
        _, client = await loop.create_connection(lambda: Client(request, tally), "127.0.0.1", job.port)
        clients.append(client)
    await asyncio.sleep(job.warm_up)
    before, began = _cpu(job), time.perf_counter()
    tally.is_counting = True
    await asyncio.sleep(job.seconds)
    tally.is_counting, tally.is_ending = False, True
    after, seconds = _cpu(job), time.perf_counter() - began
    await asyncio.wait([client.ended for client in clients], timeout=LAST_ANSWER_SECONDS)
    number = len(tally.latencies)
    if not number:
        raise ValueError(f"no right answer came within {seconds:.1f} s; one was {tally.an_example!r}")
    return Measured(
        requests=number,
        wrong=tally.wrong,
        seconds=seconds,
        p50=_quantile(tally.latencies, 0.5),
        p99=_quantile(tally.latencies, 0.99),
        first_event=_quantile(tally.first_events, 0.5),
        first_text=_quantile(tally.first_texts, 0.5),
        cpu={name: (after[name] - before[name]) / number for name in before},
    )


def _tally(job: Job) -> Tally:
    if job.is_masked:
        return Tally(expected=(PLACEHOLDER, SAW_NONE.encode()), forbidden=(GIVEAWAY,))
    return Tally(expected=(GIVEAWAY, SAW_ADDRESS.encode()), forbidden=())


def _request(job: Job) -> bytes:
    head = (
        "POST /v1/chat/completions HTTP/1.1\r\n"
        f"host: 127.0.0.1:{job.port}\r\n"
        f"authorization: Bearer {job.token}\r\n"
        "content-type: application/json\r\n"
        "accept: application/json\r\n"
        "user-agent: bench/1\r\n"
    )
    return with_length(head.encode(), request_body(job.shape))


def _cpu(job: Job) -> dict[str, float]:
    own = time.process_time()
    return {name: cpu_seconds(pid) for name, pid in job.pids.items()} | {"load": own}


def _quantile(values: list[float], part: float) -> float:
    return sorted(values)[min(len(values) - 1, int(len(values) * part))]


def main() -> None:
    """Read the job, do it, write what was measured."""
    import uvloop

    given = json.load(sys.stdin)
    job = Job(**given | {"shape": Shape(given["shape"])})
    json.dump(dataclasses.asdict(uvloop.run(run(job))), sys.stdout)


if __name__ == "__main__":
    main()
