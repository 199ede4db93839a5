"""Answers that wait for people, through Envoy with the official SDKs."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from typing import Any

import anthropic
import openai
import pytest
from tests.e2e.faults import assert_goes_on, kill_up, stop_service
from tests.e2e.people import (
    approve,
    ask,
    chat,
    hold_of,
    in_background,
    own_hold,
    received,
    reject,
    said,
    until,
)
from tests.e2e.stack import CONFIG, Stack
from tests.e2e.test_sdk_anthropic import streamed as in_anthropics
from tests.e2e.upstream_answers import Answer, Received, completion, stream

RULE = """\
    - name: review-employees
      when: "answer.findings.EMPLOYEE_ID.count > 0"
      effect: hold
      approval: security
"""
HELD_ANSWERS = CONFIG.replace("paths:\n", RULE + "paths:\n")
SECRET = "Ask E-123456 (bob@example.com)"


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A gateway that holds answers with an employee's number in them."""
    with Stack(tmp_path_factory.mktemp("held-answers"), config=HELD_ANSWERS) as running:
        yield running


def saying(text: str) -> Any:
    """An answer of the model that says `text`, in whatever form was asked for."""

    def answer(request: Received) -> Answer:
        return stream([text[:7], text[7:]]) if request.json().get("stream") else completion(text)

    return answer


def only_placeholder(text: str | None) -> None:
    assert text == "Ask E-123456 ([EMAIL_ADDRESS])"


def test_a_whole_answer_waits_and_goes_out_as_the_reviewer_saw_it(stack: Stack) -> None:
    stack.upstream.answer_with(saying(SECRET))
    waiting = in_background(lambda: ask(stack.sdk("ann", "staff"), "Who knows about boats?"))
    hold = hold_of(stack, "ann")
    assert (hold["rule"], hold["answer"]["status"]) == ("review-employees", 200)
    assert hold["answer"]["masked"] == {"EMAIL_ADDRESS": 1}
    shown = stack.cli("hold", "show", hold["id"]).stdout
    assert "would go to the caller" in shown
    assert "Ask E-123456 ([EMAIL_ADDRESS])" in shown
    assert "bob@example.com" not in shown
    assert own_hold(stack, hold, "ann").json()["waits"] == "answer"
    approve(stack, hold)
    only_placeholder(said(waiting.result(60)))
    (now,) = stack.holds("--all-states", "--caller", "ann")
    (session,) = stack.cli_json("session", "list", "--caller", "ann")
    assert (now["state"], now["released_to"]) == ("released", session["id"])
    kinds = [event["kind"] for event in stack.session(session["id"])["events"]]
    in_order = ["hold.opened", "hold.voted", "hold.approved", "answer.released", "exchange.ended"]
    assert [kind for kind in kinds if kind in in_order] == in_order
    assert len(received(stack, "about boats")) == 1


def test_a_streamed_answer_waits_whole_and_is_streamed_when_it_is_released(stack: Stack) -> None:
    stack.upstream.answer_with(saying(SECRET))
    client = stack.sdk("ben", "staff")

    def streamed() -> str:
        messages: list[Any] = [{"role": "user", "content": "Who knows about bikes?"}]
        chunks = client.chat.completions.create(model="llama", messages=messages, stream=True)
        return "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)

    waiting = in_background(streamed)
    hold = hold_of(stack, "ben")
    assert "event-stream" in hold["answer"]["content_type"]
    approve(stack, hold)
    only_placeholder(waiting.result(60))


def test_the_retry_gets_that_very_answer_and_the_model_is_asked_once(stack: Stack) -> None:
    for is_streamed in (False, True):
        question = f"Who knows about cars? {is_streamed}"
        stack.upstream.answer_with(saying(SECRET))
        body = chat(question, stream=is_streamed)
        told = stack.post(body, "staff", subject="cat", headers={"prefer": "respond-async"})
        assert told.status_code == 409
        hold = hold_of(stack, "cat", waiting=0)
        approve(stack, hold)
        again = stack.post(body, "staff", subject="cat")
        assert (again.status_code, "[EMAIL_ADDRESS]" in again.text) == (200, True)
        assert again.headers["content-type"].startswith(
            "text/event-stream" if is_streamed else "application/json"
        )
        assert hashlib.sha256(again.content).hexdigest() == hold["digest"]
        assert len(received(stack, question)) == 1
        session = stack.session(again.headers["x-authz-session"])
        assert (session["status"], session["hold"]) == ("completed", hold["id"])
        (now,) = [h for h in stack.holds("--all-states", "--caller", "cat") if h["id"] == hold["id"]]
        assert now["released_to"] == session["id"]


def test_a_withheld_answer_is_refused_to_the_retry_too(stack: Stack) -> None:
    stack.upstream.answer_with(saying(SECRET))
    waiting = in_background(lambda: ask(stack.sdk("dan", "staff"), "Who knows about dams?"))
    reject(stack, hold_of(stack, "dan"), "names nobody should read")
    again = in_background(lambda: ask(stack.sdk("dan", "staff"), "Who knows about dams?"))
    for refused in (waiting, again):
        with pytest.raises(openai.PermissionDeniedError, match="names nobody should read"):
            refused.result(60)
    assert len(received(stack, "about dams")) == 1


def test_a_held_request_whose_answer_is_held_waits_twice(stack: Stack) -> None:
    stack.upstream.answer_with(saying(SECRET))
    waiting = in_background(lambda: ask(stack.sdk("eve", "contractors"), "Who knows about eels?"))
    first = hold_of(stack, "eve")
    approve(stack, first)
    second = hold_of(stack, "eve", but=first["id"])
    assert (first["answer"], second["answer"]["status"]) == (None, 200)
    approve(stack, second)
    only_placeholder(said(waiting.result(60)))


def test_an_answer_without_anything_to_review_goes_through(stack: Stack) -> None:
    assert said(ask(stack.sdk("fay", "staff"), "Hello")) == "Hello from upstream."


def test_an_answer_of_anthropics_api_waits_as_well(stack: Stack) -> None:
    stack.upstream.answer_with(in_anthropics(SECRET, 5))
    client = anthropic.Anthropic(base_url=stack.url, auth_token=stack.token("gil", "staff"), max_retries=0)
    messages: list[Any] = [{"role": "user", "content": "Who knows about goats?"}]

    def streamed() -> str:
        with client.messages.stream(model="llama", max_tokens=99, messages=messages) as events:
            return "".join(events.text_stream)

    waiting = in_background(streamed)
    approve(stack, hold_of(stack, "gil"))
    only_placeholder(waiting.result(60))


def test_after_a_kill_of_everything_the_retry_gets_the_answer_that_was_held(stack: Stack) -> None:
    stack.upstream.answer_with(saying(SECRET))
    waiting = in_background(lambda: ask(stack.sdk("hal", "staff", max_retries=0), "Who knows about hens?"))
    hold = hold_of(stack, "hal")
    kill_up(stack)
    with pytest.raises(openai.APIError):
        waiting.result(60)
    stack.start()
    again = in_background(lambda: ask(stack.sdk("hal", "staff"), "Who knows about hens?"))
    until(lambda: hold_of(stack, "hal")["id"] == hold["id"], "the retry at the same hold")
    approve(stack, hold)
    only_placeholder(said(again.result(60)))
    assert len(received(stack, "about hens")) == 1


def test_a_stop_in_between_tells_the_caller_to_come_back(stack: Stack) -> None:
    stack.upstream.answer_with(saying(SECRET))
    body = chat("Who knows about ibexes?")
    waiting = in_background(lambda: stack.post(body, "staff", subject="ida"))
    hold = hold_of(stack, "ida")
    stop_service(stack)
    told = waiting.result(60)
    assert (told.status_code, told.json()["error"]["code"]) == (409, "approval_pending")
    assert told.headers["x-should-retry"] == "true"
    assert_goes_on(stack)
    approve(stack, hold)
    assert stack.post(body, "staff", subject="ida").json()["choices"]
    assert len(received(stack, "about ibexes")) == 1


def test_a_large_answer_is_given_to_the_retry_whole(stack: Stack) -> None:
    stack.upstream.answer_with(saying("E-123456 " + "abcdefghi " * 300_000))
    body = chat("Who knows about jackals?")
    stack.post(body, "staff", subject="jim", headers={"prefer": "respond-async"})
    hold = hold_of(stack, "jim", waiting=0)
    approve(stack, hold)
    again = stack.post(body, "staff", subject="jim")
    assert hashlib.sha256(again.content).hexdigest() == hold["digest"]


def test_the_record_of_held_answers_verifies(stack: Stack) -> None:
    said = stack.cli("audit", "verify", "--config", str(stack.config_file), "--json").stdout
    assert json.loads(said)["ok"]
