"""The whole gateway on PostgreSQL: what works on SQLite works here, and an outage is not the end."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path

import openai
import pytest
from tests.e2e.people import (
    approve,
    ask,
    asking,
    hold_of,
    left_waiting,
    received,
    reject,
    said,
    state_of,
    until,
)
from tests.e2e.stack import Stack
from tests.e2e.upstream_answers import stream
from tests.store.postgres_for_tests import PostgresForTests

pytestmark = pytest.mark.postgres


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresForTests]:
    server = PostgresForTests(Path(tempfile.mkdtemp(prefix="authz-postgres-")))
    yield server
    server.remove()


@pytest.fixture(scope="module")
def stack(server: PostgresForTests, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A gateway on a database of its own, with our tables."""
    url = server.url(server.create())
    with Stack(tmp_path_factory.mktemp("postgres"), store=url) as running:
        yield running


def test_an_allowed_request_is_answered_and_on_record(stack: Stack) -> None:
    raw = stack.sdk("ann", "staff").chat.completions.with_raw_response.create(
        model="llama", messages=[{"role": "user", "content": "I am ann@example.com"}]
    )
    assert said(raw.parse()) == "Hello from upstream."
    session = stack.session(raw.headers["x-authz-session"])
    assert (session["status"], session["decision"]) == ("completed", "allow")
    assert json.loads(session["request"])["messages"][0]["content"] == "I am [EMAIL_ADDRESS]"
    assert not (stack.data / "authz.db").exists()


def test_a_held_request_goes_through_when_approved(stack: Stack) -> None:
    waiting = asking(stack, "bo", "Plan a party")
    hold = hold_of(stack, "bo")
    again = asking(stack, "bo", "Plan a party")
    assert hold_of(stack, "bo", waiting=2)["id"] == hold["id"]
    approve(stack, hold)
    fresh = hold_of(stack, "bo", but=hold["id"])
    assert len(received(stack, "Plan a party")) == 1
    reject(stack, fresh, "one party is enough")
    outcomes = [future.exception(60) for future in (waiting, again)]
    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["NoneType", "PermissionDeniedError"]
    assert state_of(stack, hold) == "released"


def test_a_stream_is_masked(stack: Stack) -> None:
    stack.upstream.answer_with(stream(list("Write to john@example.org today.")))
    chunks = stack.sdk("ann", "staff").chat.completions.create(
        model="llama", messages=[{"role": "user", "content": "Whom?"}], stream=True
    )
    words = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert words == "Write to [EMAIL_ADDRESS] today."


def test_what_waits_survives_a_restart_of_the_gateway(stack: Stack) -> None:
    hold = left_waiting(stack, "cy", "Wait for me")
    stack.stop()
    stack.start()
    again = asking(stack, "cy", "Wait for me")
    assert hold_of(stack, "cy")["id"] == hold["id"]
    approve(stack, hold)
    assert said(again.result(60))
    assert len(received(stack, "Wait for me")) == 1


def test_an_empty_database_names_the_command_that_makes_the_tables(
    server: PostgresForTests, tmp_path: Path
) -> None:
    url = server.url(server.create(template="template1"))
    unprepared = Stack(tmp_path, store=url)
    refused = pytest.raises(AssertionError, match=r"Error: service ended at once.*authz store migrate")
    with refused, unprepared:
        pass
    migrate = ("store", "migrate", "--config", str(unprepared.config_file))
    assert "it is current now" in unprepared.cli(*migrate).stdout
    with Stack(tmp_path, store=url) as prepared:
        assert said(ask(prepared.sdk("ann", "staff"), "Hello"))
    assert "was current" in unprepared.cli(*migrate).stdout


def test_without_its_database_nothing_passes_and_with_it_everything_goes_on(
    stack: Stack, server: PostgresForTests
) -> None:
    pid = stack.child("serve")
    client = stack.sdk("di", "staff", max_retries=0)
    waiting = asking(stack, "ed", "Outlast the outage")
    hold = hold_of(stack, "ed")
    server.kill()
    with pytest.raises(openai.InternalServerError) as refused:
        ask(client, "Is anybody there?")
    assert refused.value.status_code == 503
    assert refused.value.code == "store_unavailable"
    assert refused.value.response.headers["x-should-retry"] == "true"
    assert received(stack, "Is anybody there?") == []
    assert "cannot answer now" in stack.cli("hold", "list", check=6).stderr
    assert not waiting.done()

    server.start()

    def is_answered() -> bool:
        try:
            return said(ask(client, "Is somebody there?")) == "Hello from upstream."
        except openai.InternalServerError:
            return False

    until(is_answered, "an answer after the outage")
    # Who was held through it all is held still, and released by an approval as ever.
    approve(stack, hold)
    assert said(waiting.result(60))
    assert len(received(stack, "Outlast the outage")) == 1
    assert stack.child("serve") == pid
    until(lambda: refusal_is_on_record(stack), "the refusal on record")


def refusal_is_on_record(stack: Stack) -> bool:
    """What was refused while the store was away is recorded once it is back."""
    sessions = stack.cli_json("session", "list", "--caller", "di", "--status", "store_failed")
    return bool(sessions)
