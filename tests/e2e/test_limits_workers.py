"""Limits on a PostgreSQL that several workers share: one caller has them once, whoever answers."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from tests.e2e.crew import crew_of
from tests.e2e.people import chat
from tests.e2e.stack import CONFIG, Stack
from tests.store.conftest import PostgresForTests

pytestmark = pytest.mark.postgres

LIMITS = """\
limits:
  callers:
    - {{requests_per_minute: 7}}
"""


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    server = PostgresForTests(Path(tempfile.mkdtemp(prefix="authz-postgres-")))
    config = CONFIG.replace("limits: {{body: 8MiB, depth: 64}}\n", LIMITS)
    try:
        with crew_of(server, tmp_path_factory.mktemp("crew"), config=config) as running:
            yield running
    finally:
        server.remove()


def test_two_workers_admit_together_what_one_would(stack: Stack) -> None:
    def ask(_: int) -> tuple[int, str]:
        answer = stack.post(chat("Hello"), "staff", subject="sam")
        return answer.status_code, answer.headers["x-authz-session"]

    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(ask, range(20)))
    assert Counter(status for status, _ in answers) == {200: 7, 429: 13}
    events = (stack.session(session)["events"][0] for _, session in answers)
    assert len({event["data"]["instance"] for event in events}) == 2
    stack.cli("audit", "verify", "--config", str(stack.config_file))
