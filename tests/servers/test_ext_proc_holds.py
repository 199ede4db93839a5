"""Held exchanges on their streams: who waits for what, when several of one person wait at once."""

from __future__ import annotations

import asyncio
import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text
from tests.servers.exchanges_again import asked, stream
from tests.servers.ext_proc_fakes import ALICE, CAROL, CONFIG, serving
from tests.servers.process_messages import answer_body, answer_headers, request_body, request_headers

from authz_service.audit.draft import Kind
from authz_service.core.stored_holds import HoldQuery, HoldState
from authz_service.keys.ids import new_id
from authz_service.runtime.openings import Openings

ASKED = json.dumps({"model": "llama", "messages": [{"role": "user", "content": "Hi"}]}).encode()
TWO_APPROVALS = CONFIG.replace(
    "    - {name: contractors",
    "    - {name: guests, when: \"'guests' in caller.groups\", effect: hold, approval: other}\n"
    "    - {name: contractors",
).replace(
    "approvals: {",
    'approvals: {other: {stages: [{reviewers: "true", votes: 1, within: 30m, on_timeout: reject}]}, ',
)


def test_two_identities_of_one_person_do_not_take_each_others_place_for_ever(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with (
            asyncio.timeout(60),
            serving(tmp_path, TWO_APPROVALS) as service,
            service.play() as one,
            service.play() as other,
        ):
            guest = replace(CAROL, groups=("guests",))
            await one.send(request_headers(service.seal(CAROL)), request_body(ASKED))
            await other.send(request_headers(service.seal(guest)), request_body(ASKED))
            ends = {asyncio.create_task(one.to_end()), asyncio.create_task(other.to_end())}
            done, still_waiting = await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            (refusal,) = done.pop().result()
            assert refusal.immediate_response.status.code == 409
            assert b"hold_superseded" in refusal.immediate_response.body
            assert len(still_waiting) == 1
            holds = (await service.gateway.store.holds(HoldQuery())).items
            assert [hold.state for hold in holds].count(HoldState.PENDING) == 1
            assert len(holds) <= 4
            for task in still_waiting:
                task.cancel()

    asyncio.run(scenario())


def test_a_state_that_no_vote_bears_out_releases_nothing_and_is_not_tried_for_ever(tmp_path: Path) -> None:
    """Each try is on record: a row that somebody altered wrote a thousand entries in a second."""

    async def scenario() -> None:
        async with asyncio.timeout(60), serving(tmp_path) as service, service.play() as play:
            await play.send(request_headers(service.seal(CAROL)), request_body(ASKED))
            while not service.gateway.waiting.total:
                await asyncio.sleep(0.01)
            before = await service.gateway.store.last_sequence()
            (hold,) = (await service.gateway.store.holds(HoldQuery())).items
            (file,) = tmp_path.rglob("*.db")
            engine = create_engine(f"sqlite:///{file}")
            with engine.begin() as connection:
                connection.execute(text("UPDATE holds SET state = 'approved'"))
            engine.dispose()
            service.gateway.waiting.heard([hold.id])  # nobody else says that it changed
            (refusal,) = await play.to_end()
            assert refusal.immediate_response.status.code == 503
            assert b"record_damaged" in refusal.immediate_response.body
            assert await service.gateway.store.last_sequence() - before < 10

    asyncio.run(scenario())


LIMITED = CONFIG.replace("depth: 64}", "depth: 64, callers: [{requests_per_minute: 5}]}")


@pytest.mark.parametrize("config", [CONFIG, LIMITED], ids=["", "counted by limits"])
def test_who_leaves_before_the_turn_of_their_hold_has_come_is_on_record_from_the_beginning(
    tmp_path: Path, config: str
) -> None:
    async def scenario() -> None:
        session = new_id("ses")
        async with asyncio.timeout(60), serving(tmp_path, config) as service:
            service.gateway.openings = Openings(0)
            async with stream(service, session):
                while not service.gateway.openings._waiting:
                    await asyncio.sleep(0.005)
            await service.is_let_go(session)
            kinds = await service.kinds(session)
            assert kinds == ["request.received", "request.decided", "exchange.ended"], kinds
            assert await service.payloads(session, Kind.REQUEST_DECIDED) == asked(session)
            found = await service.gateway.store.session(session)
            assert found is not None
            assert (found.decision, found.status) == ("hold", "client_left")

    asyncio.run(scenario())


def test_who_leaves_before_the_turn_of_their_answer_s_hold_is_on_record_with_what_was_decided_of_it(
    tmp_path: Path,
) -> None:
    rules = 'rules: [{name: all, when: "true", effect: hold, approval: security}]'
    config = re.sub(r"rules: \[\{name: no-keys.*\]", rules, CONFIG)
    answer = {
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hello"}}],
        "usage": {"prompt_tokens": 3, "completion_tokens": 4},
    }

    async def scenario() -> None:
        session = new_id("ses")
        async with asyncio.timeout(60), serving(tmp_path, config) as service:
            service.gateway.openings = Openings(0)
            async with stream(service, session, ALICE) as play:
                await play.next()
                assert play.is_released
                body = json.dumps(answer).encode()
                await play.send(answer_headers(kind="application/json"), answer_body(body, end=True))
                while not service.gateway.openings._waiting:
                    await asyncio.sleep(0.005)
            await service.is_let_go(session)
            kinds = await service.kinds(session)
            assert kinds[3:] == ["answer.started", "answer.decided", "exchange.ended"], kinds
            found = await service.gateway.store.session(session)
            assert found is not None
            assert (found.status, found.prompt_tokens, found.completion_tokens) == ("client_left", 3, 4)

    asyncio.run(scenario())
