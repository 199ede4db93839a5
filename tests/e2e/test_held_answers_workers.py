"""Answers that wait on a gateway of two workers and one PostgreSQL: either worker gives them, once."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.e2e.crew import WORKERS, crew_of, kill, owner_of, processes, until_all_serve, until_back
from tests.e2e.people import approve, chat, hold_of, in_background, received, reviewer, until
from tests.e2e.stack import Stack
from tests.e2e.test_edited_answers import CONTENT, EDITED, edit, texts_of
from tests.e2e.test_held_answers import HELD_ANSWERS, SECRET, saying
from tests.store.postgres_for_tests import PostgresForTests

pytestmark = pytest.mark.postgres

MASKED = "Ask E-123456 ([EMAIL_ADDRESS])"
MOST_ASKED = 16
"""Of them all reach one of two workers once in thirty thousand times."""


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    server = PostgresForTests(Path(tempfile.mkdtemp(prefix="authz-postgres-")))
    try:
        folder, poison = (
            tmp_path_factory.mktemp("answers"),
            {"PYTHONPATH": str(Path(__file__).parent / "poison")},
        )
        with crew_of(server, folder, config=HELD_ANSWERS, environment=poison) as running:
            yield running
    finally:
        server.remove()


def workers_of(stack: Stack, subject: str) -> set[str]:
    """The workers that have somebody's exchanges, by the record."""
    found = stack.cli_json("session", "list", "--caller", subject)
    entries = [stack.session(session["id"])["events"][0] for session in found]
    return {str(entry["data"]["instance"]).rpartition("-")[2] for entry in entries}


def waiting_everywhere(stack: Stack, subject: str, body: dict[str, Any]) -> list[Future[httpx.Response]]:
    """The same request again and again, until each worker has some that wait."""
    stack.upstream.answer_with(saying(SECRET))
    waiting: list[Future[httpx.Response]] = []
    while len(waiting) < MOST_ASKED:
        waiting.append(in_background(lambda: stack.post(body, "staff", subject=subject)))
        hold_of(stack, subject, waiting=len(waiting))
        if len(waiting) >= WORKERS and len(workers_of(stack, subject)) == WORKERS:
            break
    return waiting


def words(answer: httpx.Response) -> str:
    said: str = answer.json()["choices"][0]["message"]["content"]
    return said


def only_one(waiting: list[Future[httpx.Response]]) -> httpx.Response:
    answers = [future.result(60) for future in waiting]
    (given,) = [answer for answer in answers if answer.status_code == 200]
    assert {answer.status_code for answer in answers if answer is not given} <= {409}
    assert not any("E-123456" in answer.text for answer in answers if answer is not given)
    return given


def test_a_vote_releases_an_answer_once_whichever_worker_has_those_who_wait(stack: Stack) -> None:
    waiting = waiting_everywhere(stack, "ann", chat("Who knows about ants?"))
    hold = hold_of(stack, "ann", waiting=len(waiting))
    assert workers_of(stack, "ann") == {"0", "1"}
    approve(stack, hold)
    assert words(only_one(waiting)) == MASKED
    assert len(received(stack, "about ants")) == 1


def test_an_edit_counts_for_those_who_wait_on_the_other_worker(stack: Stack) -> None:
    waiting = waiting_everywhere(stack, "ben", chat("Who knows about bees?"))
    hold = hold_of(stack, "ben", waiting=len(waiting))
    assert texts_of(stack, hold) == {CONTENT: MASKED}
    edit(stack, hold, {CONTENT: EDITED})
    approve(stack, hold_of(stack, "ben", waiting=len(waiting)), token=reviewer(stack, "bob"))
    given = only_one(waiting)
    assert (words(given), given.headers["x-authz-edited"]) == (EDITED, "true")
    assert len(received(stack, "about bees")) == 1


def test_a_retry_gets_the_answer_after_the_worker_that_had_it_was_killed(stack: Stack) -> None:
    stack.upstream.answer_with(saying(SECRET))
    body = chat("Who knows about cats?")
    told = stack.post(body, "staff", subject="cat", headers={"prefer": "respond-async"})
    assert told.status_code == 409
    hold = hold_of(stack, "cat", waiting=0)
    part = owner_of(stack, hold)
    killed = kill(stack, part)
    approve(stack, hold)

    def again() -> httpx.Response | None:
        answer = stack.post(body, "staff", subject="cat")
        return answer if answer.status_code == 200 else None

    given = until(again, "the answer, from a worker that lives")
    assert given is not None
    assert words(given) == MASKED
    until_back(stack, part, killed)
    assert len(received(stack, "about cats")) == 1


def test_an_approved_answer_that_kills_its_worker_is_not_tried_on_the_next(stack: Stack) -> None:
    stack.upstream.answer_with(saying(SECRET))
    body = chat("Who knows about VENOM?")
    told = stack.post(body, "staff", subject="dan", headers={"prefer": "respond-async"})
    assert told.status_code == 409
    approve(stack, hold_of(stack, "dan", waiting=0))
    before = processes(stack)
    answer = stack.post(body, "staff", subject="dan")
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "poisoned")
    until_all_serve(stack)
    changed = [part for part, pid in processes(stack).items() if pid != before[part]]
    assert len(changed) == 1
    kinds = [event["kind"] for event in stack.session(answer.headers["x-authz-session"])["events"]]
    assert "answer.released" not in kinds


def test_the_record_of_both_workers_verifies(stack: Stack) -> None:
    stack.cli("audit", "verify", "--config", str(stack.config_file))
