"""Grants on a gateway of two workers and one PostgreSQL: so many go through, whichever worker has them."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.e2e.crew import crew_of, kill, owner_of, until_back
from tests.e2e.people import chat, hold_of, in_background, received, reviewer, until
from tests.e2e.stack import CONFIG, Stack
from tests.e2e.upstream_answers import JSON_TYPE, Answer
from tests.store.postgres_for_tests import PostgresForTests

pytestmark = pytest.mark.postgres


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    server = PostgresForTests(Path(tempfile.mkdtemp(prefix="authz-postgres-")))
    try:
        with crew_of(server, tmp_path_factory.mktemp("grants"), config=CONFIG) as running:
            yield running
    finally:
        server.remove()


def asking(stack: Stack, subject: str, text: str) -> Future[httpx.Response]:
    """Without waiting, where it is held."""
    headers = {"prefer": "respond-async"}
    return in_background(lambda: stack.post(chat(text), "contractors", subject=subject, headers=headers))


def granted(stack: Stack, subject: str, uses: int) -> dict[str, Any]:
    asking(stack, subject, f"{subject} begins").result(60)
    hold = hold_of(stack, subject, waiting=0)
    command = ("grant", "create", "--from-hold", hold["id"], "--uses", str(uses), "--until", "1h", "--yes")
    made: dict[str, Any] = json.loads(stack.cli(*command, "--json", token=reviewer(stack, "rita")).stdout)
    return made


def shown(stack: Stack, grant: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = stack.cli_json("grant", "show", grant["id"])
    return found


def test_of_many_at_once_as_many_reach_the_model_as_it_has_uses(stack: Stack) -> None:
    grant = granted(stack, "ann", 5)
    answers = [future.result(60) for future in [asking(stack, "ann", f"Page {n}!") for n in range(16)]]
    assert sorted(answer.status_code for answer in answers) == [200] * 5 + [409] * 11
    assert sum(len(received(stack, f"Page {n}!")) for n in range(16)) == 5
    after = shown(stack, grant)
    assert (after["state"], after["used"]) == ("used_up", 5)
    through = {answer.headers["x-authz-session"] for answer in answers if answer.status_code == 200}
    assert {use["session"] for use in after["let_through"]} == through


def test_a_worker_that_is_killed_has_spent_what_it_released_and_no_more(stack: Stack) -> None:
    grant = granted(stack, "bo", 2)
    gate = stack.upstream.gate()
    stack.upstream.answer_with(Answer(headers=JSON_TYPE, steps=(gate,)))
    waiting = asking(stack, "bo", "Never answered")
    until(lambda: shown(stack, grant)["let_through"], "the first use")
    (use,) = shown(stack, grant)["let_through"]
    until(lambda: received(stack, "Never answered"), "the request at the model")
    part = owner_of(stack, use)
    until_back(stack, part, kill(stack, part))
    gate.open()
    assert waiting.result(60).status_code >= 500
    assert len(received(stack, "Never answered")) == 1
    assert shown(stack, grant)["used"] == 1
    assert asking(stack, "bo", "The second").result(60).status_code == 200
    assert asking(stack, "bo", "The third").result(60).status_code == 409
    assert shown(stack, grant)["used"] == 2
    stack.cli("audit", "verify", "--config", str(stack.config_file))
