"""Withdrawn tokens before a real Envoy: at both doors, held or not, on record, until they are restored."""

from __future__ import annotations

import json

import httpx
import jwt
from tests.e2e.people import approve, chat, hold_of, in_background, state_of
from tests.e2e.stack import CHAT, Stack

WHY = ("--reason", "laptop lost")


def ask(stack: Stack, token: str, body: object = CHAT) -> httpx.Response:
    headers = {"authorization": f"Bearer {token}", "content-type": "application/json"}
    url = f"{stack.url}/v1/chat/completions"
    return httpx.post(url, content=json.dumps(body), headers=headers, timeout=60)


def code_of(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["code"]


def id_of(token: str) -> str:
    return str(jwt.decode(token, options={"verify_signature": False})["jti"])


def test_one_token_is_withdrawn_and_restored_and_its_twin_goes_on(stack: Stack) -> None:
    lost, other = stack.token("alice", "staff"), stack.token("alice", "staff")
    assert ask(stack, lost).status_code == 200
    stack.cli("token", "revoke", "--jti", id_of(lost), *WHY)
    assert code_of(ask(stack, lost)) == (401, "token_revoked")
    assert ask(stack, other).status_code == 200
    stack.cli("token", "restore", "--jti", id_of(lost), *WHY)
    assert ask(stack, lost).status_code == 200


def test_a_subject_is_withdrawn_also_with_tokens_to_come_and_after_a_restart(stack: Stack) -> None:
    stack.cli("token", "revoke", "--subject", "bob", *WHY)
    assert code_of(ask(stack, stack.token("bob", "staff"))) == (401, "token_revoked")
    stack.stop()
    stack.start()
    assert code_of(ask(stack, stack.token("bob", "staff"))) == (401, "token_revoked")
    (found,) = stack.cli_json("token", "revoked")
    assert (found["subject"], found["reason"], found["until"]) == ("bob", "laptop lost", None)
    stack.cli("token", "restore", "--subject", "bob", *WHY)
    assert stack.cli_json("token", "revoked") == []
    assert ask(stack, stack.token("bob", "staff")).status_code == 200


def test_a_held_request_of_a_withdrawn_token_is_not_released_and_a_good_token_uses_the_approval(
    stack: Stack,
) -> None:
    body, token = chat("Hold this one"), stack.token("carol", "contractors")
    asking = in_background(lambda: ask(stack, token, body))
    hold = hold_of(stack, "carol")
    stack.cli("token", "revoke", "--jti", id_of(token), *WHY)
    approve(stack, hold)
    assert code_of(asking.result(60)) == (401, "token_revoked")
    assert state_of(stack, hold) == "approved"
    assert not [r for r in stack.upstream.requests if b"Hold this one" in r.body]
    assert ask(stack, stack.token("carol", "contractors"), body).status_code == 200
    assert state_of(stack, hold) == "released"


def test_a_reviewer_whose_tokens_are_withdrawn_sees_and_decides_nothing(stack: Stack) -> None:
    token = stack.token("rita", "reviewers", review=True)
    stack.cli("hold", "list", token=token)
    stack.cli("token", "revoke", "--subject", "rita", *WHY)
    refused = stack.cli("hold", "list", token=token, check=5)
    assert "withdrawn" in refused.stderr + refused.stdout


def test_who_is_no_operator_withdraws_nothing(stack: Stack) -> None:
    reviewer = stack.token("rob", "reviewers", "auditors", review=True)
    stack.cli("token", "revoke", "--subject", "dave", *WHY, token=reviewer, check=5)
    assert ask(stack, stack.token("dave", "staff")).status_code == 200
