"""The load: keep-alive connections, in a process of their own.

`python -m bench.load` reads a `Job` as JSON from its input and writes its `Measured`. What the programs take
is read at both ends of the same window in which answers are counted.
"""

from __future__ import annotations

import asyncio
import dataclasses
import json
import sys
import time
from collections.abc import Callable

from bench.answers import Expected
from bench.client import Client, Tally
from bench.http1 import with_length
from bench.instructions import NotCounted
from bench.plan import Shape
from bench.traffic import DELTA_SECONDS, PACED_SECONDS, request_body
from bench.turn import Job, Measured
from bench.window import Taken, window

LAST_ANSWER_SECONDS = 20.0
LONGEST_TURN_SECONDS = 15.0
"""A turn of somebody slow goes on until each connection has had an answer, but no longer than this."""

_POLL_SECONDS = 0.05


class NoAnswer(RuntimeError):
    """Nothing came that is an answer; the message has the beginning of what came."""


async def run(job: Job) -> Measured:
    """Give the load, and say what came of it; raises `NoAnswer`."""
    if job.shape is not Shape.PACED:
        return await _as_fast_as_can_be(job)
    if job.warm_up:
        await _as_fast_as_can_be(_warming_up(job))
    return await _paced(job)


def _warming_up(job: Job) -> Job:
    return dataclasses.replace(
        job, shape=Shape.STREAMED, warm_up=0, seconds=job.warm_up, has_instructions=False
    )


async def _as_fast_as_can_be(job: Job) -> Measured:
    """Count what is answered in a window while all connections go on asking."""
    tally = _tally(job)
    clients = await _connect(job, tally)
    with window(job.pids, job.parts, has_instructions=job.has_instructions) as during:
        for client in clients:
            client.begin()
        await asyncio.sleep(job.warm_up)
        during.open()
        tally.is_counting = True
        await _until(lambda: _is_enough(tally, job, during.seconds), LONGEST_TURN_SECONDS)
        tally.is_counting, tally.is_ending = False, True
        taken = during.close()
    await _last_answers(clients, tally, LAST_ANSWER_SECONDS)
    return _measured(tally, taken)


async def _paced(job: Job) -> Measured:
    """Each connection has as many answers as fit; the window ends with the last of them."""
    tally = _tally(job)
    answers = max(1, round(job.seconds / PACED_SECONDS))
    clients = await _connect(job, tally, answers)
    with window(job.pids, job.parts, has_instructions=job.has_instructions) as during:
        during.open()
        tally.is_counting = True
        for client in clients:
            client.begin()
            # Else every stream's tokens would come at the same moment.
            await asyncio.sleep(DELTA_SECONDS / job.connections)
        longest = answers * PACED_SECONDS + LAST_ANSWER_SECONDS
        await _last_answers(clients, tally, longest)
        taken = during.close()
    return _measured(tally, taken)


async def _connect(job: Job, tally: Tally, answers: int | None = None) -> list[Client]:
    request = _request(job)
    loop = asyncio.get_running_loop()
    make = lambda: Client(request, tally, answers)  # noqa: E731 - a name for an argument
    return [(await loop.create_connection(make, "127.0.0.1", job.port))[1] for _ in range(job.connections)]


async def _last_answers(clients: list[Client], tally: Tally, longest: float) -> None:
    """What has not come by then has failed."""
    await asyncio.wait([client.ended for client in clients], timeout=longest)
    tally.is_counting = False
    for client in clients:
        client.give_up()


async def _until(is_over: Callable[[], bool], longest: float) -> None:
    deadline = time.perf_counter() + longest
    while not is_over() and time.perf_counter() < deadline:
        await asyncio.sleep(_POLL_SECONDS)


def _is_enough(tally: Tally, job: Job, seconds: float) -> bool:
    has_enough = len(tally.latencies) >= job.connections or tally.has_only_failures
    return seconds >= job.seconds and has_enough


def _measured(tally: Tally, taken: Taken) -> Measured:
    number = len(tally.latencies)
    if not number:
        what = f"what came began {tally.an_example!r}" if tally.an_example else "nothing came"
        raise NoAnswer(f"no answer within {taken.seconds:.1f} s; {what}")
    return Measured(
        requests=number,
        seen=tally.seen,
        wrong=tally.wrong,
        seconds=taken.seconds,
        p50=_quantile(tally.latencies, 0.5),
        p99=_quantile(tally.latencies, 0.99),
        first_event=_quantile(tally.first_events, 0.5),
        first_text=_quantile(tally.first_texts, 0.5),
        between_p50=_quantile(tally.between, 0.5),
        between_p95=_quantile(tally.between, 0.95),
        between_p99=_quantile(tally.between, 0.99),
        cpu={name: seconds / number for name, seconds in taken.cpu.items()},
        rss=taken.rss,
        peak_rss=taken.peak_rss,
        instructions={name: count / number for name, count in taken.instructions.items()},
        faults={str(fault): times for fault, times in tally.faults.items()},
    )


def _tally(job: Job) -> Tally:
    return Tally(job.shape, Expected(job.shape, is_masked=job.is_masked))


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


def _quantile(values: list[float], part: float) -> float:
    return sorted(values)[min(len(values) - 1, int(len(values) * part))] if values else 0.0


def main() -> None:
    """Read the job, do it, write what was measured."""
    import uvloop

    given = json.load(sys.stdin)
    job = Job(**given | {"shape": Shape(given["shape"])})
    try:
        json.dump(dataclasses.asdict(uvloop.run(run(job))), sys.stdout)
    except (NoAnswer, NotCounted, OSError) as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
