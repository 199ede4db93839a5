"""Attacks on the whole gateway: by callers who break the rules, and by a model that turned bad."""

from __future__ import annotations

import json
from contextlib import ExitStack
from functools import partial
from typing import Any

import pytest
from tests.e2e.people import approve, chat, hold_of, received, state_of, until
from tests.e2e.plain import HELLO, Header, Plain, contractor, data_of, on_record, staff
from tests.e2e.stack import Stack
from tests.e2e.upstream_answers import JSON_TYPE, SSE_TYPE, Answer, completion, event

MAIL = "bob@example.com"
KEY = "AKIAIOSFODNN7EXAMPLE"


@pytest.fixture(scope="module")
def alice(stack: Stack) -> Plain:
    return staff(stack)


def piece(text: str) -> bytes:
    return event({"choices": [{"index": 0, "delta": {"content": text}, "finish_reason": None}]})


@pytest.mark.parametrize("name", ["x-envoy-note", "x-forwarded-proto", "host"])
def test_a_header_that_envoy_lets_nobody_remove_stops_the_answer_by_what_it_says(
    alice: Plain, name: str
) -> None:
    body = completion("Hi").steps
    alice.stack.upstream.answer_with(Answer(headers=(*JSON_TYPE, (name, MAIL)), steps=body))
    assert alice.ask(HELLO).refusal == (502, "unmaskable")
    alice.stack.upstream.answer_with(Answer(headers=(*JSON_TYPE, (name, "plain")), steps=body))
    reply = alice.ask(HELLO)
    assert reply.header(name) == "plain"
    assert data_of(on_record(alice.stack, reply.session), "answer.started")["headers"][name] == "plain"


@pytest.mark.parametrize("more", [(), JSON_TYPE])
def test_a_model_cannot_switch_to_another_protocol(alice: Plain, more: tuple[Header, ...]) -> None:
    lines = ["HTTP/1.1 101 Switching Protocols", "upgrade: x", "connection: upgrade"]
    lines += [f"{name}: {value}" for name, value in more]
    raw = ("\r\n".join(lines) + "\r\n\r\n" + json.dumps({"choices": [], "note": MAIL})).encode()
    alice.stack.upstream.answer_with(Answer(raw=raw))
    assert alice.ask(HELLO).status == 502


def test_a_model_that_goes_on_after_its_answer_was_denied_is_heard_no_more(alice: Plain) -> None:
    upstream = alice.stack.upstream
    gates = [upstream.gate(), upstream.gate()]
    steps = (piece("One. "), gates[0], piece(f"{KEY} "), gates[1], piece(f"two {MAIL} "), piece("three."))
    upstream.answer_with(Answer(headers=SSE_TYPE, steps=steps))
    with alice.asking() as client:
        came = client.read_until(b"One. ")
        gates[0].open()
        came += client.read_until(b"answer_denied")
        gates[1].open()
        came += client.read_until(b"0\r\n\r\n")
    assert KEY.encode() not in came
    assert b"two" not in came
    assert b"three" not in came


def test_a_get_whose_body_is_empty_chunks_does_not_wait_for_ever(alice: Plain) -> None:
    sent = alice.head(("transfer-encoding", "chunked"), method="GET", target="/health") + b"0\r\n\r\n"
    assert alice.exactly(sent, to="GET").status == 200


def test_nobody_reads_anothers_hold_by_any_spelling_of_its_path(stack: Stack) -> None:
    mallory, text = contractor(stack, "mallory"), b"Mine alone"
    with contractor(stack, "victor").asking(json.dumps(chat("Mine alone")).encode()):
        hold = hold_of(stack, "victor")["id"]
        for path in (hold, f"x/../{hold}", f"{hold}?x=1", f"%68{hold[1:]}", f"{hold}/", f"./{hold}"):
            reply = mallory.ask(b"", method="GET", target=f"/.well-known/authz/holds/{path}")
            assert reply.status == 404, path
            assert text not in reply.body


def test_an_approval_is_used_once_while_those_who_wait_for_it_leave(stack: Stack) -> None:
    for number in range(4):
        text, subject = f"Round {number}", f"crowd{number}"
        caller = contractor(stack, subject)
        with ExitStack() as clients:
            waiting = [
                clients.enter_context(caller.asking(json.dumps(chat(text)).encode())) for _ in range(4)
            ]
            hold = hold_of(stack, subject, waiting=4)
            waiting[0].reset()
            approve(stack, hold)
            waiting[number % 2 + 1].reset()
            until(partial(is_released, stack, hold), "the approval is used")
        assert len(received(stack, text)) <= 1


def is_released(stack: Stack, hold: dict[str, Any]) -> bool:
    """Whether the approval was used."""
    return state_of(stack, hold) == "released"
