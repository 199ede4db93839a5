"""What is not in the scope of a key or a service account is refused, whatever the rules say."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from pathlib import Path

import pytest
from tests.servers.ext_proc_fakes import ALICE, CONFIG
from tests.servers.process_messages import CHAT

from authz_service.app import rules_of
from authz_service.cel.load import load_config
from authz_service.core.events import RequestFailed, RequestJudged
from authz_service.core.request import Request
from authz_service.model_apis.registry import find_operation
from authz_service.policy.decision import Effect
from authz_service.runtime.judging import LARGEST_INLINE, Route, judge
from authz_service.runtime.rules import Rules
from authz_service.runtime.threads import Threads

REQUEST = Request("ses_1", ALICE, "pseudonym", "POST", CHAT, "openai_chat")


@pytest.fixture
def rules(tmp_path: Path) -> Rules:
    (tmp_path / "authz.yaml").write_text(CONFIG)
    return rules_of(load_config(tmp_path / "authz.yaml"))


def judged(
    rules: Rules,
    scope: tuple[str, ...] | None,
    *,
    model: str = "llama",
    size: int = 1,
    groups: tuple[str, ...] = ALICE.groups,
) -> RequestJudged | RequestFailed:
    found = find_operation("POST", CHAT)
    assert found is not None
    body = json.dumps({"model": model, "messages": [{"role": "user", "content": "a" * size}]}).encode()
    caller = replace(ALICE, scope=scope, groups=groups)
    judging = judge(
        rules, REQUEST, Route(*found), body, caller=caller, now=0.0, new_hold="h", threads=Threads()
    )
    return asyncio.run(judging)


@pytest.mark.parametrize(
    "scope", [None, ("model:llama",), ("model:*", "api:openai_chat"), ("model:*", f"path:{CHAT}")]
)
def test_what_is_in_the_scope_is_for_the_rules_to_judge(rules: Rules, scope: tuple[str, ...] | None) -> None:
    allowed = judged(rules, scope)
    assert isinstance(allowed, RequestJudged)
    assert allowed.decision.effect is Effect.ALLOW
    denied = judged(rules, scope, groups=("nobody",))
    assert isinstance(denied, RequestJudged)
    assert denied.decision.effect is Effect.DENY


@pytest.mark.parametrize("named", ["llama", "gpt-4o"])
@pytest.mark.parametrize("model", ["llama", "gpt-4o"])
def test_a_model_is_named_by_its_name_or_an_alias(rules: Rules, named: str, model: str) -> None:
    both = replace(rules, models={"llama": "llama", "gpt-4o": "llama", "qwen": "qwen", "q": "qwen"})
    assert isinstance(judged(both, (f"model:{named}",), model=model), RequestJudged)
    for other in ("model:qwen", "model:q"):
        assert isinstance(judged(both, (other,), model=model), RequestFailed)


@pytest.mark.parametrize("size", [1, LARGEST_INLINE])
@pytest.mark.parametrize(
    "scope", [(), ("model:qwen",), ("model:llama", "api:anthropic"), ("api:openai_chat",), ("path:*",)]
)
def test_what_is_not_in_the_scope_is_refused(rules: Rules, scope: tuple[str, ...], size: int) -> None:
    refused = judged(rules, scope, size=size)
    assert isinstance(refused, RequestFailed)
    assert (refused.error.status, refused.error.code) == (403, "out_of_scope")
    assert refused.model == "llama"


def test_a_path_that_passes_unread_is_refused_unless_it_is_in_the_scope(rules: Rules) -> None:
    def answer(scope: tuple[str, ...]) -> RequestJudged | RequestFailed:
        request = replace(REQUEST, method="GET", path="/health")
        caller = replace(ALICE, scope=scope)
        judging = judge(rules, request, None, b"", caller=caller, now=0.0, new_hold="h", threads=Threads())
        return asyncio.run(judging)

    refused = answer(("model:*",))
    assert isinstance(refused, RequestFailed)
    assert refused.error.code == "out_of_scope"
    passed = answer(("path:/health",))
    assert isinstance(passed, RequestJudged)
