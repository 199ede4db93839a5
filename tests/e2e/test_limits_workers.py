"""Limits on a PostgreSQL that several workers share: one caller has them once, whoever answers."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path

import pytest
from tests.e2e.crew import crew_of
from tests.e2e.people import chat
from tests.e2e.stack import CONFIG, Stack
from tests.store.postgres_for_tests import PostgresForTests

pytestmark = pytest.mark.postgres

LIMITS = """\
limits:
  callers:
    - {{requests_per_minute: 12}}
"""
LIMIT = 12


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
        answers = list(pool.map(ask, range(24)))
    statuses = Counter(status for status, _ in answers)
    assert statuses.keys() == {200, 429}
    assert statuses[200] >= LIMIT
    begun = [stack.session(session)["events"][0] for status, session in answers if status == 200]
    times = sorted(datetime.fromisoformat(event["at"]).timestamp() for event in begun)
    # However long the requests took: of those that follow each other no more fall into a minute.
    assert all(later - first >= 60 for first, later in zip(times, times[LIMIT:], strict=False))
    assert len({event["data"]["instance"] for event in begun}) == 2
    stack.cli("audit", "verify", "--config", str(stack.config_file))
