"""A held exchange that Envoy sends again is taken up, also where it, or its equal, would be refused now."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from tests.servers.exchanges_again import asked, stream
from tests.servers.ext_proc_fakes import CAROL, CONFIG, Service, serving
from tests.servers.played_stream import Play
from tests.servers.process_messages import request_body, request_headers

from authz_service.app import rules_of
from authz_service.cel.load import load_config
from authz_service.core.stored_holds import HoldState
from authz_service.keys.ids import new_id
from authz_service.keys.seal import Sealer
from authz_service.runtime import judging
from authz_service.view.caller import Caller

ALIAS = CONFIG.replace("{name: llama,", "{name: llama, aliases: [mine],")
NARROW = replace(CAROL, scope=("model:mine", "api:*"))


def limited_to(requests: int) -> str:
    rates = f"callers: [{{requests_per_minute: {requests}}}]"
    return CONFIG.replace("depth: 64}", f"depth: 64, {rates}}}")


async def has(service: Service, exchange: str, kind: str, play: Play | None = None) -> list[str]:
    """The entries of it once `kind` is among them, or the stream has its answer."""
    reading = None if play is None else asyncio.ensure_future(play.next())
    try:
        while True:
            kinds = [entry.kind for entry in await service.entries(exchange)]
            if kind in kinds or (reading is not None and reading.done()):
                return kinds
            await asyncio.sleep(0.005)
    finally:
        if reading is not None:
            reading.cancel()


async def status_of(service: Service, exchange: str, caller: Caller = CAROL, *, seal: str = "") -> int:
    async with stream(service, exchange, caller, seal=seal) as play:
        await play.next()
        return int(play.responses[0].immediate_response.status.code)


async def changed(service: Service, folder: Path, config: str) -> None:
    (folder / "authz.yaml").write_text(config)
    service.gateway.rules = rules_of(load_config(folder / "authz.yaml"))


@pytest.mark.parametrize("is_counted", [False, True])
def test_it_is_taken_up_over_its_limit(tmp_path: Path, is_counted: bool) -> None:
    async def scenario() -> None:
        held, other, refused = (new_id("ses") for _ in range(3))
        async with asyncio.timeout(60), serving(tmp_path, limited_to(5)) as service:
            async with stream(service, held):
                await has(service, held, "hold.opened")
            await service.is_let_go(held)
            async with stream(service, other):
                await has(service, other, "hold.opened")
                await changed(service, tmp_path, limited_to(1))
                if is_counted:
                    assert await status_of(service, refused) == 429
                async with stream(service, held) as again:
                    kinds = await has(service, held, "exchange.resumed", again)
                    assert "exchange.resumed" in kinds, again.responses

    asyncio.run(scenario())


def test_it_is_taken_up_however_many_of_its_caller_s_wait_to_be_read_and_counted_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario() -> None:
        held, free = new_id("ses"), threading.Event()
        async with asyncio.timeout(60), serving(tmp_path) as service:
            async with stream(service, held):
                await has(service, held, "hold.opened")
            await service.is_let_go(held)
            seal = service.seal(CAROL, exchange=held)
            service.gateway.started_at += 3600
            service.gateway.sealer = Sealer(bytes(range(32)))
            monkeypatch.setattr(judging, "LARGEST_INLINE", 0)
            monkeypatch.setattr(judging, "MOST_WAITING", 1)
            threads = service.gateway.request_threads
            reads = asyncio.gather(threads.run(free.wait), threads.run(lambda: None, caller=CAROL.identity))
            await asyncio.sleep(0)
            try:
                async with stream(service, held, seal=seal) as again:
                    await has(service, held, "exchange.resumed")
                    free.set()
                    kinds = await has(service, held, "hold.attached", again)
                    assert "hold.attached" in kinds, again.responses
            finally:
                free.set()
                await reads
            assert service.gateway.decisions == {"hold": 1}

    asyncio.run(scenario())


@pytest.mark.parametrize("is_counted", [False, True])
@pytest.mark.parametrize("is_known", [False, True])
def test_out_of_scope_by_now_it_ends_on_record(tmp_path: Path, is_counted: bool, is_known: bool) -> None:
    async def scenario() -> None:
        held = new_id("ses")
        async with asyncio.timeout(60), serving(tmp_path, ALIAS) as service:
            async with stream(service, held, NARROW):
                await has(service, held, "hold.opened")
            await service.is_let_go(held)
            await changed(service, tmp_path, CONFIG)
            if is_counted:
                assert await status_of(service, new_id("ses"), NARROW) == 403
            await service.gateway.recorder.drain()
            again = service.seal(NARROW, exchange=held)
            if is_known:  # to have begun before, as in a process that was started since
                service.gateway.started_at += 3600
                service.gateway.sealer = Sealer(bytes(range(32)))
            assert await status_of(service, held, NARROW, seal=again) == 403
            kinds = await service.kinds(held)
            assert kinds[-3:] == ["exchange.resumed", "request.refused", "exchange.ended"], kinds

    asyncio.run(scenario())


@pytest.mark.parametrize("is_known", [False, True])
def test_what_has_ended_is_refused_when_it_comes_again_and_does_not_end_twice(
    tmp_path: Path, is_known: bool
) -> None:
    """Its process died between the end's commit and the answer."""

    async def scenario() -> None:
        denied, nobody = new_id("ses"), replace(CAROL, groups=())
        async with asyncio.timeout(60), serving(tmp_path) as service:
            assert await status_of(service, denied, nobody) == 403
            assert (await service.kinds(denied))[-2:] == ["request.refused", "exchange.ended"]
            before = await service.gateway.store.session(denied)
            again = service.seal(nobody, exchange=denied)
            if is_known:
                service.gateway.started_at += 3600
                service.gateway.sealer = Sealer(bytes(range(32)))
            assert await status_of(service, denied, nobody, seal=again) == 503
            kinds = await service.kinds(denied)
            assert kinds[-2:] == ["exchange.ended", "request.refused"], kinds
            after = await service.gateway.store.session(denied)
            assert before is not None
            assert after is not None
            assert (before.status, after.status) == ("denied", "refused")
            assert after.ended_at == before.ended_at

    asyncio.run(scenario())


@pytest.mark.parametrize("effect", ["deny", "allow"])
def test_the_hold_of_one_that_is_no_question_any_more_ends_with_the_last_who_waits(
    tmp_path: Path, effect: str
) -> None:
    async def scenario() -> None:
        first, second = new_id("ses"), new_id("ses")
        async with asyncio.timeout(60), serving(tmp_path) as service:
            async with service.play() as one, service.play() as two:
                for session, play, kind in ((first, one, "hold.opened"), (second, two, "hold.attached")):
                    seal = service.seal(CAROL, exchange=session)
                    await play.send(request_headers(seal), request_body(asked("the same")))
                    await has(service, session, kind)
            await service.is_let_go(first)
            await service.is_let_go(second)
            held = (await service.entries(first))[-2].data["hold"]
            await changed(
                service, tmp_path, CONFIG.replace("effect: hold, approval: security", f"effect: {effect}")
            )
            states = []
            for session in (first, second):
                async with service.play() as again:
                    seal = service.seal(CAROL, exchange=session)
                    await again.send(request_headers(seal), request_body(asked("the same")))
                    await again.next()
                    states.append((await service.gateway.store.hold_states([str(held)]))[str(held)])
                assert (again.kinds()[0] == "immediate_response") is (effect == "deny")
            assert states[-1] is HoldState.SUPERSEDED, states

    asyncio.run(scenario())


def test_a_token_that_has_expired_meanwhile_leaves_the_hold_to_a_fresh_one(tmp_path: Path) -> None:
    async def scenario() -> None:
        held, late = new_id("ses"), replace(CAROL, expires_at=1.0)
        async with asyncio.timeout(60), serving(tmp_path) as service:
            async with stream(service, held, late):
                await has(service, held, "hold.opened")
            await service.is_let_go(held)
            name = str((await service.entries(held))[2].data["hold"])
            await changed(
                service, tmp_path, CONFIG.replace("effect: hold, approval: security", "effect: allow")
            )
            assert await status_of(service, held, late) == 401
            assert (await service.kinds(held))[-2:] == ["request.refused", "exchange.ended"]
            assert (await service.gateway.store.hold_states([name]))[name] is HoldState.PENDING

    asyncio.run(scenario())
