"""A reload whose rules cannot be put on record is tried again, and nothing is decided meanwhile."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import pytest
from structlog.testing import capture_logs
from tests.servers.ext_proc_fakes import ALICE, CAROL, CONFIG, Service, serving
from tests.servers.faulty_store import Faulty
from tests.servers.played_stream import Play
from tests.servers.process_messages import request_body, request_headers

from authz_service.app import ServeSettings, service
from authz_service.audit.draft import EntryDraft, Kind
from authz_service.cel.load import load_config
from authz_service.config.notify_values import Notify
from authz_service.core.ballots import Ballot
from authz_service.core.holds import StageRef, Verdict
from authz_service.core.ports import Store
from authz_service.core.stored_holds import HoldLimits, HoldState
from authz_service.errors import Unavailable
from authz_service.keys.data_dir import DataDir
from authz_service.keys.ids import new_id
from authz_service.view.caller import Caller

ASKED = json.dumps({"model": "llama", "messages": [{"role": "user", "content": "Hi"}]}).encode()
STRICTER = CONFIG.replace("'staff' in caller.groups", "false")
ENOUGH = 3


class Reluctant(Faulty):
    """A store that takes no rules, but everything else, until it is told to."""

    refusals = 0
    takes_rules = False

    async def append(self, *drafts: EntryDraft) -> None:
        """As the store does, unless there are rules among them."""
        if drafts[0].kind is Kind.POLICY_ACTIVATED and not self.takes_rules:
            self.refusals += 1
            raise Unavailable("the store is away", code="store_unavailable")
        await super().append(*drafts)


@dataclass(frozen=True)
class Reloading:
    """A service that is taking in a stricter file, which its record refuses to take so far."""

    running: Service
    whole: service.Service
    task: asyncio.Task[None]

    @property
    def store(self) -> Reluctant:
        assert isinstance(self.running.store, Reluctant)
        return self.running.store

    async def recorded(self) -> None:
        """Let the record take them."""
        self.store.takes_rules = True
        await self.task

    async def asked(self, caller: Caller = ALICE) -> tuple[int, str]:
        """What becomes of a request: its status and code; 200 where it was released."""
        async with self.running.play() as play:
            await play.send(
                request_headers(self.running.seal(caller, exchange=new_id("ses"))), request_body(ASKED)
            )
            await play.next()
            return (200, "") if play.is_released else refusal(play)


def refusal(play: Play) -> tuple[int, str]:
    reply = play.responses[0].immediate_response
    return reply.status.code, json.loads(reply.body)["error"]["code"]


@asynccontextmanager
async def serving_reluctantly(
    folder: Path, told: list[Notify] | None = None
) -> AsyncIterator[tuple[Service, service.Service]]:
    """`told` gets the receivers that are put in force."""
    async with asyncio.timeout(100), serving(folder, store=Reluctant) as running:
        settings = ServeSettings(folder / "authz.yaml", DataDir.open(folder / "data"), "")
        store = cast(Store, running.store)
        tell = [] if told is None else told
        config = load_config(settings.config)
        whole = service.Service(settings, config, store, running.gateway, notify=tell.append)
        whole.is_up = True
        yield running, whole


async def reloading(running: Service, whole: service.Service, folder: Path) -> Reloading:
    (folder / "authz.yaml").write_text(STRICTER)
    begun = Reloading(running, whole, asyncio.create_task(whole.reload()))
    while begun.store.refusals < ENOUGH:
        await asyncio.sleep(0.005)
    return begun


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "FIRST_DELAY", 0.01)
    monkeypatch.setattr(service, "LONGEST_DELAY", 0.02)


def test_it_is_tried_until_it_is_on_record_and_then_the_new_rules_decide(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with serving_reluctantly(tmp_path) as (running, whole):
            assert whole.serves()
            reload = await reloading(running, whole, tmp_path)
            assert await reload.asked() == (503, "rules_pending")
            assert not whole.serves()
            await reload.recorded()
            assert whole.serves()
            assert (await reload.asked())[0] == 403
            kinds = [entry.kind for entry in await reload.store.entries_after(0)]
            assert kinds.count("policy.activated") == 1

    with capture_logs() as logs:
        asyncio.run(scenario())
    told = [line for line in logs if line["event"].startswith("policy.")]
    assert [(line["event"], line["log_level"]) for line in told] == [
        ("policy.waits", "error"),
        ("policy.activated", "info"),
    ]
    assert told[0]["policy"] == told[1]["policy"]


def test_an_approval_that_comes_meanwhile_is_not_used_up(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with serving_reluctantly(tmp_path) as (running, whole), running.play() as play:
            session = new_id("ses")
            await play.send(request_headers(running.seal(CAROL, exchange=session)), request_body(ASKED))
            store = running.gateway.store
            while not (found := await store.session(session)) or found.hold is None:
                await asyncio.sleep(0.005)
            reload = await reloading(running, whole, tmp_path)
            hold = await store.hold(found.hold)
            assert hold is not None
            ballot = Ballot(
                hold=hold.id,
                voter=("https://id", "rita"),
                name="Rita",
                verdict=Verdict.APPROVE,
                digest=hold.digest,
                may_vote_in=(StageRef("security", 0),),
                reason="looked at it",
            )
            await store.vote(ballot, HoldLimits())
            await play.next()
            assert refusal(play) == (503, "rules_pending")
            after = await store.hold(hold.id)
            assert after is not None
            assert after.state is HoldState.APPROVED
            await reload.recorded()
            assert await reload.asked(CAROL) == (200, ""), "who comes again goes out by it"

    asyncio.run(scenario())
