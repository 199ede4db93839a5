"""A held request: who may decide it, what goes out when it is approved, and who gets the answer."""

from __future__ import annotations

import json
import socket
import struct
import time
from collections.abc import Iterator
from typing import Any

import httpx
import openai
import pytest
from tests.e2e.holding import HOLDS_CONFIG
from tests.e2e.people import (
    approve,
    ask,
    asking,
    chat,
    connection_of,
    contractor,
    hold_of,
    in_background,
    left_waiting,
    own_hold,
    received,
    reject,
    reviewer,
    said,
    sha256,
    state_of,
    until,
)
from tests.e2e.stack import Stack
from tests.e2e.upstream_answers import SSE_TYPE, Answer, stream


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A gateway with approvals of several kinds."""
    with Stack(tmp_path_factory.mktemp("holds"), config=HOLDS_CONFIG) as running:
        yield running


def test_the_bytes_that_were_shown_and_approved_are_those_that_go_out(stack: Stack) -> None:
    waiting = asking(stack, "ann", "Write to jane@example.com about the picnic")
    hold = hold_of(stack, "ann")
    shown = stack.cli_json("hold", "show", hold["id"])
    assert "[EMAIL_ADDRESS] about the picnic" in shown["forward"]
    assert "jane@example.com" not in json.dumps(shown)
    assert sha256(shown["forward"].encode()) == shown["digest"] == hold["digest"]
    approve(stack, hold)
    assert said(waiting.result(60)) == "Hello from upstream."
    (body,) = received(stack, "about the picnic")
    assert body == shown["forward"].encode()


def test_nobody_approves_their_own_request_whatever_their_role(stack: Stack) -> None:
    waiting = asking(stack, "bea", "Raise my pay")
    hold = hold_of(stack, "bea")
    refusal = approve(stack, hold, check=5, token=reviewer(stack, "bea"))
    assert "cannot decide on it" in refusal
    assert state_of(stack, hold) == "pending"
    assert not waiting.done()
    approve(stack, hold, token=reviewer(stack, "rita"))
    assert said(waiting.result(60))
    assert len(received(stack, "Raise my pay")) == 1


def test_the_owner_of_a_service_account_does_not_approve_its_requests(stack: Stack) -> None:
    service = ("--owner", "olga", "--scope", "model:*")
    signed = stack.cli("token", "--subject", "robot", "--group", "contractors", *service)
    client = stack.sdk(api_key=signed.stdout.strip(), max_retries=0)
    waiting = in_background(lambda: ask(client, "Deploy on Friday"))
    hold = hold_of(stack, "robot")
    assert "cannot decide on it" in approve(stack, hold, check=5, token=reviewer(stack, "olga"))
    assert received(stack, "Deploy on Friday") == []
    approve(stack, hold, token=reviewer(stack, "rita"))
    assert said(waiting.result(60))


def test_a_token_of_the_gateway_cannot_vote_and_one_of_the_review_api_cannot_ask(stack: Stack) -> None:
    waiting = asking(stack, "cleo", "Open the vault")
    hold = hold_of(stack, "cleo")
    approve(stack, hold, check=5, token=stack.token("rita", "reviewers"))
    assert state_of(stack, hold) == "pending"
    with pytest.raises(openai.AuthenticationError, match="not for"):
        ask(stack.sdk(api_key=stack.token("cleo", "contractors", review=True)), "Open the vault")
    reject(stack, hold, "no")
    with pytest.raises(openai.PermissionDeniedError):
        waiting.result(60)


def test_of_two_reviewers_at_once_one_wins_and_the_other_is_told_who(stack: Stack) -> None:
    waiting = asking(stack, "dora", "Book the flight")
    hold = hold_of(stack, "dora")
    tokens = {name: reviewer(stack, name) for name in ("rita", "rolf")}
    racing = {
        name: in_background(
            lambda token=token: stack.cli(  # type: ignore[misc]  # mypy cannot infer a lambda's default
                "hold", "approve", hold["id"], "--yes", "--reason", "mine", check=None, token=token
            )
        )
        for name, token in tokens.items()
    }
    ended = {name: future.result(60) for name, future in racing.items()}
    assert sorted(done.returncode for done in ended.values()) == [0, 4]
    winner, loser = sorted(ended, key=lambda name: ended[name].returncode)
    assert winner in ended[loser].stderr
    assert said(waiting.result(60))
    votes = stack.cli_json("hold", "show", hold["id"])["votes"]
    assert [vote["name"] for vote in votes] == [winner]
    assert len(received(stack, "Book the flight")) == 1


def test_two_votes_need_two_people(stack: Stack) -> None:
    client = stack.sdk("emil", "pairs", max_retries=0)
    waiting = in_background(lambda: ask(client, "Delete the archive"))
    hold = hold_of(stack, "emil")
    assert "more votes are needed" in approve(stack, hold, token=reviewer(stack, "rita"))
    assert "voted" in approve(stack, hold, check=4, token=reviewer(stack, "rita"))
    assert state_of(stack, hold) == "pending"
    assert received(stack, "Delete the archive") == []
    approve(stack, hold, token=reviewer(stack, "rolf"))
    assert said(waiting.result(60))


def test_an_approval_of_other_bytes_than_those_that_wait_is_refused(stack: Stack) -> None:
    waiting = asking(stack, "fay", "Order chairs")
    hold = hold_of(stack, "fay")
    refusal = approve(stack, hold | {"digest": sha256(b"other bytes")}, check=4)
    assert hold["digest"] in refusal
    assert state_of(stack, hold) == "pending"
    reject(stack, hold, "no chairs")
    with pytest.raises(openai.PermissionDeniedError, match="no chairs"):
        waiting.result(60)


def test_a_caller_that_leaves_keeps_the_hold_and_finds_it_again(stack: Stack) -> None:
    left = left_waiting(stack, "gus", "Paint the bikeshed")
    again = asking(stack, "gus", "Paint the bikeshed")
    assert hold_of(stack, "gus")["id"] == left["id"]
    approve(stack, left)
    assert said(again.result(60))
    assert len(received(stack, "Paint the bikeshed")) == 1
    assert state_of(stack, left) == "released"


def test_an_approval_that_comes_while_nobody_waits_is_used_by_the_next_attempt_once(stack: Stack) -> None:
    hold = left_waiting(stack, "hal", "Feed the cat")
    approve(stack, hold)
    assert state_of(stack, hold) == "approved"
    assert said(ask(contractor(stack, "hal"), "Feed the cat"))
    third = asking(stack, "hal", "Feed the cat")
    fresh = hold_of(stack, "hal")
    assert fresh["id"] != hold["id"]
    assert fresh["previous"] == hold["id"]
    assert len(received(stack, "Feed the cat")) == 1
    reject(stack, fresh, "it is fed")
    with pytest.raises(openai.PermissionDeniedError):
        third.result(60)


def test_an_approval_is_for_the_oldest_that_still_waits(stack: Stack) -> None:
    text = "Sweep the floor"
    with connection_of(stack, "ian", text):
        hold = hold_of(stack, "ian")
        second = asking(stack, "ian", text)
        hold_of(stack, "ian", waiting=2)
    hold_of(stack, "ian", waiting=1)
    approve(stack, hold)
    assert said(second.result(60))
    assert len(received(stack, text)) == 1


def test_who_leaves_after_the_release_ends_the_models_work_and_asks_anew(stack: Stack) -> None:
    gate = stack.upstream.gate()
    first, *rest = stream(["Once ", "upon a time"]).steps
    stack.upstream.answer_with(Answer(headers=SSE_TYPE, steps=(first, gate, *rest)))
    client = contractor(stack, "ivy")
    begun = in_background(
        lambda: client.chat.completions.create(
            model="llama", messages=chat("A story")["messages"], stream=True
        )
    )
    hold = hold_of(stack, "ivy")
    approve(stack, hold)
    with begun.result(60) as chunks:
        assert next(iter(chunks)).choices[0].delta.content == "Once "
    (request,) = [r for r in stack.upstream.requests if b"A story" in r.body]
    assert request.left.wait(60)
    until(lambda: status_of(stack, hold) == "broken_off", "the end on record")
    again = in_background(lambda: ask_streamed(client, "A story"))
    fresh = hold_of(stack, "ivy")
    assert fresh["previous"] == hold["id"]
    assert fresh["digest"] == hold["digest"]
    reject(stack, fresh, "you had one")
    assert isinstance(again.exception(60), openai.PermissionDeniedError)


def status_of(stack: Stack, hold: dict[str, Any]) -> object:
    """That of the session which the hold was opened in."""
    subject = hold["caller"]["subject"]
    sessions = stack.cli_json("session", "list", "--caller", subject)
    return next(session["status"] for session in sessions if session["id"] == hold["session"])


def ask_streamed(client: openai.OpenAI, text: str) -> None:
    client.chat.completions.create(model="llama", messages=chat(text)["messages"], stream=True)


def test_an_overdue_hold_cannot_be_approved_and_its_caller_is_told(stack: Stack) -> None:
    waiting = in_background(lambda: stack.post(chat("Hurry up"), "hasty", subject="kai"))
    (hold,) = until(lambda: stack.holds("--caller", "kai", "--all-states"), "the hold")
    until(lambda: time.time() > _deadline(hold), "the deadline")
    refusal = approve(stack, hold, check=4)
    assert "expired" in refusal
    answer = waiting.result(60)
    assert answer.status_code == 403
    assert answer.json()["error"]["code"] == "approval_expired"
    assert answer.headers["x-should-retry"] == "false"
    assert received(stack, "Hurry up") == []


def _deadline(hold: dict[str, str]) -> float:
    from datetime import datetime

    return datetime.fromisoformat(hold["deadline"]).timestamp()


def test_the_state_of_a_hold_is_for_its_owner_alone(stack: Stack) -> None:
    waiting = asking(stack, "lea", "Rename the project")
    hold = hold_of(stack, "lea")
    mine = own_hold(stack, hold, "lea", "contractors")
    assert mine.status_code == 200
    assert mine.json().items() >= {"id": hold["id"], "state": "pending", "waiting": 1}.items()
    assert "Rename" not in mine.text
    others = own_hold(stack, hold, "mia", "contractors", "reviewers")
    unknown = own_hold(stack, {"id": "hold_0"}, "lea", "contractors")
    assert (others.status_code, unknown.status_code) == (404, 404)
    assert others.json() == unknown.json()
    anybody = httpx.get(f"{stack.url}/.well-known/authz/holds/{hold['id']}", timeout=60)
    assert anybody.status_code == 401
    reject(stack, hold, "keep the name")
    with pytest.raises(openai.PermissionDeniedError, match="keep the name"):
        waiting.result(60)
    told = own_hold(stack, hold, "lea").json()
    assert told["state"] == "rejected"
    assert told["votes"] == [{"verdict": "reject", "reason": "keep the name"}]


def test_a_connection_that_is_reset_while_held_counts_no_longer(stack: Stack) -> None:
    with connection_of(stack, "nora", "Close the window") as connection:
        hold = hold_of(stack, "nora")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    assert hold_of(stack, "nora", waiting=0)["id"] == hold["id"]
    reject(stack, hold, "nobody is here")
    until(lambda: status_of(stack, hold) == "client_left", "the end on record")
