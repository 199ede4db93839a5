"""Whatever comes on a Process stream, in whatever order: it never ends well before both sides are done."""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import grpc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.servers.ext_proc_fakes import Service, serving
from tests.servers.loop_thread import LoopThread
from tests.servers.played_stream import Play
from tests.servers.process_messages import (
    answer_body,
    answer_headers,
    answer_trailers,
    request_body,
    request_headers,
    request_trailers,
)

from authz_service.audit.draft import Kind
from authz_service.keys.ids import new_id
from authz_service.servers.wire.ext_proc_pb2 import ProcessingRequest

ASKED = json.dumps({"model": "llama", "messages": [{"role": "user", "content": "I am a@b.co"}]}).encode()
SAID = json.dumps(
    {"choices": [{"index": 0, "message": {"role": "assistant", "content": "You are a@b.co"}}]}
).encode()

PIECES: dict[str, Callable[[str], ProcessingRequest]] = {
    "headers": request_headers,
    "headers, no body": lambda seal: request_headers(seal, end=True),
    "body": lambda _: request_body(ASKED),
    "part of a body": lambda _: request_body(ASKED[:9], end=False),
    "empty end of the body": lambda _: request_body(b""),
    "trailers": lambda _: request_trailers(("x", "y")),
    "answer": lambda _: answer_headers(),
    "answer, no body": lambda _: answer_headers("204", end=True),
    "failure": lambda _: answer_headers("503"),
    "answer without a status": lambda _: answer_headers("none"),
    "its body": lambda _: answer_body(SAID, end=True),
    "half of its body": lambda _: answer_body(SAID[:30]),
    "the other half": lambda _: answer_body(SAID[30:], end=True),
    "its empty end": lambda _: answer_body(b"", end=True),
    "its trailers": lambda _: answer_trailers(("x", "y")),
    "nothing": lambda _: ProcessingRequest(),
}
USUAL = ["headers", "body", "answer", "half of its body", "the other half"]


@st.composite
def transcripts(draw: st.DrawFn) -> list[str]:
    """The usual order with a few pieces put in, taken out or exchanged; or no order at all."""
    names = st.sampled_from(sorted(PIECES))
    if draw(st.booleans()):
        return draw(st.lists(names, max_size=6))
    pieces = list(USUAL)
    for _ in range(draw(st.integers(0, 2))):
        at = draw(st.integers(0, len(pieces)))
        pieces[at : at + draw(st.integers(0, 1))] = draw(st.lists(names, max_size=1))
    return pieces


@pytest.fixture(scope="module")
def service(thread: LoopThread) -> Iterator[Service]:
    with tempfile.TemporaryDirectory() as folder:
        running = serving(Path(folder))
        yield thread.run(running.__aenter__())
        thread.run(running.__aexit__(None, None, None))


async def played(service: Service, pieces: list[str], session: str) -> Play:
    seal = service.seal(exchange=session)
    async with asyncio.timeout(60), service.play() as play:
        await play.send(*(PIECES[name](seal) for name in pieces))
        await play.leave()
        await play.to_end()
        return play


@settings(max_examples=250, deadline=None)
@given(pieces=transcripts())
def test_a_stream_ends_well_only_when_both_directions_are_done(
    thread: LoopThread, service: Service, pieces: list[str]
) -> None:
    session = new_id("ses")
    play = thread.run(played(service, pieces, session))
    if play.status is grpc.StatusCode.OK:
        is_envoys_own = pieces[0] in ("failure", "answer")
        assert play.is_complete or (is_envoys_own and play.is_over("response"))
    assert play.status in (grpc.StatusCode.OK, grpc.StatusCode.INTERNAL)


@settings(max_examples=100, deadline=None)
@given(pieces=transcripts())
def test_what_was_let_through_in_any_order_is_masked_and_on_record(
    thread: LoopThread, service: Service, pieces: list[str]
) -> None:
    session = new_id("ses")
    play = thread.run(played(service, pieces, session))
    if play.kinds()[:1] == ["response_headers"]:
        return  # a reply of Envoy's own, to a request that was stopped before
    sent = thread.run(service.payloads(session, Kind.REQUEST_RELEASED))
    told = thread.run(service.payloads(session, Kind.ANSWER_RELEASED))
    assert sent.startswith(play.body("request_body"))
    assert told.startswith(play.body("response_body"))
    assert b"a@b.co" not in play.body("request_body") + play.body("response_body")


@pytest.mark.parametrize("pieces", [USUAL, [*USUAL[:3], "its body"], [*USUAL[:4], "its trailers"]])
def test_the_usual_orders_come_to_an_end(thread: LoopThread, service: Service, pieces: list[str]) -> None:
    play = thread.run(played(service, pieces, new_id("ses")))
    assert play.is_released


@pytest.mark.parametrize(
    "pieces",
    [
        [],
        ["body"],
        ["trailers"],
        ["nothing"],
        ["headers"],
        ["headers", "part of a body"],
        ["headers", "body"],
        ["headers", "body", "answer"],
        ["headers", "body", "answer", "half of its body"],
        ["headers", "body", "answer", "answer", "its body"],
        ["headers", "body", "answer without a status"],
        ["answer", "its body"],
        ["failure", "half of its body"],
        ["failure", "its trailers"],
        ["answer, no body"],
    ],
)
def test_an_order_that_cannot_be_finished_fails(
    thread: LoopThread, service: Service, pieces: list[str]
) -> None:
    play = thread.run(played(service, pieces, new_id("ses")))
    assert play.status is grpc.StatusCode.INTERNAL
