"""A key that its issuer withdraws while a request waits, before a real Envoy."""

from __future__ import annotations

import json
from collections.abc import Iterator

import httpx
import pytest
from tests.e2e.identity_provider import AUDIENCE, IdentityProvider
from tests.e2e.issuers import config_with
from tests.e2e.people import approve, hold_of, in_background, state_of, until
from tests.e2e.stack import CHAT, Stack


@pytest.fixture(scope="module")
def idp() -> Iterator[IdentityProvider]:
    with IdentityProvider() as running:
        yield running


@pytest.fixture(scope="module")
def stack(idp: IdentityProvider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    config = config_with([idp.issuer()], f"audience: {AUDIENCE}, algorithms: [RS256, ES256]")
    with Stack(tmp_path_factory.mktemp("gateway"), config=config) as running:
        yield running


def ask(stack: Stack, token: str) -> httpx.Response:
    headers = {"authorization": f"Bearer {token}", "content-type": "application/json"}
    url = f"{stack.url}/v1/chat/completions"
    return httpx.post(url, content=json.dumps(CHAT), headers=headers, timeout=60)


def code_of(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["code"]


def test_a_request_whose_tokens_key_is_withdrawn_while_it_is_held_is_not_released(
    stack: Stack, idp: IdentityProvider
) -> None:
    token = idp.token(sub="carol", groups=["contractors"])
    asking = in_background(lambda: ask(stack, token))
    hold = hold_of(stack, "carol")
    idp.published = ("ec",)
    # A key that the gateway has never heard of has it look at once, rather than in five minutes.
    fetched = idp.paths.count("/main/keys")
    ask(stack, idp.token("ec", header={"kid": "random"}))
    until(lambda: idp.paths.count("/main/keys") > fetched, "the keys are fetched anew")
    approve(stack, hold)
    assert code_of(asking.result(60)) == (401, "unknown_key")
    assert code_of(ask(stack, token)) == (401, "unknown_key")
    assert stack.upstream.requests == []
    assert state_of(stack, hold) == "approved"
    good = idp.token("ec", sub="carol", groups=["contractors"])
    assert ask(stack, good).status_code == 200
    assert state_of(stack, hold) == "released"
