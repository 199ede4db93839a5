"""What operators see of requests: how many, what was decided, and nothing of what was in them."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing

import grpc
import httpx
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from tests.e2e.people import until
from tests.e2e.stack import CHAT, Stack

CANARY = "zanzibar-quetzal-4711"
SERVICES = ("", "envoy.service.auth.v3.Authorization", "envoy.service.ext_proc.v3.ExternalProcessor")


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A gateway."""
    with Stack(tmp_path_factory.mktemp("observed"), wait="1s") as running:
        yield running


def test_decisions_are_counted_and_no_prompt_token_or_name_is_in_metrics_or_logs(stack: Stack) -> None:
    said = {**CHAT, "messages": [{"role": "user", "content": f"{CANARY} jane@example.com"}]}
    answers = [stack.post(said, group, subject=CANARY) for group in ("staff", "strangers", "contractors")]
    unreadable = stack.post(f'{{"model": "llama", "{CANARY}": '.encode(), "staff", subject=CANARY)
    headers = {"authorization": f"Bearer {CANARY}"}
    unknown = httpx.post(f"{stack.url}/v1/chat/completions", headers=headers, timeout=60)
    assert [answer.status_code for answer in answers] == [200, 403, 409]
    assert (unreadable.status_code, unknown.status_code) == (400, 401)

    ended = 'authz_added_seconds_count{phase="answer_end"} 1.0\n'
    page = until(lambda: page_with(stack, ended), "the answer's end is counted")
    for effect in ("allow", "hold", "deny", "refused"):
        assert f'authz_decisions_total{{effect="{effect}"}} 1.0\n' in page
    assert "authz_record_commit_seconds_bucket" in page
    assert 'authz_masked_total{entity="EMAIL_ADDRESS",side="request"} 3.0\n' in page
    assert "authz_decide_seconds_count 4.0\n" in page
    for phase, times in (("check", 4), ("request", 1)):
        assert f'authz_added_seconds_count{{phase="{phase}"}} {times}.0\n' in page
    written = [page, (stack.folder / "up.log").read_text(errors="replace")]
    logs = sorted((stack.data / "logs").glob("*"))
    assert {log.name for log in logs} >= {"access.log", "service.log"}
    written += [log.read_text(errors="replace") for log in logs]
    assert not [text for text in written if CANARY in text or "jane@example.com" in text]


def page_with(stack: Stack, line: str) -> str:
    """The page of metrics, once it has a line: what a caller has may be counted a moment later."""
    page = stack.metrics()
    return page if line in page else ""


def test_each_service_that_envoy_calls_is_healthy_by_its_name(stack: Stack) -> None:
    with grpc.insecure_channel(f"unix:{stack.data / 'run' / 'service.sock'}") as channel:
        health = health_pb2_grpc.HealthStub(channel)
        for name in SERVICES:
            answer = health.Check(health_pb2.HealthCheckRequest(service=name), timeout=60)
            assert answer.status == health_pb2.HealthCheckResponse.SERVING, name


def test_the_review_api_is_healthy_for_whoever_asks(stack: Stack) -> None:
    with grpc.insecure_channel(f"unix:{stack.data / 'run' / 'review.sock'}") as channel:
        health = health_pb2_grpc.HealthStub(channel)
        for name in ("", "authz.v1.HoldService", "authz.v1.SessionService"):
            answer = health.Check(health_pb2.HealthCheckRequest(service=name), timeout=60)
            assert answer.status == health_pb2.HealthCheckResponse.SERVING, name


def test_a_service_whose_record_cannot_be_written_to_lives_and_is_not_ready(stack: Stack) -> None:
    assert (probe(stack, "live"), probe(stack, "ready")) == (200, 200)
    with closing(sqlite3.connect(stack.data / "authz.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        assert (probe(stack, "ready"), probe(stack, "live")) == (503, 200)
        assert page_with(stack, "authz_record_up 0.0\n")
        other.execute("ROLLBACK")
    until(lambda: probe(stack, "ready") == 200, "it is ready again")
    until(lambda: page_with(stack, "authz_record_up 1.0\n"), "it is shown as up again")


def probe(stack: Stack, name: str) -> int:
    """The status of `/live` or `/ready`."""
    return httpx.get(str(stack.info["metrics"]).replace("/metrics", f"/{name}"), timeout=60).status_code
