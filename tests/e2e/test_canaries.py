"""Whatever fails, with whatever in its error: nothing that was said is in a log or a metric."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import httpx
import pytest
from tests.e2e.faults import assert_goes_on, kill_service, restart_envoy, until_gone
from tests.e2e.people import chat, connection_of, hold_of
from tests.e2e.stack import Stack
from tests.e2e.upstream_answers import JSON_TYPE, Answer, Ending, completion, whole

CANARY = "zanzibar-quetzal-4711"
KINDS = ("LOUD-REQUEST", "LOUD-ANSWER", "LOUD-RECORD", "LOUD-TOKEN", "LOUD-REVIEW", CANARY)


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """It fails at what says LOUD, and its errors say what they failed at."""
    loud = {"PYTHONPATH": str(Path(__file__).parent / "loud"), "PYTHONASYNCIODEBUG": "1"}
    with Stack(tmp_path_factory.mktemp("canaries"), wait="60s", environment=loud) as running:
        yield running


@pytest.fixture(autouse=True)
def _nothing_is_told(stack: Stack) -> Iterator[None]:
    """After each fault: the logs of all processes, and the page of metrics."""
    yield
    logs = [stack.folder / "up.log", *(stack.data / "logs").iterdir()]
    assert {log.name for log in logs} >= {"up.log", "access.log", "envoy.log", "service.log"}
    said = {log.name: log.read_text(errors="replace") for log in logs}
    said["metrics"] = stack.metrics()
    told = {(name, canary) for name, text in said.items() for canary in KINDS if canary in text}
    assert told == set()


def test_a_fault_while_a_request_is_read(stack: Stack) -> None:
    answer = stack.post(chat(f"LOUD-REQUEST {CANARY}"), "staff", subject=CANARY)
    assert (answer.status_code, CANARY in answer.text) == (503, False)
    assert stack.service_log("process.failed")[-1]["error"] == "ValueError"


def test_a_fault_while_an_answer_is_read(stack: Stack) -> None:
    stack.upstream.answer_with(completion(f"LOUD-ANSWER {CANARY}"))
    answer = stack.post(chat("Hello"), "staff")
    assert (answer.status_code, CANARY in answer.text) == (503, False)
    assert stack.service_log("process.failed")[-1]["error"] == "RuntimeError"


def test_a_fault_while_something_is_recorded(stack: Stack) -> None:
    answer = stack.post(chat(f"LOUD-RECORD {CANARY}"), "staff")
    assert (answer.status_code, CANARY in answer.text) == (503, False)
    assert_goes_on(stack)


def test_a_fault_while_a_token_is_verified(stack: Stack) -> None:
    headers = {"authorization": f"Bearer LOUD-TOKEN.{CANARY}", "user-agent": CANARY, "cookie": f"a={CANARY}"}
    answer = httpx.post(f"{stack.url}/v1/chat/completions?q={CANARY}", headers=headers, json={}, timeout=30)
    assert (answer.status_code, CANARY in answer.text) == (503, False)
    assert stack.service_log("ext_authz.failed")[-1]["error"] == "ValueError"


def test_a_fault_while_a_hold_is_shown(stack: Stack) -> None:
    with connection_of(stack, "mona", f"LOUD-REVIEW {CANARY}"):
        hold = hold_of(stack, "mona")
        shown = stack.cli("hold", "show", hold["id"], check=None)
    assert shown.returncode != 0
    assert CANARY not in shown.stdout + shown.stderr
    assert stack.service_log("review call failed")[-1]["error"] == "ValueError"


@pytest.mark.parametrize(
    "answer",
    [
        Answer(headers=JSON_TYPE, steps=(f'{{"choices": {CANARY}'.encode(),)),
        Answer(headers=JSON_TYPE, steps=(f'{{"choices": [{{"{CANARY}"'.encode(),), ending=Ending.RESET),
        Answer(headers=(("content-type", f"text/{CANARY}"),), steps=(CANARY.encode(),)),
        Answer(raw=f"HTTP/1.1 200 {CANARY}\r\n{CANARY}\r\n\r\n".encode()),
        whole({"error": {"message": CANARY, CANARY: CANARY}}, status=500),
    ],
    ids=["no JSON", "cut", "no type", "no HTTP", "an error"],
)
def test_a_model_that_answers_nonsense(stack: Stack, answer: Answer) -> None:
    stack.upstream.answer_with(answer)
    assert stack.post(chat(CANARY), "staff", path="/v1/chat/completions").status_code >= 500


def test_paths_bodies_and_headers_that_are_refused(stack: Stack) -> None:
    for path in (f"/{CANARY}", f"/v1/{CANARY}/%2e%2e/x", f"/v1/chat/completions?{CANARY}={CANARY}"):
        assert stack.post(f'{{"{CANARY}":'.encode(), "staff", path=path).status_code >= 400
    headers = {"content-type": CANARY, "prefer": CANARY, "idempotency-key": CANARY}
    assert stack.post(chat(CANARY), "staff", headers=headers).status_code >= 400


def test_a_record_that_is_away(stack: Stack) -> None:
    with closing(sqlite3.connect(stack.data / "authz.db", isolation_level=None, timeout=60)) as other:
        other.execute("BEGIN IMMEDIATE")
        assert stack.post(chat(CANARY), "staff", subject=CANARY).status_code == 503
        other.execute("ROLLBACK")
    assert_goes_on(stack)


def test_processes_that_are_killed_with_it_in_hand(stack: Stack) -> None:
    with connection_of(stack, "kim", CANARY):
        hold_of(stack, "kim")
        killed = stack.child("serve")
        kill_service(stack)
        until_gone(killed)
        restart_envoy(stack)
