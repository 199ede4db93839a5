"""Logins by SAML on a PostgreSQL that several workers share: one listener, and all take its tokens."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from tests.e2e.crew import WORKERS, crew_of
from tests.e2e.saml import Corp, new_corp, saml_config
from tests.e2e.stack import CHAT, Stack
from tests.oidc.desk import Desk, Typed
from tests.store.postgres_for_tests import PostgresForTests

pytestmark = pytest.mark.postgres


@pytest.fixture(scope="module")
def corp() -> Corp:
    return new_corp()


@pytest.fixture(scope="module")
def stack(corp: Corp, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    server = PostgresForTests(Path(tempfile.mkdtemp(prefix="authz-postgres-")))
    folder = tmp_path_factory.mktemp("crew")
    try:
        with crew_of(server, folder, config=saml_config(folder, corp)) as running:
            yield running
    finally:
        server.remove()


def test_every_worker_takes_the_token_of_a_login(corp: Corp, stack: Stack, tmp_path: Path) -> None:
    desk = Desk(tmp_path / "config", provider=None)  # type: ignore[arg-type]  # no OpenID provider here
    server = stack.info["review"]
    with Typed(desk, "login", "--storage", "file", "--server", server, "--gateway") as typed:
        answer = corp.browse(typed.until_said(r"(http://\S+/authorize\?\S+)"), "alice", "staff")
        httpx.get(answer.headers["location"], timeout=60)
        assert typed.ended()[0] == 0
    token = desk.type("token").stdout.strip()
    headers = {"authorization": f"Bearer {token}", "content-type": "application/json"}
    url = f"{stack.url}/v1/chat/completions"
    rounds = 4 * WORKERS  # new connections, so that each worker answers some of them
    statuses = {
        httpx.post(url, content=json.dumps(CHAT), headers=headers, timeout=60).status_code
        for _ in range(rounds)
    }
    assert statuses == {200}
    stack.cli("audit", "verify", "--config", str(stack.config_file))
