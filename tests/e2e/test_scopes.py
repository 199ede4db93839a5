"""Service accounts get what is in their scope, and of that what the rules allow, before a real Envoy."""

from __future__ import annotations

import anthropic
import httpx
import openai
import pytest
from tests.e2e.people import approve, ask, hold_of, in_background
from tests.e2e.stack import Stack
from tests.e2e.upstream_answers import completion


def service(stack: Stack, *scope: str, group: str = "staff") -> str:
    """The token of a service account."""
    words = [part for word in scope for part in ("--scope", word)]
    named = ("--subject", "robot", "--owner", "olga", "--group", group)
    return stack.cli("token", *named, *words).stdout.strip()


def refusal(stack: Stack, token: str) -> tuple[int, str]:
    """What the OpenAI SDK raises."""
    before = len(stack.upstream.requests)
    with pytest.raises(openai.APIStatusError) as refused:
        ask(stack.sdk(api_key=token, max_retries=0), "Hello")
    assert len(stack.upstream.requests) == before
    return refused.value.status_code, str(refused.value.code)


def test_what_is_in_the_scope_is_asked_and_what_is_not_is_refused_on_record(stack: Stack) -> None:
    stack.upstream.answer_with(completion("Good day."))
    client = stack.sdk(api_key=service(stack, "model:llama", "api:openai_chat"), max_retries=0)
    assert ask(client, "Hello").choices[0].message.content == "Good day."
    with pytest.raises(openai.PermissionDeniedError, match="not in its scope") as refused:
        client.embeddings.create(model="llama", input="Hello")
    assert refused.value.code == "out_of_scope"
    session = stack.session(refused.value.response.headers["x-authz-session"])
    assert (session["decision"], session["rule"], session["status"]) == ("deny", "out_of_scope", "refused")
    assert refusal(stack, service(stack, "model:qwen")) == (403, "out_of_scope")
    assert refusal(stack, service(stack, "path:*", "api:*")) == (403, "out_of_scope")


def test_the_anthropic_sdk_is_told_in_its_own_words(stack: Stack) -> None:
    token = service(stack, "model:llama", "api:openai_chat")
    client = anthropic.Anthropic(base_url=stack.url, api_key=token, max_retries=0)
    with pytest.raises(anthropic.PermissionDeniedError, match="not in its scope"):
        client.messages.create(model="llama", max_tokens=9, messages=[{"role": "user", "content": "Hello"}])


def test_a_scope_gives_nothing_that_the_rules_do_not(stack: Stack) -> None:
    wide = ("model:*", "api:*", "path:*")
    assert refusal(stack, service(stack, *wide, group="sales")) == (403, "request_denied")
    stack.upstream.answer_with(completion("Balloons."))
    held = stack.sdk(api_key=service(stack, *wide, group="contractors"), max_retries=0)
    waiting = in_background(lambda: ask(held, "Plan a party"))
    approve(stack, hold_of(stack, "robot"))
    assert waiting.result(60).choices[0].message.content == "Balloons."


def test_a_path_that_passes_unread_and_the_list_of_models_are_as_narrow(stack: Stack) -> None:
    def get(token: str, path: str) -> int:
        headers = {"authorization": f"Bearer {token}"}
        return httpx.get(f"{stack.url}{path}", headers=headers, timeout=60).status_code

    assert get(service(stack, "model:*"), "/health") == 403
    assert get(service(stack, "path:/health"), "/health") == 200

    def models(*scope: str) -> list[str]:
        return [model.id for model in stack.sdk(api_key=service(stack, *scope)).models.list()]

    assert models("model:*") == ["llama", "gpt-4o"]
    assert models("model:gpt-4o") == ["gpt-4o"]
    assert models("model:llama") == ["llama", "gpt-4o"]
    assert models("api:*") == []
