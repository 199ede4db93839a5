"""With several workers too: whatever fails, nothing that was said is in a log or a metric of any process."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from tests.e2e.crew import crew_of, kill, owner_of, until_back
from tests.e2e.people import chat, connection_of, hold_of
from tests.e2e.stack import Stack
from tests.e2e.test_canaries import CANARY, KINDS
from tests.e2e.upstream_answers import completion
from tests.store.postgres_for_tests import PostgresForTests

pytestmark = pytest.mark.postgres

TIMES = 6
"""Of each fault, so that each worker has its share."""


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    """Its processes fail at what says LOUD, and their errors say what they failed at."""
    server = PostgresForTests(Path(tempfile.mkdtemp(prefix="authz-postgres-")))
    loud = {"PYTHONPATH": str(Path(__file__).parent / "loud"), "PYTHONASYNCIODEBUG": "1"}
    try:
        with crew_of(server, tmp_path, environment=loud, wait="60s") as running:
            yield running
    finally:
        server.remove()


def test_no_process_tells_what_it_failed_at(stack: Stack) -> None:
    for _ in range(TIMES):
        assert stack.post(chat(f"LOUD-REQUEST {CANARY}"), "staff", subject=CANARY).status_code == 503
        stack.upstream.answer_with(completion(f"LOUD-ANSWER {CANARY}"))
        assert stack.post(chat(CANARY), "staff").status_code == 503
        assert stack.post(chat(f"LOUD-RECORD {CANARY}"), "staff").status_code == 503
        headers = {"authorization": f"Bearer LOUD-TOKEN.{CANARY}"}
        path = f"{stack.url}/v1/chat/completions?q={CANARY}"
        assert httpx.post(path, headers=headers, json={}, timeout=30).status_code == 503
    with connection_of(stack, "mona", f"LOUD-REVIEW {CANARY}"):
        hold = hold_of(stack, "mona")
        assert stack.cli("hold", "show", hold["id"], check=None).returncode != 0
    with connection_of(stack, "kim", CANARY):
        owner = owner_of(stack, hold_of(stack, "kim"))
        until_back(stack, owner, kill(stack, owner))
    for event in ("process.failed", "ext_authz.failed", "review call failed", "service.process_ended"):
        assert stack.service_log(event), f"nothing came to {event}"
    logs = {log.name: log.read_text(errors="replace") for log in (stack.data / "logs").iterdir()}
    logs["up.log"] = (stack.folder / "up.log").read_text(errors="replace")
    logs["metrics"] = stack.metrics()
    assert {(name, kind) for name, text in logs.items() for kind in KINDS if kind in text} == set()
