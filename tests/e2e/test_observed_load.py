"""Metrics, health and readiness are asked while requests run, and a lone service is stopped under them."""

from __future__ import annotations

import re
from collections.abc import Iterator

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from tests.e2e.faults import assert_goes_on, stop_service, until_gone
from tests.e2e.loads import load_on
from tests.e2e.people import until
from tests.e2e.stack import Stack
from tests.e2e.test_observed import SERVICES, probe

ROUNDS = 12


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with Stack(tmp_path_factory.mktemp("watched-load")) as running:
        yield running


def test_whoever_watches_is_answered_under_load_and_sees_each_request_once(stack: Stack) -> None:
    before, pages = allowed(stack), []
    with load_on(stack) as load:
        for _ in range(ROUNDS):
            pages.append(allowed(stack))
            assert (probe(stack, "live"), probe(stack, "ready")) == (200, 200)
            assert set(health(stack).values()) == {health_pb2.HealthCheckResponse.SERVING}
            load.go_on(1)
    assert load.failures == []
    assert pages == sorted(pages)
    assert pages[-1] > pages[0]
    assert allowed(stack) - before == load.count
    until(lambda: live(stack) == 0, "none is counted as in flight")


def test_no_request_notices_that_a_lone_service_is_stopped_and_started(stack: Stack) -> None:
    with load_on(stack, short=3, streams=3, large=3) as load:
        for _ in range(2):
            stopped = stop_service(stack)
            until_gone(stopped)
            assert_goes_on(stack)
            load.go_on()
            assert stack.child("serve") != stopped
    assert load.failures == []
    stack.cli("audit", "verify", "--config", str(stack.config_file))


def health(stack: Stack) -> dict[str, int]:
    """What each service that Envoy calls says of itself."""
    with grpc.insecure_channel(f"unix:{stack.data / 'run' / 'service.sock'}") as channel:
        asked = health_pb2_grpc.HealthStub(channel)
        names = (health_pb2.HealthCheckRequest(service=name) for name in SERVICES)
        return {name.service: asked.Check(name, timeout=60).status for name in names}


def allowed(stack: Stack) -> float:
    """How many requests were allowed."""
    return sample(stack, r'authz_decisions_total\{effect="allow"\}')


def live(stack: Stack) -> float:
    """How many exchanges are in flight."""
    return sample(stack, "authz_exchanges_live")


def sample(stack: Stack, name: str) -> float:
    """One number of the page of metrics."""
    (found,) = re.findall(rf"^{name} (\S+)$", stack.metrics(), re.MULTILINE)
    return float(found)
