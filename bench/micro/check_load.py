"""Requests to Check over gRPC, at a pace and as many as there is time for, and what each took."""

from __future__ import annotations

import asyncio
import gc
import struct
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import Final

import grpc
import uvloop

from authz_service.servers.wire import ext_authz_pb2 as wire
from authz_service.servers.wire import methods

PACE: Final = 250
"""Requests a second: far fewer than there is time for, so that what is seen is Check and no queue."""
AT_ONCE: Final = 16
"""Where there is no pace."""
LEAST: Final = 200
"""Of which a p99 is told, however little time there is."""

Check = grpc.aio.UnaryUnaryMultiCallable[bytes, wire.CheckResponse]


class CheckLoad:
    """One client, which shares its processor with nobody's garbage."""

    def __init__(self, folder: Path, seconds: float) -> None:
        self._socket, self._seconds = folder / "check.sock", seconds
        self._requests = list(_requests((folder / "requests").read_bytes()))
        self._random = Random(1)

    def warm(self, tokens: int) -> None:
        """Have each token verified once, which the last requests have: it is remembered then."""

        async def each(call: Check) -> list[float]:
            for request in self._requests[-tokens:]:
                _admitted(await call(request))
            return []

        uvloop.run(self._measured(each))

    def paced(self) -> Sequence[float]:
        """Seconds from sending to answer, least first; each is sent when it is due, whoever still waits."""
        return uvloop.run(self._measured(self._paced))

    def saturating(self) -> Sequence[float]:
        """Seconds from sending to answer, `AT_ONCE` under way all the time."""
        return uvloop.run(self._measured(self._saturating))

    async def _measured(self, way: Callable[[Check], Awaitable[list[float]]]) -> Sequence[float]:
        async with grpc.aio.insecure_channel(f"unix:{self._socket}") as channel:
            call = channel.unary_unary(
                methods.CHECK,
                request_serializer=None,
                response_deserializer=wire.CheckResponse.FromString,
            )
            with _no_garbage():
                return sorted(await way(call))

    async def _paced(self, call: Check) -> list[float]:
        loop, taken = asyncio.get_running_loop(), list[float]()

        async def one() -> None:
            request, began = self._random.choice(self._requests), time.perf_counter()
            answer = await call(request)
            taken.append(time.perf_counter() - began)
            _admitted(answer)

        begin = loop.time()
        async with asyncio.TaskGroup() as group:
            for number in range(max(LEAST, int(PACE * self._seconds))):
                await asyncio.sleep(max(0.0, begin + number / PACE - loop.time()))
                group.create_task(one())
        return taken

    async def _saturating(self, call: Check) -> list[float]:
        taken, end = list[float](), time.perf_counter() + self._seconds

        async def client() -> None:
            while len(taken) < LEAST or time.perf_counter() < end:
                began = time.perf_counter()
                answer = await call(self._random.choice(self._requests))
                taken.append(time.perf_counter() - began)
                _admitted(answer)

        await asyncio.gather(*(client() for _ in range(AT_ONCE)))
        return taken


def quantile(taken: Sequence[float], part: float) -> float:
    """Of sorted times."""
    return taken[min(len(taken) - 1, int(len(taken) * part))]


def _admitted(answer: wire.CheckResponse) -> None:
    if not answer.HasField("ok_response"):
        raise AssertionError("a request was refused")


def _requests(content: bytes) -> Iterator[bytes]:
    at = 0
    while at < len(content):
        (size,) = struct.unpack_from(">I", content, at)
        yield content[at + 4 : at + 4 + size]
        at += 4 + size


@contextmanager
def _no_garbage() -> Iterator[None]:
    """The load's own memory is looked through before and after, not while something is timed."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
