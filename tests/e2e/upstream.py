"""A model server that does what a test tells it: it records every request and plays the queued answers."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any, Self

from tests.e2e.upstream_answers import Answer, Ending, Gate, Headers, Received, plausible

REASONS = {200: "OK", 204: "No Content", 400: "Bad Request", 429: "Too Many Requests", 500: "Server Error"}


class Upstream:
    """The server, on a port of its own on loopback, in a thread of its own.

    `requests` grows as requests arrive. Queued answers are used in their order, each once, then `otherwise`.
    """

    def __init__(self) -> None:
        self.requests: list[Received] = []
        self.otherwise: Callable[[Received], Answer] = plausible
        self.port = 0
        self._queue: deque[Answer | Callable[[Received], Answer]] = deque()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="upstream")
        self._arrival = threading.Condition()
        self._connections: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    @property
    def url(self) -> str:
        """Its base, without a path."""
        return f"http://127.0.0.1:{self.port}"

    def answer_with(self, *answers: Answer | Callable[[Received], Answer]) -> None:
        """Queue answers for the next requests; a function makes one from the request."""
        self._queue.extend(answers)

    def gate(self) -> Gate:
        """A new gate for the steps of an answer."""
        return Gate(self._loop)

    def wait_for_requests(self, count: int, timeout: float = 60.0) -> list[Received]:
        """The requests, once there are `count` with their bodies complete; fails after `timeout` seconds."""
        deadline = time.monotonic() + timeout
        with self._arrival:
            arrived = self._arrival.wait_for(lambda: len(self.requests) >= count, timeout)
        assert arrived, f"{len(self.requests)} of {count} requests arrived within {timeout} s"
        for request in self.requests[:count]:
            assert request.complete.wait(max(0.0, deadline - time.monotonic())), "a body did not end"
        return self.requests[:count]

    def __enter__(self) -> Self:
        self._thread.start()
        self._call(self._start())
        return self

    def __exit__(self, *_exception: object) -> None:
        self._call(self._stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()

    def _call(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(timeout=60)

    async def _start(self) -> None:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0, limit=2**20)
        self.port = int(self._server.sockets[0].getsockname()[1])

    async def _stop(self) -> None:
        assert self._server is not None
        self._server.close()
        for task in self._connections:
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)
        await self._server.wait_closed()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        try:
            connection = _Connection(reader, writer, self)
            with suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
                while await connection.exchange():
                    pass
        finally:
            self._connections.discard(task)
            writer.close()
            with suppress(ConnectionError, asyncio.CancelledError):
                await writer.wait_closed()

    def record(self, request: Received) -> None:
        """A request's headers arrived."""
        with self._arrival:
            self.requests.append(request)
            self._arrival.notify_all()

    def take_early(self) -> Answer | None:
        """The next answer, if it is to begin before the request's body is read."""
        following = self._queue[0] if self._queue else None
        if isinstance(following, Answer) and following.early:
            self._queue.popleft()
            return following
        return None

    def next_answer(self, request: Received) -> Answer:
        """The answer to a request that has arrived."""
        following = self._queue.popleft() if self._queue else self.otherwise
        return following if isinstance(following, Answer) else following(request)


class _Connection:
    """One connection: requests in, answers out, one after another."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, upstream: Upstream
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._upstream = upstream
        self._peeked = b""

    async def exchange(self) -> bool:
        """One request and its answer; false when the connection is over."""
        request = await self._read_head()
        if request is None:
            return False
        self._upstream.record(request)
        answer = self._upstream.take_early()
        if answer is None:
            await self._read_body(request)
            answer = self._upstream.next_answer(request)
        watch = asyncio.create_task(self._watch(early=answer.early))
        sending = asyncio.create_task(self._send(request, answer))
        try:
            await asyncio.wait({watch, sending}, return_when=asyncio.FIRST_COMPLETED)
            if not sending.done() and watch.result() == b"":
                request.left.set()
                return False
            await sending
        except ConnectionError:
            request.left.set()
            raise
        else:
            request.answered.set()
            is_over = answer.ending is not Ending.CLEAN or answer.raw is not None or answer.early
            return not is_over and request.header("connection") != ["close"]
        finally:
            watch.cancel()
            sending.cancel()
            await asyncio.gather(watch, sending, return_exceptions=True)

    async def _watch(self, *, early: bool) -> bytes:
        """Ends when the other side leaves, or sends its next request already."""
        while piece := await self._reader.read(2**16 if early else 1):
            if not early:  # else it is the body, which nobody wants
                self._peeked = piece
                return piece
        return b""

    async def _read_head(self) -> Received | None:
        first, self._peeked = self._peeked, b""
        try:
            block = first + await self._reader.readuntil(b"\r\n\r\n")
        except asyncio.IncompleteReadError:
            return None
        request_line, *lines = block[:-4].decode("latin-1").split("\r\n")
        method, path, _version = request_line.split(" ", 2)
        pairs = (line.split(":", 1) for line in lines)
        headers = tuple((name, value.strip()) for name, value in pairs)
        return Received(method, path, headers, time.monotonic())

    async def _read_body(self, request: Received) -> None:
        if request.header("expect"):
            self._writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        if request.header("transfer-encoding") == ["chunked"]:
            while size := int((await self._reader.readuntil(b"\r\n")).split(b";")[0], 16):
                request.body += await self._reader.readexactly(size)
                await self._reader.readexactly(2)
            while await self._reader.readuntil(b"\r\n") != b"\r\n":
                pass
        elif lengths := request.header("content-length"):
            request.body = await self._reader.readexactly(int(lengths[0]))
        request.complete.set()

    async def _send(self, request: Received, answer: Answer) -> None:
        if answer.raw is not None:
            await self._write(answer.raw)
            return
        for status, headers in answer.informational:
            await self._write(_head(status, headers))
        has_body = request.method != "HEAD" and answer.status not in (204, 304)
        is_sized = any(name == "content-length" for name, _ in answer.headers)
        framing: Headers = () if is_sized or not has_body else (("transfer-encoding", "chunked"),)
        if answer.trailers:
            framing += (("trailer", ", ".join(name for name, _ in answer.trailers)),)
        await self._write(_head(answer.status, (*answer.headers, *framing)))
        for step in answer.steps if has_body else ():
            await self._step(step, is_sized=is_sized)
        await self._end(answer, is_chunked=bool(framing) and has_body and not is_sized)

    async def _step(self, step: bytes | Gate | float, *, is_sized: bool) -> None:
        if isinstance(step, Gate):
            await step.pass_through()
        elif isinstance(step, float | int):
            await asyncio.sleep(step)
        elif step:
            await self._write(step if is_sized else b"%x\r\n%b\r\n" % (len(step), step))

    async def _end(self, answer: Answer, *, is_chunked: bool) -> None:
        match answer.ending:
            case Ending.CLEAN:
                if is_chunked:
                    trailers = "".join(f"{name}: {value}\r\n" for name, value in answer.trailers)
                    await self._write(b"0\r\n" + trailers.encode("latin-1") + b"\r\n")
            case Ending.RESET:
                self._writer.transport.abort()
            case Ending.CLOSE:
                pass  # the connection closes after this exchange

    async def _write(self, data: bytes) -> None:
        self._writer.write(data)
        await self._writer.drain()


def _head(status: int, headers: Headers) -> bytes:
    lines = [
        f"HTTP/1.1 {status} {REASONS.get(status, 'Other')}",
        *(f"{name}: {value}" for name, value in headers),
    ]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")
