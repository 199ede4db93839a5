"""Workers that start together, one of them later than the others, and one that is away for a while."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.e2e.crew import crew_of, kill, processes, unhealthy, until_back
from tests.e2e.faults import stop_service, suspended, until_gone
from tests.e2e.loads import load_on
from tests.e2e.people import until
from tests.e2e.stack import Stack
from tests.store.postgres_for_tests import PostgresForTests

from authz_service.keys.crew import Part
from authz_service.keys.data_dir import DataDir
from authz_service.proxy.probes import accepts_unix

pytestmark = pytest.mark.postgres

OTHER = {"0": "1", "1": "0"}
LATE = 3.0
"""Seconds for which one listens and the other does not: for Envoy time enough to ask both, and again."""
ENVOY_ASKS = 19.0
"""Seconds for which Envoy asks at least while nobody listens; a busy machine may take longer to start."""
CHECKED = 2.0
"""Seconds within which Envoy checks the health of one that it had given up."""


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresForTests]:
    server = PostgresForTests(Path(tempfile.mkdtemp(prefix="authz-postgres-")))
    yield server
    server.remove()


@pytest.fixture
def stack(server: PostgresForTests, tmp_path: Path) -> Iterator[Stack]:
    with crew_of(server, tmp_path) as running:
        yield running


@pytest.mark.parametrize("late", OTHER)
def test_a_worker_that_is_later_than_the_other_costs_nobody_a_request(stack: Stack, late: str) -> None:
    """Bodies that Envoy cannot send twice either: none may meet the one that does not listen yet."""
    with load_on(stack, short=3, streams=1, large=4) as load:
        before, asked_to_stop = processes(stack)[late], time.monotonic()
        until_gone(stop_service(stack))
        with suspended(_next(stack, late, before)):
            until(lambda: listens(stack, OTHER[late]), "the other one listens")
            envoy_knows = time.monotonic() + CHECKED
            time.sleep(LATE)
        load.go_on(20)
    given_up = [failed for failed in load.failures if failed.ended > asked_to_stop + ENVOY_ASKS]
    assert [failed for failed in load.failures if failed not in given_up] == []
    assert [failed for failed in given_up if failed.began > envoy_knows] == []


def test_of_large_bodies_only_those_are_lost_that_met_a_dead_worker_first(stack: Stack) -> None:
    """Envoy leaves it out until it is back, however long that takes."""
    with load_on(stack, short=2, streams=1, large=4) as load:
        killed = kill(stack, "0")
        with suspended(_next(stack, "0", killed)):
            until(lambda: unhealthy(stack) == 1, "Envoy leaves it out")
            left_out = time.monotonic()
            time.sleep(2 * LATE)
            load.go_on(20)
        until_back(stack, "0", killed)
        load.go_on(20)
    assert [failed for failed in load.failures if failed.began > left_out] == []


def listens(stack: Stack, worker: str) -> bool:
    """Whether Envoy could ask this one."""
    return accepts_unix(Part(stack.workers, int(worker)).socket(DataDir.open(stack.data)))


def _next(stack: Stack, part: str, before: int) -> int:
    """The process that takes the part after the one `before`."""
    return until(
        lambda: pid if (pid := processes(stack).get(part, before)) != before else 0,
        "it is started",
    )
