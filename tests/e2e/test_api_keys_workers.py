"""API keys and tokens before several workers of one PostgreSQL: what is made or withdrawn counts at all."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path

import httpx
import jwt
import pytest
from tests.e2e.crew import WORKERS, crew_of
from tests.e2e.people import until
from tests.e2e.stack import CHAT, Stack
from tests.store.postgres_for_tests import PostgresForTests

pytestmark = pytest.mark.postgres

ROUND = 4 * WORKERS
"""New connections, so that each worker answers some of them."""


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    server = PostgresForTests(Path(tempfile.mkdtemp(prefix="authz-postgres-")))
    try:
        with crew_of(server, tmp_path_factory.mktemp("crew")) as running:
            yield running
    finally:
        server.remove()


def codes(stack: Stack, secret: str) -> set[int]:
    """What a round of requests with this key or token is answered with."""
    headers = {"authorization": f"Bearer {secret}", "content-type": "application/json"}
    url = f"{stack.url}/v1/chat/completions"
    return {
        httpx.post(url, content=json.dumps(CHAT), headers=headers, timeout=60).status_code
        for _ in range(ROUND)
    }


def test_a_key_is_taken_by_every_worker_and_once_revoked_by_none(stack: Stack) -> None:
    words = ("--owner", "olga", "--group", "staff", "--model", "llama", "--name", "shared")
    key = stack.cli_json("key", "create", *words)
    until(lambda: codes(stack, key["secret"]) == {200}, "all workers know it")
    new = stack.cli_json("key", "rotate", "shared", "--overlap", "1h")
    until(lambda: codes(stack, new["secret"]) == {200}, "all workers know the new one")
    assert codes(stack, key["secret"]) == {200}
    stack.cli("key", "revoke", key["id"], "--reason", "lost")
    until(lambda: codes(stack, key["secret"]) == {401}, "no worker takes it")
    assert codes(stack, new["secret"]) == {200}
    listed = {found["id"]: found for found in stack.cli_json("key", "list", "--all")}
    assert listed[new["id"]]["last_used_at"] >= listed[key["id"]]["last_used_at"]
    stack.cli("audit", "verify", "--config", str(stack.config_file))


def test_a_withdrawn_token_and_subject_are_refused_by_every_worker_until_they_are_restored(
    stack: Stack,
) -> None:
    lost, other = stack.token("dora", "staff"), stack.token("dora", "staff")
    assert codes(stack, lost) == {200}  # each worker has verified it, and remembers that
    token_id = str(jwt.decode(lost, options={"verify_signature": False})["jti"])
    stack.cli("token", "revoke", "--jti", token_id, "--reason", "was in a log")
    until(lambda: codes(stack, lost) == {401}, "no worker takes the token")
    assert codes(stack, other) == {200}
    stack.cli("token", "revoke", "--subject", "dora", "--reason", "left")
    until(lambda: codes(stack, other) == {401}, "no worker takes any of hers")
    stack.cli("token", "restore", "--subject", "dora", "--reason", "was a mistake")
    until(lambda: codes(stack, other) == {200}, "all workers take the others again")
    assert codes(stack, lost) == {401}
