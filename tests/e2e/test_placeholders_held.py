"""Held requests and answers show placeholders, and those who receive an answer get the values."""

from __future__ import annotations

import json
from collections.abc import Iterator

import openai
import pytest
from tests.e2e.people import (
    approve,
    ask,
    asking,
    contractor,
    hold_of,
    in_background,
    received,
    said,
    state_of,
)
from tests.e2e.placeholders import REVERSIBLE, SEEN, TEXT, echo, streamed
from tests.e2e.stack import Stack
from tests.e2e.upstream_answers import Answer, Received, completion, stream


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with Stack(tmp_path_factory.mktemp("placeholders"), config=REVERSIBLE) as running:
        yield running


def test_a_held_request_shows_placeholders_and_its_answer_has_the_values(stack: Stack) -> None:
    waiting = asking(stack, "cleo", f"Held: {TEXT}")
    hold = hold_of(stack, "cleo")
    shown = stack.cli("hold", "show", hold["id"]).stdout
    assert "<EMAIL_ADDRESS_2>" in shown
    assert "example.org" not in shown
    stack.upstream.answer_with(echo)
    approve(stack, hold)
    assert said(waiting.result(60)) == f"Held: {TEXT}"
    (body,) = received(stack, "Held: ")
    assert json.loads(body)["messages"][0]["content"] == f"Held: {SEEN}"


def test_what_was_approved_before_a_restart_is_restored_from_the_request_that_comes_again(
    stack: Stack,
) -> None:
    text = f"Before: {TEXT}"
    waiting = asking(stack, "dora", text)
    hold = hold_of(stack, "dora")
    stack.stop()
    with pytest.raises(openai.APIError):
        waiting.result(60)
    stack.start()
    approve(stack, hold)
    stack.upstream.answer_with(echo)
    assert said(ask(contractor(stack, "dora"), text)) == text
    assert state_of(stack, hold) == "released"
    (body,) = received(stack, "Before: ")
    assert json.loads(body)["messages"][0]["content"] == f"Before: {SEEN}"


def test_the_noise_of_another_try_changes_no_value(stack: Stack) -> None:
    waiting = asking(stack, "elsa", "Noisy: jane@example.com", metadata={"nonce": "bob@example.org"})
    hold = hold_of(stack, "elsa")
    again = asking(stack, "elsa", "Noisy: jane@example.com", metadata={"nonce": "x"})
    assert hold_of(stack, "elsa", waiting=2)["id"] == hold["id"]
    stack.upstream.answer_with(echo)
    approve(stack, hold)
    assert said(waiting.result(60)) == "Noisy: jane@example.com"
    other = hold_of(stack, "elsa", but=hold["id"])
    stack.upstream.answer_with(echo)
    approve(stack, other)
    assert said(again.result(60)) == "Noisy: jane@example.com"


@pytest.fixture(scope="module")
def holding(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A gateway that holds answers with an employee's number in them."""
    rule = """\
    - name: review-employees
      when: "answer.findings.EMPLOYEE_ID.count > 0"
      effect: hold
      approval: security
"""
    config = REVERSIBLE.replace("paths:\n", rule + "paths:\n")
    with Stack(tmp_path_factory.mktemp("holding"), config=config) as running:
        yield running


@pytest.mark.parametrize("is_streamed", [False, True])
def test_a_held_answer_shows_placeholders_and_every_caller_of_it_gets_the_values(
    holding: Stack, is_streamed: bool
) -> None:
    text = "Ask E-123456 of <EMAIL_ADDRESS_1>, <EMAIL_ADDRESS_2>"
    expected = "Ask E-123456 of jane@example.com, <EMAIL_ADDRESS_2>"

    def answer(request: Received) -> Answer:
        return stream(list(text)) if request.json().get("stream") else completion(text)

    def asked(client: openai.OpenAI) -> str | None:
        question = "Whom does jane@example.com ask?"
        return streamed(client, question) if is_streamed else said(ask(client, question))

    subject = f"greta{is_streamed}"
    for is_back in (False, True):
        holding.upstream.answer_with(answer)
        before = len(holding.upstream.requests)
        waiting = in_background(lambda: asked(holding.sdk(subject, "staff", max_retries=0)))
        hold = hold_of(holding, subject)
        shown = holding.cli("hold", "show", hold["id"]).stdout
        assert "jane@example.com" not in shown
        if is_back:
            holding.stop()
            with pytest.raises(openai.APIError):
                waiting.result(60)
            holding.start()
            waiting = in_background(lambda: asked(holding.sdk(subject, "staff", max_retries=0)))
            assert hold_of(holding, subject)["id"] == hold["id"]
        approve(holding, hold)
        assert waiting.result(60) == expected
        assert len(holding.upstream.requests) == before + 1
    checked = holding.cli("audit", "verify", "--config", str(holding.config_file), "--json").stdout
    assert json.loads(checked)["ok"]
