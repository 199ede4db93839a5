"""The scriptable upstream itself: what tests rely on when they tell it what to do."""

from __future__ import annotations

import gzip
import json
import socket
from collections.abc import Iterator

import httpx
import pytest
from tests.e2e.upstream import Upstream
from tests.e2e.upstream_answers import Answer, Ending, completion, event, gzipped, stream, whole

BODY = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    with Upstream() as upstream:
        yield upstream


@pytest.fixture
def client(upstream: Upstream) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=upstream.url, trust_env=False, timeout=60) as client:
        yield client


def talk(upstream: Upstream, request: bytes, *, leave: bool = False) -> bytes:
    with socket.create_connection(("127.0.0.1", upstream.port), timeout=60) as connection:
        connection.sendall(request)
        if leave:
            connection.shutdown(socket.SHUT_WR)
        received = b""
        while piece := connection.recv(65536):
            received += piece
        return received


def test_it_answers_plausibly_when_it_was_told_nothing(client: httpx.Client) -> None:
    answer = client.post("/v1/chat/completions", json=BODY)
    assert answer.json()["choices"][0]["message"]["content"] == "Hello from upstream."
    streamed = client.post("/v1/chat/completions", json=BODY | {"stream": True})
    assert streamed.headers["content-type"].startswith("text/event-stream")
    assert streamed.text.endswith("data: [DONE]\n\n")


def test_it_records_requests_as_they_came(upstream: Upstream, client: httpx.Client) -> None:
    client.post("/v1/chat/completions?x=1", json=BODY, headers=[("X-Twice", "a"), ("x-twice", "b")])
    (request,) = upstream.wait_for_requests(1)
    assert (request.method, request.path) == ("POST", "/v1/chat/completions?x=1")
    assert request.header("X-TWICE") == ["a", "b"]
    assert ("X-Twice", "a") in request.headers
    assert request.json() == BODY
    assert request.answered.wait(60)


def test_it_reads_chunked_bodies(upstream: Upstream, client: httpx.Client) -> None:
    client.post("/x", content=iter([b"one", b"two"]))
    assert upstream.wait_for_requests(1)[0].body == b"onetwo"


def test_queued_answers_are_given_in_their_order(upstream: Upstream, client: httpx.Client) -> None:
    upstream.answer_with(whole({"n": 1}, status=429), lambda request: whole({"path": request.path}))
    assert client.get("/a").status_code == 429
    assert client.get("/b").json() == {"path": "/b"}
    assert client.get("/c").json() == {"object": "list", "data": []}


def test_an_answer_waits_at_a_gate(upstream: Upstream, client: httpx.Client) -> None:
    gate = upstream.gate()
    upstream.answer_with(Answer(steps=(b"before", gate, b"after")))
    with client.stream("GET", "/") as answer:
        pieces = answer.iter_raw()
        assert next(pieces) == b"before"
        assert gate.reached.wait(60)
        assert not upstream.requests[0].answered.is_set()
        gate.open()
        assert b"".join(pieces) == b"after"


def test_it_notices_who_leaves(upstream: Upstream, client: httpx.Client) -> None:
    gate = upstream.gate()
    upstream.answer_with(Answer(steps=(b"before", gate)))
    with client.stream("GET", "/") as answer:
        next(answer.iter_raw())
    assert upstream.requests[0].left.wait(60)


@pytest.mark.parametrize("ending", [Ending.CLOSE, Ending.RESET])
def test_a_body_can_be_cut_off(upstream: Upstream, client: httpx.Client, ending: Ending) -> None:
    upstream.answer_with(Answer(steps=(b"before",), ending=ending))
    with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
        client.get("/")
    assert client.get("/").status_code == 200


def test_trailers_and_early_hints_are_sent(upstream: Upstream) -> None:
    hints = ((103, (("link", "</x>"),)),)
    upstream.answer_with(Answer(steps=(b"ab",), trailers=(("x-end", "1"),), informational=hints))
    received = talk(upstream, b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
    assert received.startswith(b"HTTP/1.1 103 ")
    assert received.endswith(b"2\r\nab\r\n0\r\nx-end: 1\r\n\r\n")


@pytest.mark.parametrize(("method", "status"), [("HEAD", 200), ("GET", 204)])
def test_what_has_no_body_gets_none(upstream: Upstream, method: str, status: int) -> None:
    upstream.answer_with(Answer(status, steps=(b"body",)))
    received = talk(upstream, f"{method} / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n".encode())
    assert received.endswith(b"\r\n\r\n")
    assert b"body" not in received
    assert b"transfer-encoding" not in received


def test_an_early_answer_does_not_wait_for_the_body(upstream: Upstream) -> None:
    upstream.answer_with(Answer(413, (("content-length", "0"),), early=True))
    received = talk(upstream, b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 1000000\r\n\r\nonly this")
    assert received.startswith(b"HTTP/1.1 413")
    assert not upstream.requests[0].complete.is_set()


def test_a_request_that_breaks_off_is_recorded_as_incomplete(upstream: Upstream) -> None:
    talk(upstream, b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\nhalf", leave=True)
    (request,) = upstream.requests
    assert not request.complete.is_set()


def test_raw_bytes_can_be_sent(upstream: Upstream) -> None:
    upstream.answer_with(Answer(raw=b"no HTTP at all"))
    assert talk(upstream, b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n") == b"no HTTP at all"


def test_the_builders_build_what_they_say(upstream: Upstream, client: httpx.Client) -> None:
    upstream.answer_with(gzipped(completion("hi")), stream(["a", {"reasoning": "b"}]))
    zipped = client.get("/")
    assert zipped.headers["content-encoding"] == "gzip"
    assert zipped.json()["choices"][0]["message"]["content"] == "hi"
    streamed = client.get("/").text
    assert [json.loads(e[6:])["choices"][0]["delta"] for e in streamed.split("\n\n")[:3]] == [
        {"content": "a"},
        {"reasoning": "b"},
        {},
    ]
    assert event({"a": 1}) == b'data: {"a": 1}\n\n'
    assert gzip.decompress(bytes(gzipped(completion("hi")).steps[0])).startswith(b'{"id"')  # type: ignore[arg-type]
