"""Between the hold and its release the world goes on: rules change, masks change, tokens expire."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import Future
from typing import Any

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
    reviewer,
    said,
    sha256,
    state_of,
    until,
)
from tests.e2e.stack import CONFIG, Stack

KEPT = """\
approvals:
  kept:
    snapshot: true
    stages:
      - {{reviewers: "'reviewers' in person.groups", votes: 1, within: 30m}}
"""
KEEPING = """\
    - {{name: errands, when: "'errands' in caller.groups", effect: hold, approval: kept}}
answers:
"""
DEFAULT = CONFIG.replace("approvals:\n", KEPT).replace("answers:\n", KEEPING)
FROZEN = DEFAULT.replace(
    "answers:\n",
    '    - {{name: frozen, when: "true", effect: deny, reason: Nothing leaves today.}}\nanswers:\n',
)
TRUSTED = DEFAULT.replace("effect: hold, approval: security", "effect: allow")
MASKED = DEFAULT.replace("IBAN_CODE]", "IBAN_CODE, EMPLOYEE_ID]")


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with Stack(tmp_path_factory.mktemp("release"), config=DEFAULT) as running:
        yield running


@pytest.fixture
def stack(gateway: Stack) -> Iterator[Stack]:
    """The gateway, with the first rules again after each test."""
    yield gateway
    if gateway.config != DEFAULT or "votes: 2" in gateway.config_file.read_text():
        put_in_force(gateway, DEFAULT)


def outlasted(
    stack: Stack, subject: str, group: str, text: str, *, waiting: int = 1, lasts: int = 4
) -> tuple[Future[Any], dict[str, Any]]:
    """A question that is held, with its hold, once the token that it was asked with has expired.

    Where that came before it was held, as on a machine that stood still, the next token lasts longer.
    """
    client = stack.sdk(api_key=stack.token(subject, group, ttl=f"{lasts}s"), max_retries=0)
    expires = time.time() + lasts
    asked = in_background(lambda: ask(client, text))
    held = in_background(lambda: hold_of(stack, subject, waiting=waiting))
    until(lambda: asked.done() or held.done(), "the hold")
    if asked.done():
        assert isinstance(asked.exception(), openai.AuthenticationError)
        return outlasted(stack, subject, group, text, waiting=waiting, lasts=3 * lasts)
    until(lambda: time.time() > expires, "the token's end")
    return asked, held.result()


def put_in_force(stack: Stack, config: str, **changes: str) -> None:
    stack.config = config
    assert stack.reload(**changes)["event"] == "policy.activated"


def test_a_rule_that_denies_at_release_stands_over_the_approval(stack: Stack) -> None:
    waiting = asking(stack, "abe", "Ship it")
    hold = hold_of(stack, "abe")
    put_in_force(stack, FROZEN)
    approve(stack, hold)
    with pytest.raises(openai.PermissionDeniedError, match="Nothing leaves today") as refused:
        waiting.result(60)
    assert refused.value.code == "request_denied"
    assert received(stack, "Ship it") == []
    # The approval was not used: with the old rules again it counts.
    assert state_of(stack, hold) == "approved"
    put_in_force(stack, DEFAULT)
    assert said(ask(contractor(stack, "abe"), "Ship it"))
    assert state_of(stack, hold) == "released"


def test_a_changed_definition_of_the_approval_asks_again(stack: Stack) -> None:
    waiting = asking(stack, "bob", "Merge it")
    old = hold_of(stack, "bob")
    put_in_force(stack, DEFAULT, votes="2")
    approve(stack, old, token=reviewer(stack, "rita"))
    new = hold_of(stack, "bob", but=old["id"])
    assert new["previous"] == old["id"]
    assert new["digest"] == old["digest"]
    assert state_of(stack, old) == "superseded"
    assert received(stack, "Merge it") == []
    approve(stack, new, token=reviewer(stack, "rita"))
    assert state_of(stack, new) == "pending"
    approve(stack, new, token=reviewer(stack, "rolf"))
    assert said(waiting.result(60))
    assert len(received(stack, "Merge it")) == 1


def test_a_rule_that_allows_by_now_lets_the_approval_count(stack: Stack) -> None:
    waiting = asking(stack, "cyd", "Tag it")
    hold = hold_of(stack, "cyd")
    put_in_force(stack, TRUSTED)
    approve(stack, hold)
    assert said(waiting.result(60))
    assert state_of(stack, hold) == "released"
    (body,) = received(stack, "Tag it")
    assert sha256(body) == hold["digest"]


def test_a_mask_that_came_meanwhile_makes_other_bytes_which_are_asked_about_again(stack: Stack) -> None:
    waiting = asking(stack, "dee", "E-123456 wants a laptop")
    old = hold_of(stack, "dee")
    put_in_force(stack, MASKED)
    approve(stack, old)
    new = hold_of(stack, "dee", but=old["id"])
    assert new["previous"] == old["id"]
    assert new["digest"] != old["digest"]
    assert received(stack, "wants a laptop") == []
    approve(stack, new)
    assert said(waiting.result(60))
    (body,) = received(stack, "wants a laptop")
    assert b"[EMPLOYEE_ID] wants a laptop" in body
    assert sha256(body) == new["digest"]


def test_a_token_that_expired_meanwhile_uses_nothing_up_and_a_fresh_one_goes_through(stack: Stack) -> None:
    text = "Renew the lease"
    waiting, hold = outlasted(stack, "eli", "contractors", text)
    approve(stack, hold)
    with pytest.raises(openai.ConflictError, match="fresh token") as refused:
        waiting.result(60)
    assert refused.value.code == "token_expired"
    assert refused.value.response.headers["x-should-retry"] == "false"
    assert received(stack, text) == []
    assert state_of(stack, hold) == "approved"
    assert said(ask(contractor(stack, "eli"), text))
    assert state_of(stack, hold) == "released"
    assert len(received(stack, text)) == 1


def test_a_token_that_expired_is_not_let_through_by_rules_that_hold_its_request_no_more(
    stack: Stack,
) -> None:
    text = "Extend the loan"
    first = asking(stack, "gus", text)
    hold_of(stack, "gus")
    second, hold = outlasted(stack, "gus", "contractors", text, waiting=2)
    put_in_force(stack, TRUSTED)
    approve(stack, hold)  # which releases the first; the other is judged anew, and nothing holds it
    assert said(first.result(60))
    with pytest.raises(openai.AuthenticationError, match="expired") as refused:
        second.result(60)
    assert refused.value.code == "token_expired"
    assert len(received(stack, text)) == 1


def test_an_approval_with_a_snapshot_keeps_the_identity_that_it_was_given_for(stack: Stack) -> None:
    waiting, hold = outlasted(stack, "fox", "errands", "Fetch the mail")
    approve(stack, hold)
    assert said(waiting.result(60))
