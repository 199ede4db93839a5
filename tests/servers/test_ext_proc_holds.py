"""Held exchanges on their streams: who waits for what, when several of one person wait at once."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from pathlib import Path

from sqlalchemy import create_engine, text
from tests.servers.ext_proc_fakes import CAROL, CONFIG, request_body, request_headers, serving

from authz_service.core.ports import HoldQuery, HoldState

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
            asyncio.timeout(30),
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
        async with asyncio.timeout(30), serving(tmp_path) as service, service.play() as play:
            await play.send(request_headers(service.seal(CAROL)), request_body(ASKED))
            while not service.gateway.waiting.total:
                await asyncio.sleep(0.01)
            before = await service.gateway.store.last_sequence()
            (file,) = tmp_path.rglob("*.db")
            engine = create_engine(f"sqlite:///{file}")
            with engine.begin() as connection:
                connection.execute(text("UPDATE holds SET state = 'approved'"))
            engine.dispose()
            (refusal,) = await play.to_end()
            assert refusal.immediate_response.status.code == 503
            assert b"record_damaged" in refusal.immediate_response.body
            assert await service.gateway.store.last_sequence() - before < 10

    asyncio.run(scenario())
