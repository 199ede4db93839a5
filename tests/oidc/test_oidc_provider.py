"""Tokens of a real OpenID provider in all its flows, its keys' rotation, and its absence."""

from __future__ import annotations

import json

import httpx
from tests.e2e.people import approve, chat, hold_of, in_background
from tests.e2e.stack import CHAT, Stack
from tests.oidc.provider_process import OidcProvider


def ask(stack: Stack, token: str, body: object = CHAT) -> httpx.Response:
    headers = {"authorization": f"Bearer {token}", "content-type": "application/json"}
    return httpx.post(
        f"{stack.url}/v1/chat/completions", content=json.dumps(body), headers=headers, timeout=60
    )


def caller_of(stack: Stack, answer: httpx.Response) -> tuple[str, list[str]]:
    """Whom the record names for an answer."""
    caller = stack.session(answer.headers["x-authz-session"])["caller"]
    return caller["subject"], caller["groups"]


def test_a_service_is_served_by_its_client_credentials(stack: Stack, provider: OidcProvider) -> None:
    answer = ask(stack, provider.by_client_credentials())
    assert answer.status_code == 200
    assert caller_of(stack, answer) == ("batch.staff", ["staff"])


def test_a_service_whose_scope_has_nothing_of_ours_gets_nothing(stack: Stack, provider: OidcProvider) -> None:
    answer = ask(stack, provider.by_client_credentials("chat"))
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "no_scope")


def test_a_person_is_served_by_the_code_flow(stack: Stack, provider: OidcProvider) -> None:
    answer = ask(stack, provider.by_code("alice.staff.leads"))
    assert answer.status_code == 200
    assert caller_of(stack, answer) == ("alice.staff.leads", ["staff", "leads"])


def test_a_person_is_served_by_the_device_flow(stack: Stack, provider: OidcProvider) -> None:
    answer = ask(stack, provider.by_device("bob.staff"))
    assert answer.status_code == 200
    assert caller_of(stack, answer) == ("bob.staff", ["staff"])


def test_whoever_is_in_no_group_that_may_is_denied(stack: Stack, provider: OidcProvider) -> None:
    answer = ask(stack, provider.by_code("mallory.sales"))
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "request_denied")


def test_a_contractors_request_is_held_and_released(stack: Stack, provider: OidcProvider) -> None:
    token = provider.by_device("carol.contractors")
    asking = in_background(lambda: ask(stack, token, chat("Hold this")))
    approve(stack, hold_of(stack, "carol.contractors"))
    assert asking.result(30).status_code == 200


def test_an_id_token_is_no_access_token_for_the_gateway(stack: Stack, provider: OidcProvider) -> None:
    answer = ask(stack, provider.by_code("alice.staff", kind="id_token"))
    assert (answer.status_code, answer.json()["error"]["code"]) == (401, "wrong_audience")


def test_keys_change_and_no_request_is_refused(stack: Stack, provider: OidcProvider) -> None:
    provider.publish("one")
    old = provider.by_client_credentials()
    assert ask(stack, old).status_code == 200
    provider.publish("two", "one")
    new = provider.by_client_credentials()
    assert [ask(stack, token).status_code for token in (new, old, new)] == [200, 200, 200]


def test_the_provider_may_be_away(stack: Stack, provider: OidcProvider) -> None:
    known, unused = provider.by_client_credentials(), provider.by_code("dave.staff")
    assert ask(stack, known).status_code == 200
    provider.kill()
    try:
        assert [ask(stack, token).status_code for token in (known, unused)] == [200, 200]
    finally:
        provider.start()
    assert ask(stack, provider.by_client_credentials()).status_code == 200
