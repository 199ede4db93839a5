"""API keys of our own before a real Envoy: with the SDKs, held, rotated, revoked, on record."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import anthropic
import httpx
import openai
import pytest
from tests.e2e.people import approve, ask, chat, hold_of, in_background, state_of
from tests.e2e.stack import CHAT, Stack
from tests.e2e.upstream_answers import completion, whole

from authz_service.keys.api_key import new_api_key

WHY = ("--reason", "was in a log")


def make(stack: Stack, *words: str, owner: str = "olga", group: str = "staff") -> dict[str, Any]:
    """A key as `authz key create --json` tells it."""
    named = ("--owner", owner, "--group", group)
    models = () if "--model" in words else ("--model", "llama")
    made: dict[str, Any] = stack.cli_json("key", "create", *named, *models, *words)
    return made


def post(stack: Stack, headers: dict[str, str], body: object = CHAT, query: str = "") -> httpx.Response:
    url = f"{stack.url}/v1/chat/completions{query}"
    own = {"content-type": "application/json"}
    return httpx.post(url, content=json.dumps(body), headers=own | headers, timeout=60)


def bearer(secret: str) -> dict[str, str]:
    return {"authorization": f"Bearer {secret}"}


def code_of(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["code"]


def test_both_sdks_are_served_with_a_key_and_the_record_names_it(stack: Stack) -> None:
    secret = stack.cli("key", "create", "--owner", "olga", "--group", "staff", "--model", "llama").stdout
    assert secret.startswith("authz_key_")
    stack.upstream.answer_with(completion("Good day."))
    raw = stack.sdk(api_key=secret.strip()).chat.completions.with_raw_response.create(
        model="gpt-4o", messages=[{"role": "user", "content": "Hello"}]
    )
    assert raw.parse().choices[0].message.content == "Good day."
    assert b"authz_key_" not in repr(stack.upstream.requests[-1]).encode()
    (key,) = stack.cli_json("key", "list")
    session = stack.session(raw.headers["x-authz-session"])
    assert session["caller"]["subject"] == key["name"] == key["id"]
    assert session["events"][0]["data"]["key"] == key["id"]
    block = {"type": "text", "text": "Hi."}
    head = {"id": "msg_1", "type": "message", "role": "assistant", "model": "llama", "stop_sequence": None}
    usage = {"input_tokens": 1, "output_tokens": 1}
    stack.upstream.answer_with(whole(head | {"content": [block], "stop_reason": "end_turn", "usage": usage}))
    client = anthropic.Anthropic(base_url=stack.url, api_key=secret.strip(), max_retries=0)
    message = client.messages.create(
        model="llama", max_tokens=9, messages=[{"role": "user", "content": "Hello"}]
    )
    assert message.content[0].to_dict() == block


def test_a_key_gets_what_is_in_its_scope_and_of_that_what_the_rules_allow(stack: Stack) -> None:
    narrow = make(stack, "--api", "openai_chat", "--name", "narrow")
    assert post(stack, bearer(narrow["secret"])).status_code == 200
    with pytest.raises(openai.PermissionDeniedError, match="not in its scope"):
        stack.sdk(api_key=narrow["secret"]).embeddings.create(model="llama", input="Hello")
    health = {"headers": bearer(narrow["secret"]), "timeout": 60}
    assert httpx.get(f"{stack.url}/health", **health).status_code == 403  # type: ignore[arg-type]  # of several types
    only_path = make(stack, "--path", "/health")["secret"]
    assert httpx.get(f"{stack.url}/health", headers=bearer(only_path), timeout=60).status_code == 200
    assert code_of(post(stack, bearer(only_path))) == (403, "out_of_scope")
    with_path = make(stack, "--path", "/health", "--api", "*")["secret"]
    assert httpx.get(f"{stack.url}/health", headers=bearer(with_path), timeout=60).status_code == 200
    assert post(stack, bearer(with_path)).status_code == 200
    denied = make(stack, "--model", "*", group="sales")["secret"]
    assert code_of(post(stack, bearer(denied))) == (403, "request_denied")


def test_the_owner_of_a_key_does_not_approve_what_it_asks(stack: Stack) -> None:
    secret = make(stack, "--name", "deployer", owner="olga", group="contractors")["secret"]
    waiting = in_background(lambda: ask(stack.sdk(api_key=secret, max_retries=0), "Deploy on Friday"))
    hold = hold_of(stack, "deployer")
    owner = stack.token("olga", "reviewers", review=True)
    assert "cannot decide on it" in approve(stack, hold, check=5, token=owner)
    approve(stack, hold, token=stack.token("rita", "reviewers", review=True))
    assert waiting.result(60).choices


def test_a_key_that_is_revoked_while_its_request_is_held_releases_nothing(stack: Stack) -> None:
    key = make(stack, "--name", "builder", group="contractors")
    body = chat("Build the release")
    asking = in_background(lambda: post(stack, bearer(key["secret"]), body))
    hold = hold_of(stack, "builder")
    fresh = stack.cli_json("key", "rotate", "builder", "--overlap", "24h")
    stack.cli("key", "revoke", key["id"], *WHY)
    approve(stack, hold)
    assert code_of(asking.result(60)) == (401, "api_key_revoked")
    assert code_of(post(stack, bearer(key["secret"]))) == (401, "api_key_revoked")
    assert state_of(stack, hold) == "approved"
    assert not [r for r in stack.upstream.requests if b"Build the release" in r.body]
    assert post(stack, bearer(fresh["secret"]), body).status_code == 200
    assert state_of(stack, hold) == "released"


def test_a_rotated_key_goes_on_beside_the_new_one_until_the_overlap_is_over(stack: Stack) -> None:
    old = make(stack, "--name", "nightly")
    new = stack.cli_json("key", "rotate", "nightly", "--overlap", "1h")
    assert (new["replaces"], new["name"], new["owner"], new["scope"]) == (
        old["id"],
        "nightly",
        "olga",
        ["model:llama"],
    )
    assert [post(stack, bearer(key["secret"])).status_code for key in (old, new)] == [200, 200]
    assert "was rotated already" in stack.cli("key", "rotate", old["id"], check=4).stderr
    newest = stack.cli_json("key", "rotate", new["id"], "--overlap", "0")
    assert code_of(post(stack, bearer(new["secret"]))) == (401, "api_key_expired")
    assert [post(stack, bearer(key["secret"])).status_code for key in (old, newest)] == [200, 200]
    assert {key["id"] for key in stack.cli_json("key", "list", "--owner", "olga")} >= {
        old["id"],
        newest["id"],
    }
    assert new["id"] not in {key["id"] for key in stack.cli_json("key", "list")}


def test_keys_are_known_after_a_restart_and_so_is_their_last_use(stack: Stack) -> None:
    key, gone = make(stack, "--name", "steady"), make(stack, "--name", "gone")
    assert post(stack, bearer(key["secret"])).status_code == 200
    stack.cli("key", "revoke", "gone", *WHY)
    stack.stop()
    stack.start()
    assert post(stack, bearer(key["secret"])).status_code == 200
    assert code_of(post(stack, bearer(gone["secret"]))) == (401, "api_key_revoked")
    listed = {found["name"]: found for found in stack.cli_json("key", "list", "--all")}
    assert listed["steady"]["last_used_at"] is not None
    assert (listed["gone"]["last_used_at"], listed["gone"]["reason"]) == (None, "was in a log")


BAD = {
    "another key": ("authz_key_" + "0" * 37 + "0zzzzz", "malformed_api_key"),
    "one that another gateway made": (new_api_key(), "unknown_api_key"),
    "nothing behind the prefix": ("authz_key_", "malformed_api_key"),
    "40 KB": ("authz_key_" + "a" * 40_000, "malformed_api_key"),
}


@pytest.mark.parametrize(("secret", "code"), BAD.values(), ids=BAD)
def test_what_is_no_key_is_refused_and_nothing_reaches_the_model(
    stack: Stack, secret: str, code: str
) -> None:
    before = len(stack.upstream.requests)
    answer = post(stack, bearer(secret))
    assert code_of(answer) == (401, code)
    assert secret not in answer.text or secret == "authz_key_"
    assert len(stack.upstream.requests) == before


def test_one_credential_counts_wherever_it_stands_and_two_are_refused(stack: Stack) -> None:
    key, other = make(stack)["secret"], make(stack)["secret"]
    for headers in (bearer(key), {"x-api-key": key}, {"api-key": key}, bearer(key) | {"x-api-key": key}):
        assert post(stack, headers).status_code == 200
    before = len(stack.upstream.requests)
    for more in (other, stack.token("alice", "staff")):
        assert code_of(post(stack, bearer(key) | {"x-api-key": more})) == (401, "ambiguous_credentials")
    assert code_of(post(stack, {}, query=f"?api_key={key}")) == (401, "missing_token")
    assert len(stack.upstream.requests) == before


def test_a_key_is_never_good_at_the_review_api_and_only_operators_make_any(stack: Stack) -> None:
    secret = make(stack, group="reviewers")["secret"]
    for words in (("hold", "list"), ("key", "list")):
        refused = stack.cli(*words, token=secret, check=5)
        assert "API keys are for the gateway" in refused.stderr
    reviewer = stack.token("rob", "reviewers", "auditors", review=True)
    stack.cli("key", "create", "--owner", "rob", "--model", "*", token=reviewer, check=5)
    assert "rob" not in {key["owner"] for key in stack.cli_json("key", "list", "--all")}


def test_a_key_is_nowhere_but_where_it_was_shown_and_the_record_agrees(stack: Stack) -> None:
    secret = make(stack, "--name", "canary")["secret"]
    assert post(stack, bearer(secret)).status_code == 200
    post(stack, bearer(secret) | {"x-api-key": "another"})
    post(stack, bearer(secret[:-1]))
    post(stack, {}, query=f"?api_key={secret}")
    stack.cli("key", "revoke", "canary", *WHY)
    found = [path for path in _files(stack.folder) if secret[10:40].encode() in path.read_bytes()]
    assert found == []
    stack.cli("audit", "verify", "--config", str(stack.config_file))


def _files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]
