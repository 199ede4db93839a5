"""What stands beside the bodies on a Process stream: headers, trailers, seals, ends without a body."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import grpc
import pytest
from tests.servers.ext_proc_fakes import Service, serving
from tests.servers.played_stream import Play
from tests.servers.process_messages import (
    CHAT,
    answer_body,
    answer_headers,
    answer_trailers,
    request_body,
    request_headers,
)

from authz_service.audit.draft import Kind
from authz_service.keys.ids import new_id
from authz_service.keys.seal import Sealer
from authz_service.runtime.gateway import Ending
from authz_service.runtime.marks import Doing, Marks
from authz_service.servers.wire.ext_proc_pb2 import ProcessingRequest

ASKED = json.dumps({"model": "llama", "messages": [{"role": "user", "content": "Hi"}]}).encode()
SAID = json.dumps({"choices": [{"index": 0, "message": {"role": "assistant", "content": "Hi"}}]}).encode()


def run(folder: Path, scenario: Callable[[Service], Awaitable[None]]) -> None:
    async def whole() -> None:
        async with asyncio.timeout(60), serving(folder) as service:
            await scenario(service)

    asyncio.run(whole())


async def played(service: Service, *messages: ProcessingRequest) -> Play:
    """Read as it comes: gRPC's client drops what nobody has read yet when the stream ends with an error."""
    async with service.play() as play:
        reading = asyncio.create_task(play.to_end())
        await play.send(*messages)
        await play.leave()
        await reading
        return play


async def asked(service: Service, *answer: ProcessingRequest, session: str = "") -> Play:
    seal = service.seal(exchange=session)
    return await played(service, request_headers(seal), request_body(ASKED), *answer)


async def is_to_ask_again(service: Service, seal: str) -> None:
    play = await played(service, request_headers(seal), request_body(ASKED))
    assert (play.status, play.responses) == (grpc.StatusCode.UNAVAILABLE, [])


def always(now: float) -> Callable[[], float]:
    return lambda: now


def removed(play: Play) -> set[str]:
    (headers,) = [r.response_headers for r in play.responses if r.HasField("response_headers")]
    return set(headers.response.header_mutation.remove_headers)


def test_a_header_of_an_answer_with_a_finding_does_not_cross(tmp_path: Path) -> None:
    async def scenario(service: Service) -> None:
        pairs = (("x-request-id", "bob@example.com"), ("openai-version", "2020-10-01"), ("server", "x"))
        play = await asked(service, answer_headers("200", *pairs), answer_body(SAID, end=True))
        assert removed(play) == {"x-request-id", "server"}

    run(tmp_path, scenario)


@pytest.mark.parametrize("name", ["x-envoy-anything", "x-forwarded-proto", "host"])
def test_a_header_that_cannot_be_removed_is_on_record_and_stops_an_answer_by_a_finding(
    tmp_path: Path, name: str
) -> None:
    async def scenario(service: Service) -> None:
        session = new_id("ses")
        clean = answer_headers("200", (name, "12"))
        play = await asked(service, clean, answer_body(SAID, end=True), session=session)
        assert play.body("response_body") == SAID
        (started,) = [e for e in await service.entries(session) if e.kind == Kind.ANSWER_STARTED.value]
        headers = started.data["headers"]
        assert isinstance(headers, dict)
        assert headers[name] == "12"
        play = await asked(service, answer_headers("200", (name, "bob@example.com")))
        assert play.kinds()[-1] == "immediate_response"
        assert b"unmaskable" in play.responses[-1].immediate_response.body

    run(tmp_path, scenario)


def test_an_answer_that_switches_protocols_is_none(tmp_path: Path) -> None:
    async def scenario(service: Service) -> None:
        play = await asked(service, answer_headers("101", ("upgrade", "x")), answer_body(SAID, end=True))
        assert play.responses[-1].immediate_response.status.code == 502

    run(tmp_path, scenario)


def test_trailers_of_an_answer_end_it_and_do_not_cross(tmp_path: Path) -> None:
    async def scenario(service: Service) -> None:
        answer = (answer_headers(), answer_body(SAID), answer_trailers(("x-secret", "bob@example.com")))
        play = await asked(service, *answer)
        assert play.status is grpc.StatusCode.OK
        last = play.responses[-1].response_trailers
        assert list(last.header_mutation.remove_headers) == ["x-secret"]

    run(tmp_path, scenario)


def test_an_empty_body_is_ended_for_the_model_too(tmp_path: Path) -> None:
    async def scenario(service: Service) -> None:
        seal = service.seal(method="GET", path="/health")
        head = request_headers(seal, method="GET", path="/health")
        answer = (answer_headers(), answer_body(b"{}", end=True))
        play = await played(service, head, request_body(b""), *answer)
        assert play.kinds() == ["request_headers", "request_body", "response_headers", "response_body"]
        assert play.responses[1].request_body.response.body_mutation.streamed_response.end_of_stream
        assert play.status is grpc.StatusCode.OK

    run(tmp_path, scenario)


def test_a_request_that_breaks_off_is_on_record_as_one_that_ended(tmp_path: Path) -> None:
    async def scenario(service: Service) -> None:
        session = new_id("ses")
        head = request_headers(service.seal(exchange=session))
        play = await played(service, head, request_body(b"{", end=False))
        assert (play.status, play.responses) == (grpc.StatusCode.INTERNAL, [])
        kinds = [entry.kind for entry in await service.entries(session)]
        assert kinds == [Kind.REQUEST_RECEIVED.value, Kind.EXCHANGE_ENDED.value]

    run(tmp_path, scenario)


def test_a_seal_is_good_for_one_stream_at_a_time(tmp_path: Path) -> None:
    async def scenario(service: Service) -> None:
        session = new_id("ses")
        head = request_headers(service.seal(exchange=session))
        async with service.play() as first:
            await first.send(head)
            while session not in service.gateway.live:
                await asyncio.sleep(0.005)
            second = await played(service, head, request_body(ASKED))
            assert (second.status, second.responses) == (grpc.StatusCode.INTERNAL, [])
            await first.send(request_body(ASKED))
            assert (await first.next()) is not None
            assert first.is_released

    run(tmp_path, scenario)


@pytest.mark.parametrize(
    ("method", "path", "more"),
    [
        ("GET", CHAT, ()),
        ("POST", f"{CHAT}?x=1", ()),
        ("POST", "/v1/models", ()),
        ("POST", CHAT, ((":path", "/health"),)),
        ("POST", CHAT, ((":authority", "other"),)),
        ("POST", CHAT, ((":method", "GET"),)),
    ],
)
def test_a_seal_of_another_request_opens_nothing(
    tmp_path: Path, method: str, path: str, more: tuple[tuple[str, str], ...]
) -> None:
    async def scenario(service: Service) -> None:
        head = request_headers(service.seal(), *more, method=method, path=path)
        play = await played(service, head, request_body(ASKED))
        assert (play.status, play.responses) == (grpc.StatusCode.INTERNAL, [])

    run(tmp_path, scenario)


@pytest.mark.parametrize("change", [lambda s: "", lambda s: s[:-1], lambda s: "0" * 64 + s[64:]])
def test_a_seal_that_was_touched_opens_nothing(tmp_path: Path, change: Callable[[str], str]) -> None:
    async def scenario(service: Service) -> None:
        play = await played(service, request_headers(change(service.seal())), request_body(ASKED))
        assert (play.status, play.responses) == (grpc.StatusCode.INTERNAL, [])

    run(tmp_path, scenario)


def test_a_seal_outside_its_life_or_of_another_key_opens_nothing(tmp_path: Path) -> None:
    async def scenario(service: Service) -> None:
        seal = service.seal()
        for sealer, clock in ((service.gateway.sealer, 4e9), (Sealer(bytes(32)), 0.0)):
            service.gateway.sealer = sealer
            service.gateway.clock = always(clock)
            play = await played(service, request_headers(seal), request_body(ASKED))
            assert (play.status, play.responses) == (grpc.StatusCode.INTERNAL, [])

    run(tmp_path, scenario)


def test_a_reply_of_envoys_own_passes_only_when_it_fails_and_no_model_made_it(tmp_path: Path) -> None:
    async def scenario(service: Service) -> None:
        refusal = (answer_headers("401", ("server", "x")), answer_body(b"{}", end=True))
        play = await played(service, *refusal)
        assert (play.status, play.body("response_body")) == (grpc.StatusCode.OK, b"{}")
        assert removed(play) == {"server"}
        for status, more in (("200", ()), ("503", (("x-envoy-upstream-service-time", "1"),)), ("", ())):
            play = await played(service, answer_headers(status or "-1", *more), answer_body(b"x", end=True))
            assert (play.status, play.responses) == (grpc.StatusCode.INTERNAL, [])

    run(tmp_path, scenario)


def test_a_clock_that_goes_back_stops_nothing_that_begins_then(tmp_path: Path) -> None:
    async def scenario(service: Service) -> None:
        service.gateway.started_at += 3600
        play = await asked(service, answer_headers(), answer_body(SAID, end=True))
        assert play.body("response_body") == SAID

    run(tmp_path, scenario)


def test_what_another_process_checked_before_this_one_began_is_refused_unless_it_was_held(
    tmp_path: Path,
) -> None:
    async def scenario(service: Service) -> None:
        seal = service.seal()
        service.gateway.started_at += 3600
        service.gateway.sealer = Sealer(bytes(range(32)))
        play = await played(service, request_headers(seal), request_body(ASKED))
        assert not play.is_released
        assert b"restarted" in play.responses[-1].immediate_response.body

    run(tmp_path, scenario)


@pytest.mark.parametrize("since", [-3600, 3600], ids=["before it was checked", "after it was checked"])
def test_what_waited_while_processes_ended_in_order_is_taken_unless_it_is_on_record(
    tmp_path: Path, since: float
) -> None:
    async def scenario(service: Service) -> None:
        waited, recorded = new_id("ses"), new_id("ses")
        await played(service, request_headers(service.seal(exchange=recorded)), request_body(ASKED))
        await service.is_let_go(recorded)
        await service.entries(recorded)
        seals = {session: service.seal(exchange=session) for session in (waited, recorded)}
        service.gateway.in_order_since = service.gateway.started_at + since
        service.gateway.started_at += 3600
        service.gateway.sealer = Sealer(bytes(range(32)))
        play = await played(service, request_headers(seals[waited]), request_body(ASKED))
        assert play.is_released == (since < 0)
        again = await played(service, request_headers(seals[recorded]), request_body(ASKED))
        assert not again.is_released
        assert b"restarted" in again.responses[-1].immediate_response.body

    run(tmp_path, scenario)


@pytest.mark.parametrize("ending", Ending)
def test_a_process_that_stops_for_the_next_one_takes_only_what_it_has_checked_until_all_are_told(
    tmp_path: Path, ending: Ending
) -> None:
    async def scenario(service: Service) -> None:
        own = service.seal()
        service.gateway.ending, service.gateway.is_stopping = ending, True
        play = await played(service, request_headers(own), request_body(ASKED))
        assert play.is_released == (ending is Ending.NEXT)
        if ending is Ending.NOBODY:
            assert b"stopping" in play.responses[-1].immediate_response.body
            return
        elsewhere = service.seal()
        service.gateway.sealer = Sealer(bytes(range(32)))
        await is_to_ask_again(service, elsewhere)
        service.gateway.waiting.stop()
        await is_to_ask_again(service, service.seal())

    run(tmp_path, scenario)


@pytest.mark.parametrize("ago", [0.0, 60.0])
def test_a_worker_that_stops_takes_what_another_has_just_checked_and_not_what_one_let_go(
    tmp_path: Path, ago: float
) -> None:
    """A large body comes once; who was let go is for the next process."""

    async def scenario(service: Service) -> None:
        elsewhere, later, at = service.seal(), service.seal(), time.time()
        service.gateway.sealer = Sealer(bytes(range(32)), life=3600.0)
        service.gateway.marks = Marks(tmp_path, 0, 2)
        service.gateway.clock = always(at + ago)
        service.gateway.ending, service.gateway.is_stopping = Ending.NEXT, True
        if ago:
            await is_to_ask_again(service, elsewhere)
            return
        play = await played(service, request_headers(elsewhere), request_body(ASKED))
        assert play.is_released
        service.gateway.waiting.stop()
        await is_to_ask_again(service, later)

    run(tmp_path, scenario)


def test_a_worker_that_was_just_started_takes_what_another_had_checked_and_none_died_of(
    tmp_path: Path,
) -> None:
    async def scenario(service: Service) -> None:
        service.gateway.marks = Marks(tmp_path, 0, 2)
        dead = Marks(tmp_path, 1, 2)
        service.gateway.started_at += 3600
        service.gateway.sealer = Sealer(bytes(range(32)))
        for doing in (None, Doing.HAS, Doing.JUDGES):
            session = new_id("ses")
            seal = service.seal(exchange=session)
            if doing is not None:
                dead.begin(session)
                dead.now(session, doing)
            play = await played(service, request_headers(seal), request_body(ASKED))
            assert play.is_released == (doing is not Doing.JUDGES), doing

    run(tmp_path, scenario)


@pytest.mark.parametrize(
    ("name", "recorded"),
    [("AKIAABCDEFGHIJKLMNOP", "[AWS_ACCESS_KEY]"), ("llama", "llama"), ("another", "another")],
)
def test_a_secret_in_the_place_of_a_models_name_is_not_on_record(
    tmp_path: Path, name: str, recorded: str
) -> None:
    async def scenario(service: Service) -> None:
        session, path = new_id("ses"), f"/v2/models/{name}/infer"
        seal = service.seal(exchange=session, path=path)
        await played(service, request_headers(seal, path=path), request_body(b'{"inputs": []}'))
        received = next(e for e in await service.entries(session) if e.kind == Kind.REQUEST_RECEIVED.value)
        assert received.data["path"] == f"/v2/models/{recorded}/infer"

    run(tmp_path, scenario)
