"""The load counts what does not come, or not to its end, as failed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from bench.http1 import with_length
from bench.load import NoAnswer, run
from bench.plan import Shape
from bench.traffic import SAW_SECRET, completion
from bench.turn import Job, Measured

from bench import load

HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"
ANSWER = with_length(HEAD, completion(SAW_SECRET, Shape.WHOLE))
ERROR = with_length(b"HTTP/1.1 503 Service Unavailable\r\n", b"{}")


class Server(asyncio.Protocol):
    """Answers each piece of a request with the same; with nothing it stays silent."""

    def __init__(self, answer: bytes, *, is_closing: bool = False) -> None:
        self._answer = answer
        self._is_closing = is_closing
        self.ended = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._transport.write(self._answer)
        if self._is_closing:
            self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self.ended.set_result(None)


def test_right_answers_are_counted_in_the_window() -> None:
    measured = measure(lambda number: Server(ANSWER))
    assert measured.requests >= 2
    assert (measured.wrong, dict(measured.faults)) == (0, {})
    assert measured.seen >= measured.requests
    assert 0 < measured.first_event <= measured.p50 <= measured.p99


def test_a_connection_that_gets_no_answer_has_failed_though_the_other_one_does(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(load, "LAST_ANSWER_SECONDS", 1.0)
    measured = measure(lambda number: Server(ANSWER if number else b""))
    assert measured.requests >= 2
    assert (measured.wrong, dict(measured.faults)) == (1, {"failed": 1})


def test_a_connection_that_is_closed_before_the_answer_s_end_has_failed() -> None:
    measured = measure(lambda number: Server(ANSWER) if number else Server(ANSWER[:-1], is_closing=True))
    assert dict(measured.faults) == {"failed": 1}


def test_errors_are_no_answers() -> None:
    with pytest.raises(NoAnswer, match="503 Service Unavailable"):
        measure(lambda number: Server(ERROR))


def measure(serve: Callable[[int], Server]) -> Measured:
    """With two connections; `serve` is told which of them it is."""

    async def both() -> Measured:
        servers: list[Server] = []

        def connected() -> Server:
            servers.append(serve(len(servers)))
            return servers[-1]

        async with await asyncio.get_running_loop().create_server(connected, "127.0.0.1", 0) as server:
            try:
                return await run(job(server.sockets[0].getsockname()[1]))
            finally:
                async with asyncio.timeout(60):
                    await asyncio.gather(*(each.ended for each in servers))

    return asyncio.run(both())


def job(port: int) -> Job:
    return Job(
        port=port,
        token="",
        shape=Shape.WHOLE,
        connections=2,
        warm_up=0.01,
        seconds=0.1,
        is_masked=False,
        has_instructions=False,
        pids={},
    )
