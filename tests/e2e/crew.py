"""A gateway with several workers on a PostgreSQL, and what its tests ask of it."""

from __future__ import annotations

import os
import re
import signal
from pathlib import Path
from typing import Any

import httpx
from tests.e2e.people import until
from tests.e2e.stack import CONFIG, Stack
from tests.store.postgres_for_tests import PostgresForTests

WORKERS = 2
KEYS = 'record: {{keys: {{url: "{keys}"}}}}\n'


def crew_of(server: PostgresForTests, folder: Path, *, workers: int = WORKERS, **more: Any) -> Stack:
    """A gateway that is not started yet, with databases of its own."""
    keys = server.url(server.create(template="template1"))
    config = more.pop("config", CONFIG) + KEYS.replace("{keys}", keys.replace("{", "{{"))
    return Stack(folder, store=server.url(server.create()), config=config, workers=workers, **more)


def processes(stack: Stack) -> dict[str, int]:
    """The processes of the service by their part: `-1` is the keeper, `0` the first worker."""
    found = {}
    for pid, command in stack.processes().items():
        part = re.search(r"serve .*--part (-?\d+)", command)
        if part is not None:
            found[part[1]] = pid
    return found


def owner_of(stack: Stack, hold: dict[str, Any]) -> str:
    """The part that has the exchange which opened this hold, by its session's first entry."""
    first = stack.session(hold["session"])["events"][0]
    return str(first["data"]["instance"]).rpartition("-")[2]


def kill(stack: Stack, part: str) -> int:
    """SIGKILL; the process that was killed."""
    pid = processes(stack)[part]
    os.kill(pid, signal.SIGKILL)
    return pid


def until_back(stack: Stack, part: str, killed: int) -> None:
    """Until another process has taken that part, serves, and gets its share from Envoy again."""
    until(lambda: processes(stack).get(part) not in (None, killed), f"another process for {part}")
    until_all_serve(stack)


def until_all_serve(stack: Stack) -> None:
    """Until every part answers, and Envoy gives requests to each."""
    parts = {"-1", *(str(worker) for worker in range(stack.workers))}
    until(lambda: parts_up(stack) == parts and unhealthy(stack) == 0, "all serve")


def parts_up(stack: Stack) -> set[str]:
    """The parts that answer; none, while nobody is there to tell."""
    try:
        page = stack.metrics()
    except httpx.TransportError:
        return set()
    up = re.findall(r'authz_process_up\{process="(?:worker )?(\w+)"\} 1', page)
    return {"-1" if part == "keeper" else part for part in up}


def unhealthy(stack: Stack) -> int:
    """How many of the service's processes Envoy leaves out."""
    admin = httpx.HTTPTransport(uds=str(stack.data / "run" / "envoy-admin.sock"))
    with httpx.Client(transport=admin, timeout=60) as client:
        clusters = client.get("http://envoy/clusters").text
    flags = re.findall(r"^authz_service::\S+::health_flags::(\S+)$", clusters, re.MULTILINE)
    return sum(flag != "healthy" for flag in flags)
