"""Whose a kept result is, every worker of one PostgreSQL knows: with API keys, and between their owners."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.e2e.crew import WORKERS, crew_of
from tests.e2e.people import until
from tests.e2e.stack import CONFIG, Stack
from tests.e2e.test_kept_results import HI, answered
from tests.store.postgres_for_tests import PostgresForTests

pytestmark = pytest.mark.postgres

ROUND = 4 * WORKERS
"""New connections, so that each worker answers some of them."""
STAFF = "when: \"'staff' in caller.groups\", effect: allow"
PERMITTING = CONFIG.replace(STAFF, f"{STAFF}, permits: [reference]", 1)


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    server = PostgresForTests(Path(tempfile.mkdtemp(prefix="authz-postgres-")))
    try:
        with crew_of(server, tmp_path_factory.mktemp("crew"), config=PERMITTING) as running:
            running.upstream.otherwise = lambda _: answered("resp_more")
            yield running
    finally:
        server.remove()


def ask(stack: Stack, secret: str, **more: Any) -> int:
    """The status of an answer that comes on a connection of its own."""
    headers = {"authorization": f"Bearer {secret}", "content-type": "application/json"}
    sent = json.dumps(HI | more)
    return httpx.post(f"{stack.url}/v1/responses", content=sent, headers=headers, timeout=60).status_code


def made(stack: Stack, secret: str, name: str) -> None:
    """A response that is kept by this name, as soon as the caller's key is known."""
    stack.upstream.answer_with(answered(name))
    until(lambda: ask(stack, secret) == 200, f"the response {name}")


def statuses(stack: Stack, secret: str, name: str) -> set[int]:
    """What a round of requests that go on with a response is answered with."""
    return {ask(stack, secret, previous_response_id=name) for _ in range(ROUND)}


def test_a_result_is_its_makers_at_every_worker_with_each_key_of_one_name(stack: Stack) -> None:
    words = ("--group", "staff", "--model", "llama", "--owner", "olga")
    mine = stack.cli_json("key", "create", *words, "--name", "mine")["secret"]
    other = stack.cli_json("key", "create", *words, "--name", "other")["secret"]
    alice = stack.token("alice", "staff")
    made(stack, mine, "resp_of_a_key")
    made(stack, other, "resp_of_another")
    made(stack, alice, "resp_of_alice")
    new = stack.cli_json("key", "rotate", "mine", "--overlap", "1h")["secret"]
    made(stack, new, "resp_of_a_new_key")
    until(lambda: ask_round(stack, new) == {200}, "all workers know the new key")
    for name, owners in (("resp_of_a_key", (mine, new)), ("resp_of_a_new_key", (mine, new))):
        for owner in owners:
            assert statuses(stack, owner, name) == {200}
        for stranger in (other, alice):
            assert statuses(stack, stranger, name) == {404}
    assert statuses(stack, alice, "resp_of_alice") == {200}
    assert statuses(stack, mine, "resp_of_alice") == statuses(stack, alice, "resp_of_another") == {404}
    stack.cli("audit", "verify", "--config", str(stack.config_file))


def ask_round(stack: Stack, secret: str) -> set[int]:
    """What a round of requests that name nothing is answered with."""
    return {ask(stack, secret) for _ in range(ROUND)}
