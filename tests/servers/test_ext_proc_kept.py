"""What a model server keeps is the caller's on record before they can know what it is called."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Collection
from pathlib import Path
from typing import Any

from sqlalchemy import create_engine, text
from tests.servers.ext_proc_fakes import ALICE, CONFIG, Service, serving
from tests.servers.faulty_store import Faulty
from tests.servers.played_stream import Play
from tests.servers.process_messages import answer_body, answer_headers, request_body, request_headers

from authz_service.audit.draft import Kind
from authz_service.core.kept import secret_of, server_of
from authz_service.errors import Unavailable
from authz_service.keys.ids import new_id
from authz_service.view.caller import Caller
from authz_service.view.kept import Kept, Result

PERMITTING = CONFIG.replace("effect: allow}", "effect: allow, permits: [reference]}", 1)
PATH = "/v1/responses"
HEAD = {"id": "resp_1", "object": "response", "created_at": 1, "model": "llama"}
CREATED = {"type": "response.created", "response": HEAD | {"status": "in_progress", "output": []}}
COMPLETED = {"type": "response.completed", "response": HEAD | {"status": "completed", "output": []}}
NAME = "/".join(secret_of(Kept(Result.RESPONSE, "resp_1"), server=server_of("http://127.0.0.1:8000")))
BOB = Caller("https://id", "bob", 4e9, ("staff",))


TWO_MODELS = PERMITTING.replace("models: [", 'models: [{name: lora, url: "URL"}, ').replace(
    'when: "true"}]', 'when: "true", model: llama}]', 1
)
SAME = TWO_MODELS.replace("URL", "http://127.0.0.1:8000/")


def event(document: dict[str, Any]) -> bytes:
    return b"data: " + json.dumps(document).encode() + b"\n\n"


async def ask(
    service: Service, caller: Caller = ALICE, *, name: str = "resp_1", **more: Any
) -> tuple[Play, str]:
    """A request, and where it goes through the stream that answers it, as the response `name`."""
    session = new_id("ses")
    body = json.dumps({"model": "llama", "input": "Hi", **more}).encode()
    async with asyncio.timeout(60), service.play() as play:
        seal = service.seal(caller, exchange=session, path=PATH)
        await play.send(request_headers(seal, path=PATH), request_body(body))
        if (first := await play.next()) is not None and first.HasField("request_headers"):
            await play.send(
                answer_headers(kind="text/event-stream"),
                answer_body(event(CREATED).replace(b"resp_1", name.encode())),
            )
            await play.next()
            await play.send(answer_body(event(COMPLETED).replace(b"resp_1", name.encode()), end=True))
        await play.to_end()
        await play.leave()
    await service.is_let_go(session)
    return play, session


def test_no_name_crosses_that_is_not_remembered_whichever_call_of_the_store_fails(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with serving(tmp_path, PERMITTING) as service:
            told = 0
            for number in range(1, 9):
                service.store.calls, service.store.fail_at = [], number
                caller = Caller("https://id", f"caller {number}", 4e9, ("staff",))
                play, _ = await ask(service, caller)
                is_owned = await service.store.owned([NAME], "/".join(caller.identity))
                assert is_owned or b"resp_1" not in play.body("response_body")
                told += b"resp_1" in play.body("response_body")
                if len(service.store.calls) < number:
                    assert number > 3
                    assert told
                    return
                # Each is another's: with one before, nobody would own it.
                await forget(service)
            raise AssertionError("the exchange made more calls than were tried")

    asyncio.run(scenario())


async def forget(service: Service) -> None:
    """As if nobody had been given anything yet."""
    engine = create_engine(f"sqlite:///{service.socket.parent}/record.db")
    with engine.begin() as connection:
        connection.execute(text("DELETE FROM kept_results"))
    engine.dispose()


def test_without_a_rule_that_permits_references_nothing_is_remembered(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with serving(tmp_path) as service:
            _, session = await ask(service)
            assert Kind.ANSWER_KEPT.value not in await service.kinds(session)

    asyncio.run(scenario())


def test_the_entry_comes_before_the_release_of_the_frame_and_only_once(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with serving(tmp_path, PERMITTING) as service:
            _, session = await ask(service)
            kinds = await service.kinds(session)
            assert kinds.count(Kind.ANSWER_KEPT.value) == 1
            assert kinds.index(Kind.ANSWER_KEPT.value) == kinds.index(Kind.ANSWER_RELEASED.value) - 1

    asyncio.run(scenario())


class Forgetful(Faulty):
    """A store that cannot say whose anything is."""

    async def owned(self, names: Collection[str], owner: str) -> bool:
        raise Unavailable("the store is away", code="store_unavailable")


def test_where_the_store_cannot_say_whose_it_is_nothing_goes_to_the_model(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with serving(tmp_path, PERMITTING, store=Forgetful) as service:
            play, session = await ask(service, previous_response_id="resp_1")
            assert not play.is_released
            (reply,) = [r.immediate_response for r in play.responses if r.HasField("immediate_response")]
            assert reply.status.code == 503
            assert b"store_unavailable" in reply.body
            entries = await service.entries(session)
            assert [entry.data.get("code") for entry in entries if entry.kind == "request.refused"] == [
                "store_unavailable"
            ]

    asyncio.run(scenario())


def test_another_is_refused_as_the_api_says_it_with_what_the_rules_decided_on_record(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with serving(tmp_path, PERMITTING) as service:
            await ask(service)
            assert (await ask(service, previous_response_id="resp_1"))[0].is_released
            play, session = await ask(service, BOB, previous_response_id="resp_1")
            assert not play.is_released
            (reply,) = [r.immediate_response for r in play.responses if r.HasField("immediate_response")]
            error = json.loads(reply.body)["error"]
            assert (reply.status.code, error["code"]) == (404, "reference_not_yours")
            assert "resp_1" not in error["message"]
            kinds = await service.kinds(session)
            assert kinds == ["request.received", "request.decided", "request.refused", "exchange.ended"]
            assert service.gateway.decisions["refused"] == 1

    asyncio.run(scenario())


def test_a_name_that_a_mask_would_change_is_nobodys_for_the_model_would_read_of_another(
    tmp_path: Path,
) -> None:
    async def scenario() -> None:
        async with serving(tmp_path, PERMITTING) as service:
            for given in ("jane@example.com", "[EMAIL_ADDRESS]"):
                play, session = await ask(service, name="jane@example.com")
                assert b"[EMAIL_ADDRESS]" in play.body("response_body")
                assert Kind.ANSWER_KEPT.value in await service.kinds(session)
                assert not (await ask(service, previous_response_id=given))[0].is_released

    asyncio.run(scenario())


def test_a_caller_who_asks_for_the_id_of_anothers_response_does_not_take_it_away(tmp_path: Path) -> None:
    """vLLM and SGLang make `request_id` the id of the response."""

    async def scenario() -> None:
        async with serving(tmp_path, PERMITTING) as service:
            await ask(service)
            assert not (await ask(service, BOB, request_id="resp_1"))[0].is_released
            assert (await ask(service, previous_response_id="resp_1"))[0].is_released

    asyncio.run(scenario())


def test_nobody_claims_what_nobody_owns_by_asking_for_its_id(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with serving(tmp_path, PERMITTING) as service:
            await ask(service, BOB, name="resp_old", request_id="resp_old")
            assert not (await ask(service, BOB, previous_response_id="resp_old"))[0].is_released

    asyncio.run(scenario())


def test_models_of_one_server_share_what_it_keeps_so_that_an_id_which_both_gave_is_nobodys(
    tmp_path: Path,
) -> None:
    async def scenario() -> None:
        async with serving(tmp_path, SAME) as service:
            await ask(service)
            assert (await ask(service, model="lora", previous_response_id="resp_1"))[0].is_released
            await ask(service, BOB, model="lora")
            for caller, model in ((BOB, "lora"), (BOB, "llama"), (ALICE, "llama")):
                play, _ = await ask(service, caller, model=model, previous_response_id="resp_1")
                assert not play.is_released

    asyncio.run(scenario())


def test_what_one_server_keeps_says_nothing_of_what_another_does(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with serving(tmp_path, TWO_MODELS.replace("URL", "http://127.0.0.1:8001")) as service:
            await ask(service)
            assert not (await ask(service, model="lora", previous_response_id="resp_1"))[0].is_released
            await ask(service, BOB, model="lora")
            for caller, model in ((BOB, "lora"), (ALICE, "llama")):
                play, _ = await ask(service, caller, model=model, previous_response_id="resp_1")
                assert play.is_released

    asyncio.run(scenario())
