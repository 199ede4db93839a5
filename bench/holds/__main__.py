"""`python -m bench.holds`: thousands of requests held at once, and released together."""

from __future__ import annotations

import asyncio
import shutil
import sys
import tempfile
import time
from pathlib import Path

import click
from bench.case import Gateway, Site
from bench.gateways import holding
from bench.holds.arrivals import Arrivals, model
from bench.holds.crowd import Crowd
from bench.holds.reviewing import Reviewer, arrival, one_by_one, reviewer, timed
from bench.processes import usage

from authz_api.v1 import holds_pb2 as pb
from authz_service.identity.embedded import GATEWAY_AUDIENCE, EmbeddedIssuer
from authz_service.keys.data_dir import DataDir
from authz_service.proxy.probes import free_port

CALLERS = 50
TIMES = 20
AT_ONCE = 1_000
"""Requests that are sent before those before them are held: on busy cores more would run into Envoy's limit
on the time that a check may take, which is another measurement."""
SERVICE_LIMIT = 1024 * 1024 * 1024
READ_LIMIT = 0.2
RELEASE_LIMIT = 0.05
RELEASE_LIMIT_OF_REPLICAS = 0.1


@click.command()
@click.option("--holds", type=click.IntRange(1), default=5_000, show_default=True)
@click.option("--one-by-one", "single", type=click.IntRange(1), default=200, show_default=True)
@click.option("--rate", type=click.IntRange(1), help="holds.release_rate; without it the default.")
@click.option(
    "--workers",
    type=click.IntRange(0),
    default=0,
    show_default=True,
    help="Processes of the service, on a PostgreSQL of their own; 0 is one on SQLite.",
)
@click.option("--minutes", type=click.FloatRange(0), default=0.0, help="How long all of them wait.")
@click.option("--keep", type=click.Path(file_okay=False, path_type=Path), help="Where logs are left.")
def main(holds: int, single: int, rate: int | None, workers: int, minutes: float, keep: Path | None) -> None:
    """Hold requests with bodies of 4 KB behind one Envoy and one service; then approve some, then the rest.

    At last some go through under a grant.

    With --workers the review API is a process of its own, and each approval is used by another.
    Needs three file descriptors for each hold (`ulimit -n`). Exits with 1 when a request failed or one of the
    aims was missed.
    """
    folder = keep or Path(tempfile.mkdtemp(prefix="authz-holds-"))
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        missed = _run(folder, holds, min(single, holds), rate, workers, minutes * 60)
    finally:
        if keep is None:
            shutil.rmtree(folder, ignore_errors=True)
    if missed:
        sys.exit("missed: " + "; ".join(missed))


def _run(folder: Path, holds: int, single: int, rate: int | None, workers: int, seconds: float) -> list[str]:
    import uvloop

    port = free_port()
    setting = "wait: 24h, pending_per_caller: 10000" + (f", release_rate: {rate}" if rate else "")
    with holding(Site(folder, port, 0), holds=setting, workers=workers) as gateway:
        limit = RELEASE_LIMIT_OF_REPLICAS if workers else RELEASE_LIMIT
        return uvloop.run(_measured(folder, port, gateway, holds, single, seconds, limit))


async def _measured(
    folder: Path, model_port: int, gateway: Gateway, count: int, single: int, seconds: float, limit: float
) -> list[str]:
    data = DataDir.open(folder)
    issuer, now = EmbeddedIssuer.load(data.issuer_key), time.time()

    def token(name: str, group: str, audience: str) -> str:
        return issuer.sign(name, [group], audience=audience, ttl=86_400, now=now)

    tokens = [token(f"caller-{n}", "contractors", GATEWAY_AUDIENCE) for n in range(CALLERS)]
    arrivals, crowd = Arrivals(), Crowd(gateway.port, tokens)
    judge = token("reviewer", "reviewers", "authz-review")
    async with model(model_port, arrivals), reviewer(data.review_socket, judge) as person:
        try:
            return await _scene(gateway, crowd, arrivals, person, count, single, seconds, limit)
        finally:
            crowd.leave()


async def _scene(
    gateway: Gateway,
    crowd: Crowd,
    arrivals: Arrivals,
    person: Reviewer,
    count: int,
    single: int,
    seconds: float,
    limit: float,
) -> list[str]:
    missed: list[str] = []
    before = {name: usage(pid).rss for name, pid in gateway.pids.items() if pid}
    began, cpu = time.perf_counter(), usage(gateway.pids["service"]).cpu_seconds
    holds: list[pb.Hold] = []
    for start in range(0, count, AT_ONCE):
        numbers = range(start, min(start + AT_ONCE, count))
        await crowd.send(numbers)
        holds = await _all_pending(crowd, person, numbers.stop)
    _say(f"{len(holds)} of {count} held", f"{time.perf_counter() - began:.1f} s")
    _say("CPU of the service", _each(usage(gateway.pids["service"]).cpu_seconds - cpu, count))
    if len(holds) < count:
        return [f"{count - len(holds)} were not held: {dict(crowd.faults)}"]
    await asyncio.sleep(seconds)
    for name, rss in before.items():
        now = usage(gateway.pids[name]).rss
        _say(f"memory of {name}", f"{now / 2**20:.0f} MiB, {(now - rss) / 1024 / count:.1f} KiB a hold")
        if name == "service" and now > SERVICE_LIMIT:
            missed.append("the service takes more than 1 GiB")
    one = holds[0].id
    for what, work in (
        ("list 200", person.page),
        ("get one", lambda: person.get(one)),
        ("first of a watch", person.first_of_watch),
    ):
        missed += _times(what, await timed(work, TIMES), READ_LIMIT)
    decided = await one_by_one(person, holds[:single], arrivals)
    missed += _times("decide", decided.votes, READ_LIMIT)
    missed += _times("approval to model", decided.arrivals, limit)
    cpu = usage(gateway.pids["service"]).cpu_seconds
    missed += await _release(crowd, arrivals, person, count, single)
    _say(
        "CPU of the service", _each(usage(gateway.pids["service"]).cpu_seconds - cpu, max(1, count - single))
    )
    return missed + await _granted(crowd, arrivals, person, count, single)


async def _granted(crowd: Crowd, arrivals: Arrivals, person: Reviewer, count: int, times: int) -> list[str]:
    """Requests of one caller that nobody is asked about any more, from their connection to the model."""
    first = -(-count // CALLERS) * CALLERS
    await crowd.send([first])
    (hold,) = await _all_pending(crowd, person, 1, ended=count)
    await person.grant(hold, uses=times + 1)
    await arrival(arrivals, first)
    took = []
    for number in range(first + CALLERS, first + CALLERS * (times + 1), CALLERS):
        began = time.perf_counter()
        await crowd.send([number])
        took.append(await arrival(arrivals, number) - began)
    _times("under a grant, to model", sorted(took), float("inf"))
    return []


async def _all_pending(crowd: Crowd, person: Reviewer, count: int, *, ended: int = 0) -> list[pb.Hold]:
    """When `count` pend, or have ended beside those `ended` before."""
    deadline, held = time.perf_counter() + 60 + count / 50, await person.pending()
    while len(held) + crowd.ended - ended < count and time.perf_counter() < deadline:
        await asyncio.sleep(0.5)
        held = await person.pending()
    return held


async def _release(crowd: Crowd, arrivals: Arrivals, person: Reviewer, count: int, single: int) -> list[str]:
    rest = await person.pending()
    came = len(arrivals.at)
    bulk = Arrivals()
    began = time.perf_counter()
    refused = await person.approve_all(rest)
    voted = time.perf_counter() - began
    deadline = time.perf_counter() + 60 + count / 20
    while crowd.ended < count and time.perf_counter() < deadline:
        await asyncio.sleep(0.05)
    bulk.at = {number: at for number, at in arrivals.at.items() if at >= began}
    last = max(crowd.answered.values(), default=began) - began
    _say(f"{len(rest)} approved at once", f"{voted:.1f} s for the votes, {last:.1f} s to the last answer")
    _say("most at the model", f"{bulk.busiest_second()} in a second")
    wrong = {
        "refused votes": refused,
        "sent twice": arrivals.repeated,
        "unanswered": count - len(crowd.answered),
        "not at the model": count - len(arrivals.at),
    }
    _say("failures", str({**{name: n for name, n in wrong.items() if n}, **crowd.faults} or "none"))
    return [f"{name}: {n}" for name, n in wrong.items() if n] if came >= single else ["some never came"]


def _times(what: str, took: list[float], limit: float) -> list[str]:
    p50, p99 = (took[min(len(took) - 1, int(len(took) * part))] * 1000 for part in (0.5, 0.99))
    _say(what, f"p50 {p50:.1f} ms, p99 {p99:.1f} ms")
    return [f"{what} took {p99:.0f} ms at p99"] if p99 > limit * 1000 else []


def _each(seconds: float, count: int) -> str:
    return f"{seconds / count * 1000:.1f} ms each"


def _say(what: str, figure: str) -> None:
    click.echo(f"{what:24} {figure}")


if __name__ == "__main__":
    main()
