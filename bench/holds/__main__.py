"""`python -m bench.holds`: thousands of requests held at once, and released together."""

from __future__ import annotations

import asyncio
import json
import shutil
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import click
import psycopg
from bench.case import Gateway, Site
from bench.gateways import holding
from bench.holds.arrivals import Arrivals, model
from bench.holds.crowd import Crowd
from bench.holds.pending import all_pending, held_alone, held_beside
from bench.holds.reviewing import Reviewer, arrival, one_by_one, reviewer, timed
from bench.hosts import on_hosts
from bench.processes import usage

from authz_api.v1 import holds_pb2 as pb
from authz_service.identity.embedded import GATEWAY_AUDIENCE, EmbeddedIssuer
from authz_service.keys.data_dir import DataDir
from authz_service.proxy.probes import free_port

CALLERS = 50
EARLIER = 50
"""As many of a caller's earlier holds as the service compares with one that is looked at."""
TIMES = 20
SERVICE_LIMIT = 1024 * 1024 * 1024
READ_LIMIT = 0.2
RELEASE_LIMIT = 0.05
RELEASE_LIMIT_OF_REPLICAS = 0.1


@click.command()
@click.option("--holds", type=click.IntRange(1), default=5_000, show_default=True)
@click.option(
    "--at-once",
    type=click.IntRange(1),
    help="Sent before those before them are held; without it all of them.",
)
@click.option("--one-by-one", "single", type=click.IntRange(1), default=200, show_default=True)
@click.option("--rate", type=click.IntRange(1), help="holds.release_rate; without it the default.")
@click.option(
    "--workers",
    type=click.IntRange(0),
    default=0,
    show_default=True,
    help="Processes of the service, on a PostgreSQL of their own; 0 is one on SQLite.",
)
@click.option(
    "--hosts", is_flag=True, help="Two services as on two hosts: mutual TLS to Envoy, one PostgreSQL by TCP."
)
@click.option("--minutes", type=click.FloatRange(0), default=0.0, help="How long all of them wait.")
@click.option("--keep", type=click.Path(file_okay=False, path_type=Path), help="Where logs are left.")
def main(
    holds: int,
    at_once: int | None,
    single: int,
    rate: int | None,
    workers: int,
    hosts: bool,
    minutes: float,
    keep: Path | None,
) -> None:
    """Hold requests with bodies of 4 KB behind one Envoy and one service; then approve some, then the rest.

    At last some go through under a grant, and one is looked at that has many like it before.

    With --workers the review API is a process of its own, and each approval is used by another. With --hosts
    the reviewer asks one of them, and how soon approvals get to each is measured apart.
    Needs three file descriptors for each hold (`ulimit -n`). Exits with 1 when a request failed or one of the
    aims was missed.
    """
    folder = keep or Path(tempfile.mkdtemp(prefix="authz-holds-"))
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        limit = RELEASE_LIMIT_OF_REPLICAS if workers or hosts else RELEASE_LIMIT
        plan = Plan(holds, min(at_once or holds, holds), min(single, holds), minutes * 60, limit)
        missed = _run(folder, plan, rate, None if hosts else workers)
    finally:
        if keep is None:
            shutil.rmtree(folder, ignore_errors=True)
    if missed:
        sys.exit("missed: " + "; ".join(missed))


@dataclass(frozen=True, slots=True)
class Plan:
    """So many holds, `at_once` of them opened at a time; then they wait for `seconds`, `single` are approved
    one by one, each to be at the model within `limit` seconds, and the rest together."""

    count: int
    at_once: int
    single: int
    seconds: float
    limit: float


def _run(folder: Path, plan: Plan, rate: int | None, workers: int | None) -> list[str]:
    """What was missed by one service, by so many workers of it, or (None) by two hosts."""
    import uvloop

    port = free_port()
    setting = "wait: 24h, pending_per_caller: 10000" + (f", release_rate: {rate}" if rate else "")
    site = Site(folder, port, 0)
    with (
        on_hosts(site, holds=setting) if workers is None else holding(site, holds=setting, workers=workers)
    ) as gateway:
        missed = uvloop.run(_measured(folder, port, gateway, plan))
    if missed:
        _say("Envoy answered", str(answered(folder / "access.log")))
    return missed


async def _measured(folder: Path, model_port: int, gateway: Gateway, plan: Plan) -> list[str]:
    data = DataDir.open(folder)
    issuer, now = EmbeddedIssuer.load(data.issuer_key), time.time()

    def token(name: str, group: str, audience: str) -> str:
        return issuer.sign(name, [group], audience=audience, ttl=86_400, now=now)

    tokens = [token(f"caller-{n}", "contractors", GATEWAY_AUDIENCE) for n in range(CALLERS + 1)]
    arrivals, crowd = Arrivals(), Crowd(gateway.port, tokens[:CALLERS])
    steady = Crowd(gateway.port, tokens[CALLERS:])
    judge = token("reviewer", "reviewers", "authz-review")
    async with model(model_port, arrivals), reviewer(data.review_socket, judge) as person:
        try:
            missed = await _scene(gateway, crowd, arrivals, person, plan, folder)
            if len(crowd.answered) < plan.count:
                return missed
            return missed + await _beside(steady, person, plan.count + CALLERS * (plan.single + 2))
        finally:
            crowd.leave()
            steady.leave()


async def _scene(
    gateway: Gateway, crowd: Crowd, arrivals: Arrivals, person: Reviewer, plan: Plan, folder: Path
) -> list[str]:
    count = plan.count
    missed: list[str] = []
    before = {name: usage(pid).rss for name, pid in gateway.pids.items() if pid}
    took, cpu = 0.0, _cpu(gateway)
    holds: list[pb.Hold] = []
    for start in range(0, count, plan.at_once):
        numbers = range(start, min(start + plan.at_once, count))
        began = await crowd.send(numbers)
        holds = await all_pending(crowd, person, numbers.stop)
        took += time.perf_counter() - began
    _say(f"{len(holds)} of {count} held", f"{took:.1f} s, {plan.at_once} sent at once")
    _say("CPU of the service", _each(_cpu(gateway) - cpu, count))
    if len(holds) < count:
        return [f"{count - len(holds)} were not held: {dict(crowd.faults)}"]
    await asyncio.sleep(plan.seconds)
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
    by_host = _by_host(gateway, folder, holds, plan.single)
    single = sum(map(len, by_host.values()))
    for where, some in by_host.items():
        decided = await one_by_one(person, some, arrivals)
        missed += _times(f"decide{where}", decided.votes, READ_LIMIT)
        missed += _times(f"approval to model{where}", decided.arrivals, plan.limit)
    cpu = _cpu(gateway)
    missed += await _release(crowd, arrivals, person, count, single)
    _say("CPU of the service", _each(_cpu(gateway) - cpu, max(1, count - single)))
    return missed + await _granted(crowd, arrivals, person, count, single)


def _cpu(gateway: Gateway) -> float:
    """Seconds of all services together."""
    return sum(usage(pid).cpu_seconds for name, pid in gateway.pids.items() if "service" in name)


def _by_host(gateway: Gateway, folder: Path, holds: list[pb.Hold], single: int) -> dict[str, list[pb.Hold]]:
    """So many of the holds, half of them on each host, by whether it is the one whose review API is asked."""
    if "other service" not in gateway.pids:
        return {"": holds[:single]}
    own = (folder / "instance").read_text()
    with psycopg.connect(gateway.store) as connection:
        found: dict[str, str] = dict(connection.execute("SELECT id, instance FROM sessions").fetchall())
    by_host: dict[str, list[pb.Hold]] = {" there": [], " elsewhere": []}
    for hold in holds:
        by_host[" there" if found[hold.session] == own else " elsewhere"].append(hold)
    return {where: some[: (single + 1) // 2] for where, some in by_host.items()}


async def _granted(crowd: Crowd, arrivals: Arrivals, person: Reviewer, count: int, times: int) -> list[str]:
    """Requests of one caller that nobody is asked about any more, from their connection to the model."""
    first = -(-count // CALLERS) * CALLERS
    hold = await held_alone(crowd, person, first, ended=count)
    if isinstance(hold, str):
        return [f"before the grant {hold}"]
    await person.grant(hold, uses=times + 1)
    await arrival(arrivals, first)
    took = []
    for number in range(first + CALLERS, first + CALLERS * (times + 1), CALLERS):
        began = time.perf_counter()
        await crowd.send([number])
        took.append(await arrival(arrivals, number) - began)
    _times("under a grant, to model", sorted(took), float("inf"))
    return []


async def _beside(crowd: Crowd, person: Reviewer, first: int) -> list[str]:
    """Looks at a hold whose caller has had as many let through before as are compared with it."""
    hold = await held_beside(crowd, person, first, EARLIER)
    if isinstance(hold, str):
        return [hold]
    return _times(
        f"show beside {EARLIER} earlier", await timed(lambda: person.shown(hold.id), TIMES), READ_LIMIT
    )


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


def answered(log: Path) -> dict[str, int]:
    """How often Envoy answered what, and why, by its access log."""
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    return dict(Counter(f"{line['status']} {line['details']}" for line in lines))


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
