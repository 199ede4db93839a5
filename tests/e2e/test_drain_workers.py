"""Workers that stop behind an Envoy finish their streams, and give who waits and what comes to the others."""

from __future__ import annotations

import json
import signal
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import Future
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML
from tests.e2e.crew import KEYS, crew_of, owner_of, processes, until_all_serve
from tests.e2e.faults import held_again, stop_service, until_gone
from tests.e2e.loads import load_on
from tests.e2e.people import approve, ask, chat, hold_of, in_background, received, said, until
from tests.e2e.plain import HELLO, contractor, data_of, on_record, staff
from tests.e2e.raw_client import RawClient, Reply
from tests.e2e.stack import CONFIG, Stack
from tests.e2e.test_workers import resumptions
from tests.e2e.upstream_answers import SSE_TYPE, Answer, Gate, stream
from tests.soak.apart import Apart
from tests.store.postgres_for_tests import PostgresForTests

pytestmark = pytest.mark.postgres

COMPOSE = YAML(typ="safe").load((Path(__file__).parents[2] / "docker-compose.yml").read_text())
STREAM = json.dumps(chat("Hello", stream=True)).encode()
PATIENCE = "120"
BOTH = {"0", "1"}
ENVOY_ASKS = 19.0
"""Seconds for which Envoy asks at least while nobody listens: twenty, by pauses that are random."""


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresForTests]:
    server = PostgresForTests(Path(tempfile.mkdtemp(prefix="authz-postgres-")))
    yield server
    server.remove()


@pytest.fixture
def stack(server: PostgresForTests, tmp_path: Path) -> Iterator[Stack]:
    with crew_of(server, tmp_path, wait="5m", options=("--drain", PATIENCE)) as running:
        yield running


class Waiting:
    """Requests that wait for people, at least one by each worker."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.answers: dict[str, Future[Any]] = {}
        self.holds: dict[str, dict[str, Any]] = {}
        self.owners: dict[str, str] = {}
        while set(self.owners.values()) != BOTH:
            assert len(self.owners) < 20, "Envoy finds both"
            name = f"caller-{len(self.owners):02}"
            self.answers[name] = self._asking(name)
            self.holds[name] = hold_of(stack, name)
            self.owners[name] = owner_of(stack, self.holds[name])

    def _asking(self, name: str) -> Future[Any]:
        """By an SDK that comes again when it is told to."""
        client = self.stack.sdk(name, "contractors", max_retries=20)
        return in_background(lambda: ask(client, f"I am {name}"))

    def of(self, part: str) -> list[dict[str, Any]]:
        """The holds that a worker opened."""
        return [hold for name, hold in self.holds.items() if self.owners[name] == part]

    def answered(self) -> None:
        """Approve all; each is answered, and went to the model once."""
        for hold in self.holds.values():
            approve(self.stack, hold)
        assert {said(answer.result(60)) for answer in self.answers.values()} == {"Hello from upstream."}
        assert all(len(received(self.stack, f"I am {name}")) == 1 for name in self.holds)


class Streams:
    """Answers that have begun, at least one by each worker, and go on when the gates are opened."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.clients: list[RawClient] = []
        self.gates: list[Gate] = []
        self.sessions: list[str] = []
        owners: set[str] = set()
        first, *rest = stream(["Hello there, ", "how are you?"]).steps
        while owners != BOTH:
            assert len(self.clients) < 20, "Envoy finds both"
            gate = stack.upstream.gate()
            stack.upstream.answer_with(Answer(headers=SSE_TYPE, steps=(first, gate, *rest)))
            client = RawClient(stack.url, timeout=180)
            client.send(staff(stack).head(size=len(STREAM)) + STREAM)
            _, headers = client.reply_head()
            client.read_until(b"there, ")
            self.clients.append(client)
            self.gates.append(gate)
            self.sessions.append(dict(headers)["x-authz-session"])
            begun = stack.session(self.sessions[-1])["events"][0]["data"]
            owners.add(str(begun["instance"]).rpartition("-")[2])

    def finish(self) -> None:
        """Let the model go on; each comes to its own end, on record too."""
        for gate in self.gates:
            gate.open()
        for client, session in zip(self.clients, self.sessions, strict=True):
            with client:
                rest = client.read_until(b"\r\n0\r\n\r\n")
            assert b"how are you?" in rest
            assert rest.endswith(b"data: [DONE]\n\n\r\n0\r\n\r\n")
            assert data_of(on_record(self.stack, session), "exchange.ended")["outcome"] == "completed"


def test_while_workers_are_replaced_streams_finish_and_who_waits_and_what_comes_goes_to_the_others(
    stack: Stack,
) -> None:
    waiting, streams = Waiting(stack), Streams(stack)
    before = processes(stack)
    with load_on(stack, short=3, streams=2) as load:
        stack.process.send_signal(signal.SIGUSR2)
        for hold in waiting.of("0"):
            again = until(lambda: resumptions(stack, hold["session"]), "the other has it", within=60)  # noqa: B023 - called here
            assert again[-1]["data"]["instance"].endswith("-1")
        assert processes(stack)["0"] == before["0"], "it stays for its stream"
        load.go_on(20)
        streams.finish()
        until(lambda: stack.service_log("service.restarted"), "all are replaced", within=120)
        load.go_on(20)
    assert load.failures == []
    assert not set(before.values()) & set(processes(stack).values())
    waiting.answered()
    stack.cli("audit", "verify", "--config", str(stack.config_file))


def test_a_stop_of_all_workers_lets_streams_finish_and_the_next_ones_take_up_who_waits(stack: Stack) -> None:
    """On a busy machine the next ones may take longer than the twenty seconds for which Envoy asks."""
    waiting, streams = Waiting(stack), Streams(stack)
    with load_on(stack, short=3, streams=2, large=2) as load:
        asked_to_stop = time.monotonic()
        stopped = stop_service(stack)
        streams.finish()
        until_gone(stopped)
        load.go_on(20)
    too_soon = [outcome for outcome in load.failures if outcome.ended < asked_to_stop + ENVOY_ASKS]
    assert too_soon == [], "nothing fails before nobody has listened for as long as Envoy asks"
    assert {outcome.came_to for outcome in load.failures} <= {"503 gateway_unavailable"}
    until_all_serve(stack)
    for hold in waiting.holds.values():
        held_again(stack, hold)
    waiting.answered()
    stack.cli("audit", "verify", "--config", str(stack.config_file))


def test_compose_stops_workers_and_then_envoy_and_who_waits_is_told_to_come_again(
    server: PostgresForTests, tmp_path: Path
) -> None:
    service = COMPOSE["services"]["authz"]
    workers = int(service["command"][service["command"].index("--workers") + 1])
    keys = KEYS.replace("{keys}", server.url(server.create(template="template1")).replace("{", "{{"))
    stack = Apart(
        tmp_path, store=server.url(server.create()), config=CONFIG + keys, workers=workers, wait="5m"
    )
    with stack.upstream:
        stack.write_config()
        try:
            stack.start()
            told: list[Future[Reply]] = []
            owners: set[str] = set()
            while len(owners) < workers:
                assert len(told) < 20, "Envoy finds every worker"
                name = f"kim-{len(told):02}"
                told.append(in_background(partial(contractor(stack, name).ask, HELLO)))
                owners.add(owner_of(stack, hold_of(stack, name)))
            stack.service.send_signal(signal.Signals[service.get("stop_signal", "SIGTERM")])
            stack.service.wait(60)
            stack.end_envoy()
            assert [one.result(60).refusal for one in told] == [(409, "approval_pending")] * len(told)
        finally:
            stack.stop()
