"""Several workers on one PostgreSQL behind one Envoy: one gateway, whichever of them answers, or dies."""

from __future__ import annotations

import json
import re
import signal
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.e2e.crew import WORKERS, crew_of, kill, owner_of, processes, until_all_serve, until_back
from tests.e2e.faults import kill_up
from tests.e2e.people import (
    approve,
    ask,
    asking,
    chat,
    connection_of,
    hold_of,
    in_background,
    received,
    reject,
    said,
    until,
)
from tests.e2e.stack import Stack
from tests.store.postgres_for_tests import PostgresForTests

from authz_cli.options import Target
from authz_cli.session_client import connect
from authz_cli.session_json import session_with_bodies

pytestmark = pytest.mark.postgres


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresForTests]:
    server = PostgresForTests(Path(tempfile.mkdtemp(prefix="authz-postgres-")))
    yield server
    server.remove()


@pytest.fixture(scope="module")
def stack(server: PostgresForTests, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Its workers die of a request that says POISON."""
    environment = {"PYTHONPATH": str(Path(__file__).parent / "poison")}
    with crew_of(server, tmp_path_factory.mktemp("crew"), environment=environment) as running:
        yield running


def instances(stack: Stack) -> set[str]:
    """The workers that have answered somebody, by the record."""
    listed = stack.cli_json("session", "list", "--limit", "40")
    with connect(Target(None, None, None, stack.data, is_data_dir_named=True)) as client:
        sessions = [session_with_bodies(*client.session(found["id"])) for found in listed]
    return {str(session["events"][0]["data"]["instance"]).rpartition("-")[2] for session in sessions}


def test_each_worker_answers_and_all_write_one_record(stack: Stack) -> None:
    until_all_serve(stack)
    client = stack.sdk("ann", "staff")
    for _ in range(6):
        answers = [in_background(lambda: ask(client, "Hello")) for _ in range(4)]
        assert [said(answer.result(60)) for answer in answers] == ["Hello from upstream."] * 4
    assert instances(stack) == {str(worker) for worker in range(WORKERS)}
    assert set(processes(stack)) == {"-1", *(str(worker) for worker in range(WORKERS))}
    stack.cli("audit", "verify", "--config", str(stack.config_file))


def test_one_hold_for_one_person_s_request_whichever_worker_gets_it(stack: Stack) -> None:
    waiting = [asking(stack, "bo", "Plan a party") for _ in range(4)]
    hold = hold_of(stack, "bo", waiting=4)
    approve(stack, hold)
    fresh = hold_of(stack, "bo", waiting=3, but=hold["id"])
    assert len(received(stack, "Plan a party")) == 1
    reject(stack, fresh, "one party is enough")
    outcomes = sorted(type(future.exception(60)).__name__ for future in waiting)
    assert outcomes == ["NoneType", "PermissionDeniedError", "PermissionDeniedError", "PermissionDeniedError"]


def test_an_operator_ends_an_exchange_on_whatever_worker_has_it(stack: Stack) -> None:
    waiting = [asking(stack, f"kim{number}", "Stop me") for number in range(4)]
    for number in range(4):
        hold = hold_of(stack, f"kim{number}")
        stack.cli("session", "kill", hold["session"], "--reason", "enough", "--yes")
    ended = [future.exception(60) for future in waiting]
    assert [type(error).__name__ for error in ended] == ["PermissionDeniedError"] * 4
    assert received(stack, "Stop me") == []


def test_the_metrics_of_all_processes_are_at_one_address(stack: Stack) -> None:
    waiting = connection_of(stack, "mia", "Count me")
    hold = hold_of(stack, "mia")
    parts = ("keeper", *(f"worker {n}" for n in range(WORKERS)))
    page = until(lambda: page_of(stack, parts), "all processes answer")
    held = re.findall(r'authz_exchanges_waiting\{process="worker \d"\} (\S+)', page)
    assert sum(map(float, held)) >= 1
    assert 'authz_checkpoint_consistent{process="keeper"} 1.0' in page
    all_ready = {"ready": True, "processes": dict.fromkeys(parts, True)}
    until(lambda: ready(stack) == (200, all_ready), "all are ready")
    waiting.close()
    reject(stack, hold, "counted")


def page_of(stack: Stack, parts: Sequence[str]) -> str:
    """The page of metrics, once these and no others have answered within the seconds that each has."""
    page = stack.metrics()
    up = dict(re.findall(r'authz_process_up\{process="([^"]+)"\} (\S+)', page))
    return page if up == dict.fromkeys(parts, "1.0") else ""


def ready(stack: Stack) -> tuple[int, Any]:
    """What `/ready` says of all processes."""
    said = httpx.get(str(stack.info["metrics"]).replace("/metrics", "/ready"), timeout=60)
    return said.status_code, said.json()


def test_a_reload_reaches_every_worker(stack: Stack) -> None:
    good = stack.config_file.read_text()
    allows = "'staff' in caller.groups\", effect: allow"
    assert allows in good
    reload(stack, good.replace(allows, 'false", effect: allow'))
    assert {stack.post(chat("x"), "staff").status_code for _ in range(12)} == {403}
    reload(stack, good)
    assert {stack.post(chat("x"), "staff").status_code for _ in range(12)} == {200}


def reload(stack: Stack, text: str) -> None:
    """Put a file in force in all processes."""
    before = len(stack.service_log("policy.activated"))
    stack.config_file.write_text(text)
    stack.process.send_signal(signal.SIGHUP)
    until(lambda: len(stack.service_log("policy.activated")) == before + WORKERS + 1, "all reload")


def test_what_waits_on_a_worker_that_dies_goes_on_in_another(stack: Stack) -> None:
    waiting = [asking(stack, "pat", "Outlive your worker") for _ in range(2)]
    hold = hold_of(stack, "pat", waiting=2)
    owner = owner_of(stack, hold)
    killed = kill(stack, owner)
    resumed = until(lambda: resumptions(stack, hold["session"]), "another worker has it")
    assert resumed[-1]["data"]["instance"].rpartition("-")[2] in processes(stack)
    approve(stack, hold)
    fresh = hold_of(stack, "pat", but=hold["id"])
    reject(stack, fresh, "once is enough")
    outcomes = sorted(type(future.exception(60)).__name__ for future in waiting)
    assert outcomes == ["NoneType", "PermissionDeniedError"]
    assert len(received(stack, "Outlive your worker")) == 1
    until_back(stack, owner, killed)
    stack.cli("audit", "verify", "--config", str(stack.config_file))


def test_nobody_notices_a_worker_that_dies_with_nothing_in_hand(stack: Stack) -> None:
    waiting = [asking(stack, f"eve{number}", "Keep a worker busy") for number in range(4)]
    holds = [hold_of(stack, f"eve{number}") for number in range(4)]
    client = stack.sdk("ann", "staff").with_options(max_retries=0)
    for part in map(str, range(WORKERS)):
        killed = kill(stack, part)
        assert [said(ask(client, "Who is left?")) for _ in range(25)] == ["Hello from upstream."] * 25
        until_back(stack, part, killed)
    for hold in holds:
        approve(stack, hold)
    assert [said(future.result(60)) for future in waiting] == ["Hello from upstream."] * 4


def resumptions(stack: Stack, session: str) -> list[dict[str, Any]]:
    found = json.loads(stack.cli("session", "show", session, "--json", check=None).stdout or "{}")
    return [event for event in found.get("events", []) if event["kind"] == "exchange.resumed"]


def test_a_request_that_kills_its_worker_is_not_tried_on_the_next(stack: Stack) -> None:
    before = processes(stack)
    answer = stack.post(chat("POISON"), "staff")
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "poisoned")
    assert answer.headers["x-should-retry"] == "false"
    assert said(ask(stack.sdk("ann", "staff"), "Is anybody left?")) == "Hello from upstream."
    until_all_serve(stack)
    changed = [part for part, pid in processes(stack).items() if pid != before[part]]
    assert len(changed) == 1
    assert received(stack, "POISON") == []
    session = stack.session(answer.headers["x-authz-session"])
    kinds = [event["kind"] for event in session["events"]]
    assert kinds[:3] == ["request.received", "request.refused", "exchange.ended"]


def test_a_request_whose_check_kills_its_worker_is_refused_by_the_next(stack: Stack) -> None:
    before = processes(stack)
    answer = stack.post(chat("Who am I?"), "staff", path="/v1/chat/completions?POISON")
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "poisoned")
    assert answer.headers["x-should-retry"] == "false"
    assert said(ask(stack.sdk("ann", "staff"), "Is anybody left?")) == "Hello from upstream."
    until_all_serve(stack)
    changed = [part for part, pid in processes(stack).items() if pid != before[part]]
    assert len(changed) == 1
    assert received(stack, "Who am I?") == []


def test_a_keeper_that_dies_comes_back_and_nobody_who_waits_notices(stack: Stack) -> None:
    waiting = asking(stack, "kit", "Keep me")
    hold = hold_of(stack, "kit")
    killed = kill(stack, "-1")
    assert said(ask(stack.sdk("ann", "staff"), "Meanwhile")) == "Hello from upstream."
    until_back(stack, "-1", killed)
    until(lambda: stack.cli("hold", "list", check=None).returncode == 0, "the review API")
    approve(stack, hold)
    assert said(waiting.result(60)) == "Hello from upstream."
    assert len(received(stack, "Keep me")) == 1


@pytest.fixture
def on_sqlite(tmp_path: Path) -> Iterator[Stack]:
    """A configuration that one process can serve; nothing runs."""
    stack = Stack(tmp_path)
    with stack.upstream:
        stack.write_config()
        yield stack


def test_sqlite_with_several_workers_is_refused_with_what_to_do(on_sqlite: Stack) -> None:
    for command in (("serve",), ("up",), ("envoy", "render")):
        refused = on_sqlite.cli(*command, *two_of(on_sqlite), check=2)
        assert "set store.url to postgresql://..." in refused.stderr, command


def test_a_key_store_that_only_one_process_can_have_is_refused(on_sqlite: Stack) -> None:
    on_sqlite.write_config(store="postgresql://nobody@127.0.0.1:9/none")
    refused = on_sqlite.cli("serve", *two_of(on_sqlite), check=2)
    assert "record.keys.url to postgresql://..." in refused.stderr


def two_of(stack: Stack) -> tuple[str, ...]:
    return ("--config", str(stack.config_file), "--workers", "2")


def test_a_stop_leaves_no_process_and_neither_does_a_killed_up(
    server: PostgresForTests, tmp_path: Path
) -> None:
    with crew_of(server, tmp_path) as stack:
        assert len(processes(stack)) == WORKERS + 1
        kill_up(stack)
        stack.start()
        stack.stop()
        assert stack.processes() == {}
