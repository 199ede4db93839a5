"""A database that is locked, a disk that is full: what cannot be recorded is not released, for as long."""

from __future__ import annotations

import json
import resource
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager

import openai
import pytest
from tests.e2e.people import approve, ask, chat, hold_of, in_background, received, said, state_of
from tests.e2e.plain import HELLO, contractor, data_of, kinds, on_record, staff
from tests.e2e.stack import Stack
from tests.e2e.upstream_answers import SSE_TYPE, Answer, completion, stream

KEY = "AKIAIOSFODNN7EXAMPLE"
REFUSED = ["request.received", "request.refused", "exchange.ended"]


@contextmanager
def locked(stack: Stack) -> Iterator[None]:
    """Within the context nobody else can write to the database."""
    with closing(sqlite3.connect(stack.data / "authz.db", isolation_level=None, timeout=60)) as database:
        database.execute("BEGIN EXCLUSIVE")
        try:
            yield
        finally:
            database.execute("ROLLBACK")


@contextmanager
def full(stack: Stack) -> Iterator[None]:
    """Within the context the service can write to no file, its logs included."""
    process = stack.child("serve")
    soft, hard = resource.prlimit(process, resource.RLIMIT_FSIZE)
    resource.prlimit(process, resource.RLIMIT_FSIZE, (0, hard))
    try:
        yield
    finally:
        resource.prlimit(process, resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("fault", [locked, full])
def test_whatever_is_asked_is_503_while_nothing_can_be_recorded_and_on_record_afterwards(
    stack: Stack, fault: Callable[[Stack], AbstractContextManager[None]]
) -> None:
    alice, carol = staff(stack), contractor(stack, "carol")
    assert {who.ask(b"no JSON").status for who in (alice, carol)} == {400}, "their keys are made by now"
    seen = len(stack.upstream.requests)
    with fault(stack):
        asked = {
            "allowed": in_background(lambda: alice.ask(HELLO)),
            "refused": in_background(lambda: alice.ask(b"no JSON")),
            "held": in_background(lambda: carol.ask(HELLO)),
        }
        replies = {name: asking.result(60) for name, asking in asked.items()}
        assert {name: reply.refusal for name, reply in replies.items()} == dict.fromkeys(
            asked, (503, "store_unavailable")
        )
    assert all(reply.header("x-should-retry") == "true" for reply in replies.values())
    assert len(stack.upstream.requests) == seen
    assert alice.ask(HELLO).status == 200
    assert [kinds(on_record(stack, reply.session)) for reply in replies.values()] == [REFUSED] * 3
    assert stack.holds() == []


def test_a_lock_of_a_moment_is_waited_for(stack: Stack) -> None:
    with locked(stack):
        answer = in_background(lambda: ask(stack.sdk("alice", "staff", max_retries=0), "Hello"))
        with pytest.raises(TimeoutError):
            answer.result(0.5)
    assert said(answer.result(60)) == "Hello from upstream."


def test_the_sdks_own_retry_gets_through_when_the_lock_is_gone(stack: Stack) -> None:
    client = stack.sdk("alice", "staff", max_retries=20)
    with locked(stack):
        answer = in_background(lambda: ask(client, "Hello again"))
        with pytest.raises(openai.InternalServerError):
            ask(stack.sdk("alice", "staff", max_retries=0), "Hello")
    assert said(answer.result(60)) == "Hello from upstream."
    assert len(received(stack, "Hello again")) == 1


def test_no_more_of_an_answer_crosses_than_could_be_recorded(stack: Stack) -> None:
    gate = stack.upstream.gate()
    first, *rest = stream(["Hello there, ", "how are you?"]).steps
    stack.upstream.answer_with(Answer(headers=SSE_TYPE, steps=(first, gate, *rest)))
    with staff(stack).asking() as client:
        _, headers = client.reply_head()
        client.read_until(b"there, ")
        with locked(stack):
            gate.open()
            rest_of_it = client.read_until(b"\r\n0\r\n")
    assert b"how are you?" not in rest_of_it
    assert not rest_of_it.endswith(b"\r\n0\r\n")
    session = on_record(stack, dict(headers)["x-authz-session"])
    assert kinds(session)[-2:] == ["answer.refused", "exchange.ended"]
    assert data_of(session, "exchange.ended")["outcome"] == "store_failed"
    assert "how are you?" not in session["answer"]


def test_an_approval_whose_use_cannot_be_recorded_is_not_used(stack: Stack) -> None:
    carla, body = contractor(stack, "carla"), json.dumps(chat("Not before it is on record")).encode()
    with carla.asking(body):
        hold_of(stack, "carla")
    hold = hold_of(stack, "carla", waiting=0)
    approve(stack, hold)
    with locked(stack):
        assert carla.ask(body).refusal == (503, "store_unavailable")
    assert received(stack, "Not before it is on record") == []
    assert state_of(stack, hold) == "approved"
    assert carla.ask(body).status == 200
    assert received(stack, "Not before it is on record") == [body]
    assert state_of(stack, hold) == "released"


def test_an_answer_that_a_rule_forbids_does_not_cross_while_the_database_is_locked(stack: Stack) -> None:
    gate = stack.upstream.gate()
    stack.upstream.answer_with(Answer(steps=(gate, *completion(f"Take {KEY}").steps)))
    seen = len(stack.upstream.requests)
    with staff(stack).asking() as client:
        stack.upstream.wait_for_requests(seen + 1)
        with locked(stack):
            gate.open()
            reply = client.reply()
    assert reply.refusal == (503, "store_unavailable")
    assert KEY.encode() not in reply.body
    assert kinds(on_record(stack, reply.session))[-2:] == ["answer.refused", "exchange.ended"]
