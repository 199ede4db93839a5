"""Rules are reloaded, workers replaced and killed under load; who is answered by others notices nothing."""

from __future__ import annotations

import re
import signal
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.e2e.crew import crew_of, kill, processes, until_all_serve, until_back
from tests.e2e.loads import CUT, load_on
from tests.e2e.people import approve, asking, hold_of, said, until
from tests.e2e.stack import Stack
from tests.store.postgres_for_tests import PostgresForTests

pytestmark = pytest.mark.postgres

WORKERS = 3
POISONED = "503 poisoned"
"""Refused by another worker, and on record by that one alone, where it was not on record yet."""
OF_THE_DEAD = {"503 gateway_unavailable", "503 restarted", POISONED, CUT}
"""What may come of a request that a worker had when it was killed: docs/workers.md."""


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresForTests]:
    server = PostgresForTests(Path(tempfile.mkdtemp(prefix="authz-postgres-")))
    yield server
    server.remove()


@pytest.fixture(scope="module")
def stack(server: PostgresForTests, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with crew_of(server, tmp_path_factory.mktemp("rolling"), workers=WORKERS, wait="5m") as running:
        yield running


def logged(stack: Stack, event: str, before: int, *, times: int = 1) -> None:
    """Wait until an event has come so many times more."""
    found = until(lambda: stack.service_log(event)[before + times - 1 :], event, within=200)
    assert found


def policy(stack: Stack) -> str:
    """The digest of the policy that all processes decide by."""
    page = stack.metrics()
    (found,) = set(re.findall(r'authz_policy_info\{.*policy="(\w+)"', page))
    return str(found)


def test_no_request_notices_reloads(stack: Stack) -> None:
    good, policies = stack.config_file.read_text(), [policy(stack)]
    with load_on(stack) as load:
        for number in range(3):
            before = len(stack.service_log("policy.activated"))
            stack.config_file.write_text(good.replace("Private keys may", f"{number} private keys may"))
            stack.process.send_signal(signal.SIGHUP)
            logged(stack, "policy.activated", before, times=WORKERS + 1)
            policies.append(policy(stack))
            load.go_on(10)
    stack.config_file.write_text(good)
    assert load.failures == []
    assert len(set(policies)) == 4


def test_no_request_notices_that_all_processes_are_replaced(stack: Stack) -> None:
    waiting = asking(stack, "wanda", "Wait for all of them")
    hold_of(stack, "wanda")
    before, done = processes(stack), len(stack.service_log("service.restarted"))
    with load_on(stack, large=3) as load:
        stack.process.send_signal(signal.SIGUSR2)
        logged(stack, "service.restarted", done)
        load.go_on()
    assert load.failures == []
    after = processes(stack)
    assert not set(before.values()) & set(after.values())
    approve(stack, hold_of(stack, "wanda"))
    assert said(waiting.result(60)) == "Hello from upstream."


def test_only_what_a_killed_worker_had_in_hand_fails_and_as_it_is_documented(stack: Stack) -> None:
    with load_on(stack) as load:
        for part in map(str, range(WORKERS)):
            failed = len(load.failures)
            killed = kill(stack, part)
            killed_at = time.monotonic()
            until_back(stack, part, killed)
            load.go_on()
            lost = load.failures[failed:]
            assert {outcome.came_to for outcome in lost} <= OF_THE_DEAD
            assert [outcome for outcome in lost if outcome.began > killed_at] == []
            had = [outcome.session for outcome in lost if outcome.session and outcome.came_to != POISONED]
            known = {stack.session(session)["events"][0]["data"]["instance"] for session in had}
            assert {instance.rpartition("-")[2] for instance in known} <= {part}
    stack.cli("audit", "verify", "--config", str(stack.config_file))


def test_a_restart_that_could_not_end_well_replaces_nothing_and_says_why(stack: Stack) -> None:
    good, before = stack.config_file.read_text(), processes(stack)
    for bad, said_why in (
        (good.replace("gpt-4o", "gpt-5"), "models changed"),
        ("version: 7", "authz.yaml:1"),
    ):
        stack.config_file.write_text(bad)
        refused = len(stack.service_log("service.restart_kept"))
        stack.process.send_signal(signal.SIGUSR2)
        logged(stack, "service.restart_kept", refused)
        assert said_why in stack.service_log("service.restart_kept")[-1]["error"]
    stack.config_file.write_text(good)
    until_all_serve(stack)
    assert processes(stack) == before
