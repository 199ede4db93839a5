"""A hold that outlasts the connection: the caller comes back, or the approval runs out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import openai
import pytest
from tests.e2e.people import (
    approve,
    approve_at_once,
    ask,
    asking,
    chat,
    contractor,
    hold_of,
    in_background,
    own_hold,
    received,
    reject,
    said,
    until,
)
from tests.e2e.stack import Stack

LIMIT = 20


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A gateway whose callers wait for two seconds."""
    with Stack(tmp_path_factory.mktemp("pending"), wait="2s") as running:
        yield running


def told_to_come_back(stack: Stack, subject: str, text: str) -> dict[str, Any]:
    """A hold whose caller was told to come back."""
    with pytest.raises(openai.ConflictError):
        ask(contractor(stack, subject), text)
    return hold_of(stack, subject, waiting=0)


def test_beyond_the_wait_the_caller_is_told_to_come_back(stack: Stack) -> None:
    answer = stack.post(chat("Buy a boat"), "contractors", subject="ada")
    assert answer.status_code == 409
    assert answer.headers["x-should-retry"] == "true"
    assert int(answer.headers["retry-after"]) >= 1
    error = answer.json()["error"]
    hold = hold_of(stack, "ada", waiting=0)
    assert error["code"] == "approval_pending"
    assert hold["id"] in error["message"]
    assert f"/.well-known/authz/holds/{hold['id']}" in error["message"]
    assert own_hold(stack, hold, "ada").json()["state"] == "pending"
    session = stack.session(answer.headers["x-authz-session"])
    assert (session["status"], session["hold"], session["request"]) == ("pending", hold["id"], None)


def test_who_prefers_an_answer_at_once_asks_for_the_state_and_comes_back_when_it_is_approved(
    stack: Stack,
) -> None:
    client = stack.sdk("uma", "contractors", default_headers={"prefer": "respond-async"})
    with pytest.raises(openai.ConflictError) as told:
        ask(client, "Buy a raft")  # with the retries of the SDK, which it is told not to make
    assert told.value.response.headers["preference-applied"] == "respond-async"
    hold = hold_of(stack, "uma", waiting=0)
    assert len(stack.cli_json("session", "list", "--caller", "uma")) == 1
    approve(stack, hold)
    assert own_hold(stack, hold, "uma").json()["state"] == "approved"
    assert said(ask(client, "Buy a raft")) == "Hello from upstream."
    assert own_hold(stack, hold, "uma").json()["released_to"]
    assert len(received(stack, "Buy a raft")) == 1


def test_who_prefers_an_answer_after_a_while_waits_so_long_and_no_sdk_tries_again(stack: Stack) -> None:
    prefer = {"prefer": "respond-async, wait=60"}
    usual = asking(stack, "yan", "Buy a tug", timeout=60)
    waiting = in_background(
        lambda: stack.post(chat("Buy a ferry"), "contractors", subject="xia", headers=prefer)
    )
    with pytest.raises(openai.ConflictError):  # by now one that does not say how long was told to come back
        usual.result(60)
    approve(stack, hold_of(stack, "xia"))
    assert waiting.result(60).status_code == 200
    told = stack.post(
        chat("Buy a liner"), "contractors", subject="xia", headers={"prefer": "respond-async, wait=1"}
    )
    assert (told.status_code, told.json()["error"]["code"]) == (409, "approval_pending")
    assert told.headers["preference-applied"] == "respond-async, wait=1"
    assert told.headers["x-should-retry"] == "false"
    assert "once it is approved" in told.json()["error"]["message"]
    hold = hold_of(stack, "xia", waiting=0)
    assert (hold["state"], len(received(stack, "Buy a liner"))) == ("pending", 0)


def test_a_caller_may_wait_longer_than_usual(stack: Stack) -> None:
    client = stack.sdk("vic", "contractors", max_retries=0, default_headers={"prefer": "wait=60"})
    usual = asking(stack, "wim", "Buy a canoe")
    waiting = in_background(lambda: ask(client, "Buy a kayak"))
    with pytest.raises(openai.ConflictError):
        usual.result(60)
    approve(stack, hold_of(stack, "vic"))
    assert said(waiting.result(60)) == "Hello from upstream."


def test_the_retry_of_the_sdk_itself_gets_the_answer_after_the_approval(stack: Stack) -> None:
    client = stack.sdk("ben", "contractors")  # with the number of retries that it comes with
    waiting = in_background(lambda: ask(client, "Buy a bike"))
    hold_of(stack, "ben")
    hold = hold_of(stack, "ben", waiting=0)  # it was told to come back, and does so a second later
    assert received(stack, "Buy a bike") == []
    approve_at_once(stack, hold)
    assert said(waiting.result(60)) == "Hello from upstream."
    assert len(received(stack, "Buy a bike")) == 1
    (now,) = stack.holds("--all-states", "--caller", "ben")
    assert (now["id"], now["state"]) == (hold["id"], "released")
    sessions = stack.cli_json("session", "list", "--caller", "ben")
    assert len(sessions) > 1
    assert {session["hold"] for session in sessions} == {hold["id"]}
    assert now["released_to"] == sessions[0]["id"]


def test_a_rejection_while_nobody_waits_is_told_to_the_retry(stack: Stack) -> None:
    hold = told_to_come_back(stack, "cas", "Buy a bus")
    reject(stack, hold, "too large")
    with pytest.raises(openai.PermissionDeniedError, match="too large") as refused:
        ask(contractor(stack, "cas"), "Buy a bus")
    assert refused.value.code == "request_rejected"
    assert refused.value.response.headers["x-should-retry"] == "false"


def test_an_approval_that_is_not_used_in_time_expires(stack: Stack) -> None:
    stack.reload(use_within="2s")
    try:
        hold = told_to_come_back(stack, "dan", "Buy a barge")
        assert "is approved" in approve(stack, hold)
        until(lambda: own_hold(stack, hold, "dan").json()["state"] == "expired", "the end of its use")
        assert "expired" in approve(stack, hold, check=4)
    finally:
        stack.reload()
    fresh = told_to_come_back(stack, "dan", "Buy a barge")
    assert (fresh["id"] != hold["id"], fresh["previous"]) == (True, hold["id"])
    assert received(stack, "Buy a barge") == []


def test_a_caller_has_no_more_than_twenty_requests_waiting(stack: Stack) -> None:
    asked = [
        in_background(lambda n=n: stack.post(chat(f"Buy boat {n}"), "contractors", subject="eve"))  # type: ignore[misc]  # mypy cannot infer a lambda's default
        for n in range(LIMIT)
    ]
    assert [future.result(60).status_code for future in asked] == [409] * LIMIT
    one_more = stack.post(chat("Buy one boat more"), "contractors", subject="eve")
    assert one_more.status_code == 429
    assert one_more.json()["error"]["code"] == "too_many_holds"
    assert one_more.headers["retry-after"]
    assert stack.session(one_more.headers["x-authz-session"])["status"] == "refused"
    # Neither what waits already nor anybody else is in the way of that.
    assert stack.post(chat("Buy boat 0"), "contractors", subject="eve").status_code == 409
    assert stack.post(chat("Buy boat 0"), "contractors", subject="fin").status_code == 409
    assert len(stack.holds("--caller", "eve")) == LIMIT
