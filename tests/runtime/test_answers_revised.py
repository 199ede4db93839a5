"""What a reviewer made of an answer goes out by the rules of its release, whatever it was written under."""

from __future__ import annotations

import asyncio
import hashlib
import json
from pathlib import Path
from typing import Any, cast

import pytest
from tests.servers.ext_proc_fakes import ALICE
from tests.servers.process_messages import CHAT

from authz_service.app import rules_of
from authz_service.cel.load import load_config
from authz_service.core.acts import Act, ActKind, AnswerHead, Revised
from authz_service.core.holds import Approval, Stage
from authz_service.core.stored_holds import Hold, HoldState
from authz_service.model_apis.registry import find_operation
from authz_service.runtime.held_answers import judge_held
from authz_service.runtime.judging import Route, inspect
from authz_service.runtime.threads import Threads

P1 = """\
version: 1
models: [{name: llama, url: "http://127.0.0.1:8000"}]
requests: {default: allow}
masks: [{name: personal, in: [answers], entities: [EMAIL_ADDRESS], with: type}]
"""


@pytest.mark.parametrize("kind", [ActKind.EDIT, ActKind.RESPOND])
def test_what_a_reviewer_wrote_is_masked_by_the_rules_of_its_release(kind: ActKind, tmp_path: Path) -> None:
    (tmp_path / "authz.yaml").write_text(P1)
    rules = rules_of(load_config(tmp_path / "authz.yaml"))
    api, operation = cast(Any, find_operation("POST", CHAT))
    route = Route(api, operation)
    asked = json.dumps({"model": "llama", "messages": [{"role": "user", "content": "hi"}]}).encode()
    inspection = inspect(rules, route, asked, lambda m: m.encode(), content_type="application/json")
    # Written while the masks did not name addresses:
    message = {"role": "assistant", "content": "ask bo@example.com"}
    choice = {"index": 0, "finish_reason": "stop", "message": message}
    answer = {"id": "1", "object": "chat.completion", "model": "llama", "choices": [choice]}
    body = json.dumps(answer).encode()
    digest, head = hashlib.sha256(body).hexdigest(), AnswerHead(200, {"content-type": "application/json"})
    rob = ("https://id", "rob")
    act = Act("act_1", kind, rob, rob, "rob", 1.0, revised=Revised(digest, {}, head))
    hold = Hold(
        id="hld_1",
        session="ses_1",
        caller=ALICE,
        fingerprint="f",
        changes="c",
        digest=digest,
        size=len(body),
        forward=body,
        api="openai_chat",
        operation=operation.name,
        model="llama",
        rule="r",
        reason="",
        policy=rules.policy.digest,  # of its opening; there has been another since
        approvals=(Approval("s", (Stage("true", 1, 60.0),)),),
        findings={},
        previous=None,
        state=HoldState.APPROVED,
        version=2,
        created_at=0.0,
        deadline=60.0,
        acts=(act,),
        answer=head,
        was_answered=True,
    )
    judged = asyncio.run(
        judge_held(
            rules,
            route,
            inspection,
            hold,
            caller=ALICE,
            now=0.0,
            new_hold="h",
            threads=Threads(),
        )
    )
    assert b"bo@example.com" not in judged.given
    assert b"bo@example.com" not in judged.body
    assert judged.found == {"EMAIL_ADDRESS": 1}
