"""A request that a reviewer edited, judged again at its release by the rules of that moment."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from tests.servers.ext_proc_fakes import CAROL, CONFIG, serving
from tests.servers.process_messages import request_body, request_headers
from tests.servers.withdrawn_exchanges import approved, holds

from authz_service.app import rules_of
from authz_service.cel.load import load_config
from authz_service.core.acts import ActDraft, ActKind, AnswerHead, Revision
from authz_service.core.holds import StageRef
from authz_service.core.stored_holds import HoldLimits, HoldState
from authz_service.keys.ids import new_id

SAID = "Tell a@b.example {}"
NO_PLANS = """\
    - {name: no-plans, when: "has(findings.EMAIL_ADDRESS) && request.user_text.contains('%s')", effect: deny}
answers:"""


@pytest.mark.parametrize(("forbidden", "is_released"), [("plans", False), ("jokes", True)])
def test_what_was_masked_before_the_edit_is_found_for_the_rules_of_the_release(
    tmp_path: Path, forbidden: str, is_released: bool
) -> None:
    async def scenario() -> None:
        async with asyncio.timeout(60), serving(tmp_path) as service, service.play() as play:
            session, store = new_id("ses"), service.gateway.store
            messages = [{"role": "user", "content": SAID.format("news")}]
            body = json.dumps({"model": "llama", "messages": messages}).encode()
            await play.send(request_headers(service.seal(CAROL, exchange=session)), request_body(body))
            async with asyncio.timeout(60):
                while not (waiting := await holds(service)):
                    await asyncio.sleep(0.005)
            (hold,) = waiting
            edited = (await store.held_bytes([hold.id]))[hold.id].replace(b"news", b"plans")
            assert b"[EMAIL_ADDRESS] plans" in edited
            revision = Revision(hold.digest, edited, hold.findings, (StageRef("security", 0),))
            rob = ("https://id", "rob")
            edit = ActDraft(hold.id, ActKind.EDIT, rob, rob, "rob", revision=revision)
            await store.act(edit, HoldLimits())
            file = tmp_path / "authz.yaml"
            file.write_text(CONFIG.replace("answers:", NO_PLANS % forbidden, 1))
            service.gateway.rules = rules_of(load_config(file))
            await approved(service)
            first = await play.next()
            assert first is not None
            assert play.is_released == is_released
            if not is_released:
                assert first.immediate_response.status.code == 403
                assert "request.released" not in await service.kinds(session)

    asyncio.run(scenario())


def test_a_persons_answer_is_masked_at_its_release_whatever_rules_it_was_written_under(
    tmp_path: Path,
) -> None:
    said = {
        "index": 0,
        "message": {"role": "assistant", "content": "Ask a@b.example"},
        "finish_reason": "stop",
    }
    answer = {"id": "c", "object": "chat.completion", "created": 1, "model": "llama", "choices": [said]}

    async def scenario() -> None:
        async with asyncio.timeout(60), serving(tmp_path) as service, service.play() as play:
            session, store = new_id("ses"), service.gateway.store
            body = b'{"model": "llama", "messages": [{"role": "user", "content": "Whom do I ask?"}]}'
            await play.send(request_headers(service.seal(CAROL, exchange=session)), request_body(body))
            async with asyncio.timeout(60):
                while not (waiting := await holds(service)):
                    await asyncio.sleep(0.005)
            (hold,) = waiting
            head = AnswerHead(200, {"content-type": "application/json"})
            written = json.dumps(answer).encode()  # by rules without masks, which are in force no more
            revision = Revision(hold.digest, written, {}, (StageRef("security", 0),), answer=head)
            rob = ("https://id", "rob")
            respond = ActDraft(hold.id, ActKind.RESPOND, rob, rob, "rob", revision=revision)
            await store.act(respond, HoldLimits())
            await approved(service)
            async with asyncio.timeout(60):
                while len(now := await holds(service)) == 1 and not play.responses:
                    assert now[0].state is not HoldState.RELEASED
                    await asyncio.sleep(0.005)
            assert {hold.state for hold in now} == {HoldState.SUPERSEDED, HoldState.PENDING}
            assert "answer.released" not in [entry.kind for entry in await service.entries(session)]

    asyncio.run(scenario())
