"""What is no text goes nowhere unless a rule that matched permits it, and what was decided is told."""

from __future__ import annotations

import asyncio
import base64
import json
from pathlib import Path
from typing import Any

import pytest
from tests.servers.ext_proc_fakes import ALICE, CAROL, CONFIG
from tests.servers.process_messages import CHAT

from authz_service.app import rules_of
from authz_service.cel.load import load_config
from authz_service.core.events import RequestFailed, RequestJudged
from authz_service.core.request import Request
from authz_service.model_apis.registry import find_operation
from authz_service.policy.decision import Effect
from authz_service.runtime.judging import Route, judge
from authz_service.runtime.threads import Threads
from authz_service.view.caller import Caller

PNG = base64.b64encode(b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR" + bytes(20)).decode()
IMAGE = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}}
SMALL = "request.unread.all(u, u.kind == 'image' && u.type == 'image/png' && u.size < 1000)"
WHO = "'staff' in caller.groups"


def judged(
    folder: Path, *rules: str, caller: Caller = ALICE, content: Any = None, **more: Any
) -> RequestJudged | RequestFailed:
    config = CONFIG.replace("  rules:\n", "  rules:\n" + "".join(f"    - {rule}\n" for rule in rules), 1)
    (folder / "authz.yaml").write_text(config)
    found = find_operation("POST", CHAT)
    assert found is not None
    said = [{"type": "text", "text": "mail ann@example.com"}, IMAGE] if content is None else content
    body = {"model": "llama", "messages": [{"role": "user", "content": said}], **more}
    request = Request("ses_1", caller, "pseudonym", "POST", CHAT, "openai_chat")
    return asyncio.run(
        judge(
            rules_of(load_config(folder / "authz.yaml")),
            request,
            Route(*found),
            json.dumps(body).encode(),
            caller=caller,
            now=0.0,
            new_hold="h",
            threads=Threads(),
        )
    )


def rule(when: str = "true", *, permits: str = "image", effect: str = "allow", more: str = "") -> str:
    return f'{{name: p, when: "{when}", effect: {effect}, permits: [{permits}]{more}}}'


def test_by_default_it_is_refused_as_what_it_is_and_told_with_the_decision(tmp_path: Path) -> None:
    failed = judged(tmp_path)
    assert isinstance(failed, RequestFailed)
    assert (failed.error.status, failed.error.code) == (400, "unsupported_content")
    assert str(failed.error).startswith("messages[0].content[1]: a part of type image_url is not text")
    assert failed.judged is not None
    assert failed.judged.decision.effect is Effect.ALLOW
    assert failed.judged.inspection is not None
    assert [unread.kind for unread in failed.judged.inspection.view.unread] == ["image"]


@pytest.mark.parametrize(
    "given",
    [
        rule(permits="audio"),
        rule(when="'nobody' in caller.groups"),
        rule(more=", shadow: true"),
        rule(when="request.unread.all(u, u.size < 10)"),
    ],
)
def test_another_kind_another_caller_a_shadow_or_a_size_too_large_permits_nothing(
    tmp_path: Path, given: str
) -> None:
    assert isinstance(judged(tmp_path, given), RequestFailed)


def test_a_rule_over_type_and_size_lets_it_through_byte_for_byte(tmp_path: Path) -> None:
    allowed = judged(tmp_path, rule(when=f"{WHO} && {SMALL}"))
    assert isinstance(allowed, RequestJudged)
    assert allowed.inspection is not None
    assert PNG.encode() in allowed.inspection.forward


def test_everything_in_the_request_must_be_permitted(tmp_path: Path) -> None:
    more: dict[str, Any] = {"token_ids": [1, 2]}
    failed = judged(tmp_path, rule(), **more)
    assert isinstance(failed, RequestFailed)
    assert failed.error.code == "unsupported_field"
    assert isinstance(judged(tmp_path, rule(permits="image, tokens"), **more), RequestJudged)


def test_a_hold_may_permit_too_and_a_deny_still_wins(tmp_path: Path) -> None:
    held = judged(tmp_path, rule(effect="hold", permits="image", more=", approval: security"), caller=CAROL)
    assert isinstance(held, RequestJudged)
    assert held.decision.effect is Effect.HOLD
    deny = '{name: no, when: "findings.EMAIL_ADDRESS.count > 0", effect: deny}'
    denied = judged(tmp_path, rule(), deny)
    assert isinstance(denied, RequestJudged)
    assert denied.decision.effect is Effect.DENY


def test_another_image_is_another_request(tmp_path: Path) -> None:
    def fingerprint(url: str) -> bytes:
        image = {"type": "image_url", "image_url": {"url": url}}
        allowed = judged(tmp_path, rule(permits="image, file"), content=[image])
        assert isinstance(allowed, RequestJudged)
        assert allowed.inspection is not None
        return allowed.inspection.fingerprint

    assert fingerprint("YWFh") == fingerprint("YWFh") != fingerprint("YWFi")
